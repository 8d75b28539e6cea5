"""The server's logs in Python: the loggers "gunicorn.error" and "gunicorn.access".

Apps take their handlers over, hooks write to them, and a log configuration or a
logger class gets the server's own lines as well. What costs time, the import of
``logging`` above all, waits until somebody needs it.
"""

from __future__ import annotations

import os
import sys

from gowsgi.apps import AppError
from gowsgi.streams import ErrorStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# Classes of gunicorn's that the server stands in for.
_DEFAULT_CLASSES = (None, "", "simple", "gunicorn.glogging.Logger", "gunicorn.instrument.statsd.Statsd")


# Opening these fails where they are sockets, as under systemd.
_STREAMS = {f"{folder}/{fd}": fd for folder in ("/dev/fd", "/proc/self/fd") for fd in (1, 2)}
_STREAMS |= {"/dev/stdout": 1, "/dev/stderr": 2}


class LogError(AppError):
    """The logs cannot be set up as the settings ask."""


class _Logs:
    def __init__(self) -> None:
        self.cfg: Any = None
        self.logger: Any = None
        self.is_set_up = False
        self.lines = -1  # the descriptor that the server's lines come from
        self.pid = 0  # of the process that is to read it
        # Where the loggers write to, unless a configuration says otherwise.
        self.errors = ErrorStream(2)
        self.access = ErrorStream(1)
        # Logs that this process has opened itself.
        self.paths: dict[int, str] = {}
        self.captured = -1  # which of them gets what is printed


_logs = _Logs()


def setup(options: Mapping[str, Any]) -> None:
    """Takes the logs that the server has opened, in the process that serves.

    Args:
        options: ``error_fd`` and ``access_fd``, descriptors that stay the server's,
            the latter -1 without an access log; ``lines_fd``, which becomes this
            module's; and ``cfg``, the settings by gunicorn's names and
            ``log_json``, unless ``configure`` was called before.

    Raises:
        LogError: If the log configuration or the logger class is of no use.
    """
    _logs.errors.use(options["error_fd"])
    if options["access_fd"] >= 0:
        _logs.access.use(options["access_fd"])
    for fd in _logs.paths:
        os.close(fd)
    _logs.paths.clear()
    _logs.captured = -1  # the server's to do
    _logs.lines, _logs.pid = options["lines_fd"], os.getpid()
    if _logs.cfg is None:
        _settle(type(sys.implementation)(**options["cfg"]))
    elif _logs.is_set_up:
        _read_lines()


def configure(cfg: Any) -> None:
    """Sets the logs up where no server has opened them, as in a zygote.

    Args:
        cfg: The settings as attributes.

    Raises:
        LogError: See ``setup``; also if a log cannot be opened.
    """
    for name, stream in (("errorlog", _logs.errors), ("accesslog", _logs.access)):
        path = getattr(cfg, name)
        if path in _STREAMS:
            stream.use(_STREAMS[path])
        elif path and path != "-":
            fd = _open(os.path.abspath(path))
            stream.use(fd)
            if name == "errorlog" and cfg.capture_output:
                _logs.captured = fd
                _capture()
    _settle(cfg)


def logger() -> Any:
    """Returns what gunicorn's hooks know as ``server.log``."""
    set_up()
    return _logs.logger


def reopen() -> None:
    """Opens log files anew: those of this module and of Python's handlers."""
    for fd, path in _logs.paths.items():
        new = _open(path)
        os.dup2(new, fd, inheritable=False)
        del _logs.paths[new]
        os.close(new)
    _capture()
    if "logging" in sys.modules:
        from gowsgi import loggers

        loggers.reopen(_logs.logger)


def set_up() -> None:
    """Sets up the loggers unless that was done.

    Raises:
        LogError: See ``setup``.
    """
    if _logs.is_set_up:
        return
    _logs.is_set_up = True
    import logging  # noqa: F401  # loggers imports it too: the hook must not run amid that

    from gowsgi import loggers

    _logs.logger = loggers.set_up(_logs.cfg, _logs.errors, _logs.access, own_class(_logs.cfg))
    _read_lines()


def has_config(cfg: Any) -> bool:
    """Tells whether there is a log configuration."""
    return bool(cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json)


def own_class(cfg: Any) -> Any:
    """Returns the logger class that a configuration names, or None for the server's."""
    wanted = cfg.logger_class
    name = f"{wanted.__module__}.{wanted.__qualname__}" if isinstance(wanted, type) else wanted
    return None if name in _DEFAULT_CLASSES else wanted


def _settle(cfg: Any) -> None:
    _logs.cfg = cfg
    for stream in (_logs.errors, _logs.access):
        os.register_at_fork(after_in_child=stream.after_fork)
    if has_config(cfg) or own_class(cfg) or "logging" in sys.modules:
        set_up()
    else:
        sys.meta_path.insert(0, _Hook(_set_up_quietly))


def _set_up_quietly() -> None:
    # The app's import of logging must not fail because of the server's logs.
    try:
        set_up()
    except Exception as exc:
        from gowsgi.errors import format_exception

        _logs.errors.write(f"gowsgi: the loggers are not set up\n{format_exception(exc)}")


def _read_lines() -> None:
    # Not in a child that the app has forked: the lines are its parent's.
    if _logs.lines >= 0 and _logs.pid == os.getpid():
        from gowsgi import loggers

        loggers.read_lines(_logs.lines, _logs.logger, reopen)
        _logs.lines = -1


def _capture() -> None:
    if _logs.captured >= 0:
        os.dup2(_logs.captured, 1)
        os.dup2(_logs.captured, 2)


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise LogError(f"the log {path!r} cannot be opened: {exc.strerror}") from None
    _logs.paths[fd] = path
    return fd


class _Hook:
    """Calls a function once, right after the import of ``logging``."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Finds what the other finders find."""
        if name != "logging":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._watch(spec.loader)
                return spec
        return None

    def _watch(self, loader: Any) -> None:
        run = getattr(loader, "exec_module", None)
        if run is None or isinstance(loader, type):
            return  # no loader of this module alone: the loggers wait for logger()

        def exec_module(module: Any) -> None:
            run(module)
            if module.__name__ == "logging" and self in sys.meta_path:
                sys.meta_path.remove(self)
                self._then()

        loader.exec_module = exec_module
