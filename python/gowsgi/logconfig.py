"""What is needed where Python's loggers get the server's lines, or write JSON."""

from __future__ import annotations

import logging
import os
import sys
import time

from gowsgi.loggers import DATE_FORMAT, ERROR_FORMAT, LEVELS, Logger, loggers
from gowsgi.logs import LogError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_SYSLOG_FORMAT = "[%(process)d] %(message)s"
_SYSLOG_LIMIT = 2.0  # seconds that a TCP connection may take

# What is written in place of what could end a quoted field or a line.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)} | {ord('"'): '\\"'}


def _defaults() -> dict[str, Any]:
    """Returns gunicorn's CONFIG_DEFAULTS."""
    loggers: dict[str, Any] = {
        name: {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}
        for name, handler in (("gunicorn.error", "error_console"), ("gunicorn.access", "console"))
    }
    handlers = {
        name: {"class": "logging.StreamHandler", "formatter": "generic", "stream": f"ext://sys.{stream}"}
        for name, stream in (("console", "stdout"), ("error_console", "stderr"))
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": loggers,
        "handlers": handlers,
        "formatters": {"generic": {"format": ERROR_FORMAT, "datefmt": DATE_FORMAT, "class": "logging.Formatter"}},
    }


def configure(cfg: Any) -> None:
    """Applies the first of the three kinds of log configuration, in gunicorn's order.

    Args:
        cfg: The settings, with one of the three.

    Raises:
        LogError: If it is of no use.
    """
    from logging.config import dictConfig, fileConfig

    where = "logconfig_dict" if cfg.logconfig_dict else cfg.logconfig_json or cfg.logconfig
    try:
        if cfg.logconfig_dict:
            dictConfig(_defaults() | cfg.logconfig_dict)
        elif cfg.logconfig_json:
            from json import load

            with open(where, encoding="utf-8") as file:
                dictConfig(_defaults() | load(file))
        else:
            with open(where, "rb"):
                pass  # fileConfig has odd words for a file that is not there
            folder = {"__file__": where, "here": os.path.dirname(os.path.abspath(where))}
            fileConfig(where, defaults=_defaults() | folder, disable_existing_loggers=False)
    except Exception as exc:
        raise _failure(f"the log configuration {where}", exc) from None


def _failure(what: str, exc: BaseException) -> LogError:
    from gowsgi.errors import summarize

    if isinstance(exc, OSError) and exc.strerror:
        return LogError(f"{what}: {exc.strerror}")
    # dictConfig says which part it could not make, and why only in the cause.
    causes = [summarize(one) for one in (exc, exc.__cause__) if one is not None]
    return LogError(f"{what}: {': '.join(dict.fromkeys(causes))}", None, exc)


def make(wanted: Any, cfg: Any) -> Any:
    """Returns an object of a logger class.

    Args:
        wanted: The class, or MODULE.CLASS.
        cfg: The settings.

    Raises:
        LogError: If that cannot be had.
    """
    try:
        made = _class(wanted)
        if hasattr(made, "install"):
            made.install()
        return made(_ClassCfg(cfg))
    except Exception as exc:
        raise _failure(f"the logger class {wanted!r}", exc) from None


