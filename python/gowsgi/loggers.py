"""What gunicorn's ``glogging`` does with Python's ``logging``, for the server's lines.

The names, formats and defaults are gunicorn's, so that what was written for it finds
what it looks for.
"""

from __future__ import annotations

import logging
import os
import time
from _thread import allocate_lock, start_new_thread  # as they are before an app patches threading
from os import read
from select import POLLIN, poll

from gowsgi.logs import has_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gowsgi.streams import ErrorStream

ERROR_FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
DATE_FORMAT = "[%Y-%m-%d %H:%M:%S %z]"

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

_DRAIN_LIMIT = 2.0  # seconds, at the end


def set_up(cfg: Any, errors: ErrorStream, access: ErrorStream, own_class: Any) -> Any:
    """Gives the two loggers their handlers, levels and the log configuration.

    Args:
        cfg: The settings as attributes.
        errors: Where the error log is written.
        access: Where the access log is written, if there is one.
        own_class: A logger class, or MODULE.CLASS; None for none.

    Returns:
        An object like gunicorn's ``Logger``.

    Raises:
        LogError: If the log configuration or the logger class is of no use.
    """
    error_log, access_log = loggers()
    error_log.propagate = access_log.propagate = False
    error_log.setLevel(LEVELS.get(str(cfg.loglevel).lower(), logging.INFO))
    access_log.setLevel(logging.INFO)
    _add(error_log, errors, _formatter(cfg, ERROR_FORMAT))
    if cfg.accesslog:
        _add(access_log, access, _formatter(cfg, "%(message)s"))
    if own_class is not None:
        from gowsgi.logconfig import make

        return make(own_class, cfg)
    if cfg.syslog:
        from gowsgi.logconfig import add_syslog

        add_syslog(cfg)
    if has_config(cfg):
        from gowsgi.logconfig import configure

        configure(cfg)
    return Logger(cfg)


def reopen(logger: Any) -> None:
    """Opens the files of Python's handlers anew, as gunicorn does on USR1."""
    own = getattr(logger, "reopen_files", None)
    if own is not None and not isinstance(logger, Logger):
        own()
        return
    every = [logging.root, *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    handlers = {id(handler): handler for log in every for handler in log.handlers}
    for handler in handlers.values():
        if isinstance(handler, logging.FileHandler):
            _reopen_handler(handler)


def read_lines(fd: int, logger: Any, reopen: Callable[[], None]) -> None:
    """Starts a thread that hands the server's lines to a logger.

    Args:
        fd: Where they come from; it is closed when they end.
        logger: What ``set_up`` returned.
        reopen: Called when the server opens its files anew.
    """
    _Reader(fd, logger, reopen).start()


class Logger:
    """gunicorn's ``Logger`` as hooks use it: ``server.log`` and ``worker.log``.

    Attributes:
        cfg: The settings.
        error_log: The logger "gunicorn.error".
        access_log: The logger "gunicorn.access".
    """

    def __init__(self, cfg: Any) -> None:
        """Creates it over the two loggers."""
        self.cfg = cfg
        self.error_log, self.access_log = loggers()

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at this level, as the other methods do at theirs."""
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """See critical."""
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """See critical."""
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """See critical."""
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """See critical."""
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs an error with the traceback of the exception that is being handled."""
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at a level given by its number or name."""
        level = LEVELS.get(lvl.lower(), logging.INFO) if isinstance(lvl, str) else lvl
        self.error_log.log(level, msg, *args, **kwargs)

    def reopen_files(self) -> None:
        """Opens the files of Python's handlers anew."""
        reopen(self)


def loggers() -> tuple[logging.Logger, logging.Logger]:
    """Returns "gunicorn.error" and "gunicorn.access"."""
    return logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")


def _formatter(cfg: Any, form: str) -> logging.Formatter:
    if cfg.log_json:
        from gowsgi.logconfig import JSONFormatter

        return JSONFormatter()
    return logging.Formatter(form, DATE_FORMAT)


def _add(log: logging.Logger, stream: ErrorStream, formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler._gunicorn = True  # type: ignore[attr-defined]  # gunicorn's own Logger replaces it then
    log.addHandler(handler)


def _reopen_handler(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        old = handler.stream
        if old is not None:  # else it opens its file with the next record
            handler.stream = handler._open()
            old.close()
    finally:
        handler.release()


class _Reader:
    def __init__(self, fd: int, logger: Any, reopen: Callable[[], None]) -> None:
        self._fd = fd
        self._logger = logger
        self._kinds: dict[str, Callable[[dict[str, Any]], None]] = {"reopen": lambda line: reopen()}
        self._busy = allocate_lock()
        self._failed: set[str] = set()

    def start(self) -> None:
        import atexit

        runs = allocate_lock()
        runs.acquire()
        start_new_thread(self._run, (runs.release,))
        # A process that ends while a thread of it begins is aborted by CPython 3.10.
        runs.acquire(timeout=_DRAIN_LIMIT)
        atexit.register(self._drain, os.getpid())

    def _run(self, begun: Callable[[], None]) -> None:
        begun()
        from gowsgi.embed import register_thread

        register_thread("gowsgi-logs")
        rest, fd = b"", self._fd
        poller = poll()
        poller.register(fd, POLLIN)
        while True:
            poller.poll()
            # What was read is on its way to the logs until the lock is free again.
            with self._busy:
                data = read(fd, 65536)
                if not data:
                    self._fd = -1
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._take(line)
        os.close(fd)

    def _take(self, text: bytes) -> None:
        from json import loads

        kind = ""
        try:
            line = loads(text)
            kind = line["kind"]
            if kind not in self._kinds:
                from gowsgi.logconfig import takers

                self._kinds |= takers(self._logger)
            self._kinds[kind](line)
        except BaseException as exc:
            if kind in self._failed:
                return
            self._failed.add(kind)
            from gowsgi.embed import base_environ
            from gowsgi.errors import format_exception

            base_environ()["wsgi.errors"].write(
                f"gowsgi: a line of kind {kind!r} cannot be logged; this is told once\n{format_exception(exc)}"
            )

    def _drain(self, pid: int) -> None:
        """Waits until the lines that were sent are logged, at the process's end."""
        deadline = time.monotonic() + _DRAIN_LIMIT
        if os.getpid() != pid:
            return
        while time.monotonic() < deadline and self._is_readable():
            time.sleep(0.002)
        if self._busy.acquire(timeout=max(0, deadline - time.monotonic())):
            self._busy.release()

    def _is_readable(self) -> bool:
        fd = self._fd
        if fd < 0:
            return False
        poller = poll()
        poller.register(fd, POLLIN)
        return any(event & POLLIN for _, event in poller.poll(0))