class _ClassCfg:
    """The settings as gunicorn's own logger classes expect them."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cfg, name)

    @property
    def user(self) -> int:
        return getattr(self._cfg, "uid", os.geteuid())

    @property
    def group(self) -> int:
        return getattr(self._cfg, "gid", os.getegid())

    @property
    def statsd_host(self) -> Any:
        host = self._cfg.statsd_host
        if not host:
            return None
        if host.startswith("unix:"):
            return host[5:].removeprefix("//")
        return _host_port(host, 8125)


def _class(wanted: Any) -> Any:
    if isinstance(wanted, type):
        return wanted
    module, _, name = wanted.rpartition(".")
    if not module:
        raise ValueError("write it as MODULE.CLASS")
    __import__(module)
    return getattr(sys.modules[module], name)


def add_syslog(cfg: Any) -> None:
    """Adds gunicorn's handlers for syslog.

    The server sends its own lines itself: these are for what apps and hooks log, and
    for a log configuration.
    """
    from logging.handlers import SysLogHandler

    kind, address = _syslog_address(cfg.syslog_addr)
    name = cfg.syslog_prefix or str(getattr(cfg, "proc_name", None) or "gunicorn").replace(":", ".")
    error_log, access_log = loggers()
    logs = [(error_log, "error")]
    if not cfg.disable_redirect_access_to_syslog:
        logs.append((access_log, "access"))
    for log, which in logs:
        handler = _connected(SysLogHandler, address, SysLogHandler.facility_names[cfg.syslog_facility.lower()], kind)
        end = ""
        if kind is not None and not isinstance(address, str):
            handler.append_nul = False
            end = "\n" if kind.name == "SOCK_STREAM" else ""
        handler.setFormatter(logging.Formatter(f"gunicorn.{name}.{which}: {_SYSLOG_FORMAT}{end}"))
        handler._gunicorn = True
        log.addHandler(handler)


def _connected(kind: Any, address: Any, facility: int, sock_type: Any) -> Any:
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SYSLOG_LIMIT)
    try:
        return kind(address, facility, sock_type)
    finally:
        socket.setdefaulttimeout(before)


def _syslog_address(text: str) -> tuple[Any, Any]:
    """Reads an address that the server has checked."""
    import socket

    scheme, _, rest = text.partition("://")
    if scheme == "unix":
        path, _, kind = rest.rpartition("#") if "#" in rest else (rest, "", "")
        return {"dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}.get(kind), path
    return socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM, _host_port(rest, 514)


def _host_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    return host.strip("[]").lower() or "localhost", int(port or default)


def takers(logger: Any) -> dict[str, Callable[[dict[str, Any]], None]]:
    """Returns what takes the server's lines, by their kinds.

    Args:
        logger: What ``loggers.set_up`` returned.
    """
    if isinstance(logger, Logger):
        return {"access": _Access(logger).log, "error": _Errors(logger).log}
    return {"access": _ClassAccess(logger).log, "error": _ClassErrors(logger).log}


class SafeAtoms(dict[str, object]):
    """The values of one access line, as gunicorn's ``SafeAtoms``.

    A client cannot end a quoted field or the line; an unknown name is "-"; names of
    header fields and variables are found in any case.
    """

    def __init__(self, atoms: Mapping[str, object]) -> None:
        """Takes values; texts are escaped."""
        super().__init__(
            (key, value.translate(_ESCAPES) if isinstance(value, str) else value) for key, value in atoms.items()
        )

    def __getitem__(self, key: str) -> object:
        return self.get(key.lower() if key.startswith("{") else key, "-")


class JSONFormatter(logging.Formatter):
    """Makes records JSON objects with the names of the server's own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record; what ``extra`` brought comes along."""
        from json import dumps

        created = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        zone = time.strftime("%z", time.localtime(record.created))
        members: dict[str, object] = {
            "time": f"{created}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        for name, value in record.__dict__.items():
            if name not in _RECORD_NAMES and name not in members:
                members[name] = value
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            members["traceback"] = record.exc_text
        return dumps(members, ensure_ascii=False, default=str, separators=(",", ":"))


_RECORD_NAMES = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


class _Errors:
    """Gives the server's lines to "gunicorn.error"."""

    def __init__(self, logger: Logger) -> None:
        self._log = logger.error_log

    def log(self, line: dict[str, Any]) -> None:
        level = LEVELS[line["level"]]
        if not self._log.isEnabledFor(level):
            return
        record = _record(self._log, level, line["time"], line["message"], ())
        record.exc_text = line.get("traceback", "").rstrip("\n") or None
        self._log.handle(record)


class _Access:
    """Gives the server's lines to "gunicorn.access"."""

    def __init__(self, logger: Logger) -> None:
        self._log = logger.access_log
        self._cfg = logger.cfg

    def log(self, line: dict[str, Any]) -> None:
        if self._log.isEnabledFor(logging.INFO):
            atoms = SafeAtoms(_atoms(line))
            self._log.handle(
                _record(self._log, logging.INFO, line["time"], self._cfg.access_log_format, (atoms,)),
            )


def _record(log: logging.Logger, level: int, created: float, message: str, args: tuple[Any, ...]) -> logging.LogRecord:
    record = log.makeRecord(log.name, level, "gowsgi", 0, message, args, None)
    record.created = created
    record.msecs = created % 1 * 1000
    return record


def _atoms(line: dict[str, Any]) -> dict[str, object]:
    """Returns gunicorn's atoms; their letters are explained in docs/logging.md."""
    environ = dict(line["environ"])
    took = line["took"]
    atoms: dict[str, object] = {
        "h": line["address"] or "-",
        "l": "-",
        "u": line["user"] or "-",
        "t": time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(line["time"])),
        "r": f"{line['method']} {line['uri']} {line['protocol']}" if line["method"] else "-",
        "s": str(line["status"]),
        "m": line["method"] or "-",
        "U": line["path"] or "-",
        "q": line["query"],
        "H": line["protocol"] or "-",
        "b": str(line["sent"]),
        "B": line["sent"],
        "f": environ.get("HTTP_REFERER") or "-",
        "a": environ.get("HTTP_USER_AGENT") or "-",
        "T": took // 1_000_000,
        "D": took,
        "M": took // 1000,
        "L": f"{took // 1_000_000}.{took % 1_000_000:06d}",
        "p": f"<{os.getpid()}>",
    }
    atoms.update((f"{{{name.lower()}}}i", value) for name, value in line["fields"])
    atoms.update((f"{{{name.lower()}}}o", value) for name, value in line["answer"])
    atoms.update((f"{{{name.lower()}}}e", value) for name, value in environ.items())
    return atoms


class _ClassErrors:
    """Gives the server's lines to a logger class's methods."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def log(self, line: dict[str, Any]) -> None:
        text = line["message"]
        if "traceback" in line:
            text = f"{text}\n{line['traceback']}".rstrip("\n")
        getattr(self._logger, line["level"])(text)


class Request:
    """What a logger class's ``access`` gets for a request.

    Attributes:
        method: As the client sent it.
        uri: The request target, as the client sent it.
        path: Its path.
        query: Its query.
        version: (1, 1) or (1, 0).
        headers: The header fields as (NAME, value).
    """

    def __init__(self, line: dict[str, Any]) -> None:
        """Creates the request of a line."""
        self.method: str = line["method"]
        self.uri: str = line["uri"]
        self.path: str = line["uri"].partition("?")[0]
        self.query: str = line["query"]
        self.version = (1, 0) if line["protocol"] == "HTTP/1.0" else (1, 1)
        self.headers = [(name.upper(), value) for name, value in line["fields"]]


class Response:
    """What a logger class's ``access`` gets for an answer.

    Attributes:
        status: Such as "200 OK".
        status_code: Its number.
        headers: The application's header fields as (name, value).
        sent: The bytes of the body.
        response_length: As the application's Content-Length says, or None.
    """

    headers_sent = True

    def __init__(self, line: dict[str, Any]) -> None:
        """Creates the answer of a line."""
        self.status_code: int = line["status"]
        self.status = f"{line['status']} {line['reason']}"
        self.headers = [(name, value) for name, value in line["answer"]]
        self.sent: int = line["sent"]
        lengths = [int(value) for name, value in self.headers if name.lower() == "content-length"]
        self.response_length = lengths[-1] if lengths else None


class _ClassAccess:
    """Calls a logger class's ``access`` as gunicorn's workers do."""

    def __init__(self, logger: Any) -> None:
        from datetime import timedelta

        from gowsgi.embed import base_environ

        self._logger = logger
        self._base = base_environ()
        self._duration = timedelta

    def log(self, line: dict[str, Any]) -> None:
        environ = self._base | {
            "REQUEST_METHOD": line["method"],
            "RAW_URI": line["uri"],
            "SERVER_PROTOCOL": line["protocol"],
            "REMOTE_ADDR": line["address"],
        }
        environ.update(line["environ"])
        took = self._duration(microseconds=line["took"])
        self._logger.access(Response(line), Request(line), environ, took)
