"""What the server calls in the embedded interpreter.

Arguments and results are simple things, so that the C side needs no more than
strings, ints and calls. ``setup`` comes first, once, on the interpreter's main
thread (the one that initialised it); the rest says where it may run.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading

from gowsgi import __version__, apps, errors, stacks
from gowsgi.signals import SignalGuard
from gowsgi.streams import BodyFile, ErrorStream, FileWrapper, open_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gowsgi.hooks import Hooks

__all__ = [
    "BodyFile",
    "ErrorStream",
    "ExecutorThread",
    "FileWrapper",
    "base_environ",
    "before_exit",
    "configure",
    "describe_error",
    "dump_later",
    "dump_stacks",
    "failure",
    "format_exception",
    "import_from_here",
    "import_module",
    "info",
    "load",
    "new_files",
    "open_body",
    "ping",
    "register_thread",
    "run_exit_handlers",
    "setup",
    "use_folders",
    "use_hooks",
    "worker_hook",
]

describe_error = errors.describe
format_exception = errors.format_exception


class SetupError(apps.AppError):
    """The interpreter cannot be set up as the options ask."""


class _Server:
    """What setup decided, for the functions below."""

    def __init__(self) -> None:
        self.errors = ErrorStream(2)
        self.guard = SignalGuard(lambda text: self.errors.write(text))
        self.alarm = stacks.Alarm()
        self.app_dir = ""
        self.threads = 1
        self.multiprocess = False
        self.failure: apps.AppError | None = None
        self.is_set_up = False
        self.hooks: Hooks | None = None


_server = _Server()


def setup(options_json: str) -> None:
    """Prepares the interpreter for the app. Main thread only.

    A process that was forked after setup and becomes a server of its own calls
    it again: then only the signals are guarded anew.

    Args:
        options_json: An object with any of ``chdir`` (str), ``pythonpath``
            (list of str), ``argv`` (list of str), ``error_fd`` (int, 2),
            ``threads`` (int, 1), ``multiprocess`` (bool), ``owned_signals``
            (list of names), ``logs`` (see ``gowsgi.logs.setup``), ``uwsgi`` (see
            ``gowsgi.uwsgi_compat.install``), ``reload`` (bool): the app's files
            are edited all the time, ``app_dir`` (str): what comes first in
            sys.path in place of the current folder, ``library`` (bool): the
            process is a Go program's, whose folder is not to be changed, and
            ``deferred`` (bool): ``configure`` will be called with what it takes
            once that is known.

    Raises:
        SetupError: If the folder cannot be entered.
        LogError: If the log configuration is of no use.
    """
    from json import loads

    options: dict[str, Any] = loads(options_json)
    _server.guard.install(options.get("owned_signals") or (), library=options.get("library", False))
    if options.get("reload"):
        from gowsgi import reload

        reload.keep_no_fresh_bytecode()
    if _server.is_set_up:
        _use_uwsgi(options)
        _server.errors.use(options.get("error_fd", 2))
        _use_logs(options)
        return
    _server.is_set_up = True
    _server.alarm.guard()
    _server.errors = ErrorStream(options.get("error_fd", 2))
    atexit.register(before_exit)  # the first registered runs last
    os.register_at_fork(after_in_child=_server.errors.after_fork)
    sys.argv = list(options.get("argv") or ["gowsgi"])
    _server.app_dir = options.get("app_dir") or ""
    _flush_at_line_ends()
    if not options.get("deferred"):
        configure(options)
        _use_logs(options)


def configure(options: dict[str, Any]) -> None:
    """Takes the options of ``setup`` that a configuration file may decide.

    Args:
        options: ``chdir``, ``pythonpath``, ``threads``, ``multiprocess``,
            ``uwsgi`` and ``library`` as ``setup`` has them, and ``env`` (list of
            "NAME=VALUE").

    Raises:
        SetupError: If the folder cannot be entered.
    """
    for pair in options.get("env") or []:
        name, _, value = pair.partition("=")
        os.environ[name] = value
    _server.threads = options.get("threads", 1)
    _server.multiprocess = options.get("multiprocess", False)
    if not options.get("library"):  # whose folders come with each load: use_folders
        _set_paths(_enter(options.get("chdir") or ""), options.get("pythonpath") or [])
    _use_uwsgi(options)


def _use_uwsgi(options: dict[str, Any]) -> None:
    if options.get("uwsgi") is not None:
        from gowsgi import uwsgi_compat

        uwsgi_compat.install(options["uwsgi"])


def dump_later(seconds: float) -> Callable[[], None]:
    """Has all stacks written to stderr at a time, unless the process has forked.

    Args:
        seconds: From now.

    Returns:
        What calls that off. It must not be called in a forked process.
    """
    return _server.alarm.stop if _server.alarm.wind(seconds, 2) else _nothing


def import_from_here() -> None:
    """Has modules of the current folder found, as those of ``configure``'s then are.

    Raises:
        SetupError: If the folder cannot be read.
    """
    _set_paths(_enter(""), [])


def load(spec: str) -> Callable[..., Any]:
    """Returns the application that a spec names; see ``gowsgi.apps.load``.

    Where a configuration file has been read it may be loaded already, and comes
    with the request hooks around it.
    """
    apps.parse(spec)  # an error in it is not the app's, and no save mends it
    if _server.hooks is None or _server.failure is not None:  # gowsgi.reload's in its place
        load = apps.load
    else:
        load = _server.hooks.load
    try:
        return load(spec)
    except apps.AppError as exc:
        _server.failure = exc
        raise


def use_folders(request_json: str) -> str:
    """Makes modules importable; see ``gowsgi.library.use_folders``. Main thread only.

    Args:
        request_json: An object with ``folders`` (list of absolute paths) and
            ``module``.

    Returns:
        An empty string.
    """
    from json import loads

    from gowsgi import library

    request = loads(request_json)
    library.use_folders(request["folders"], request["module"])
    return ""


def import_module(name: str) -> str:
    """Imports a module. Main thread only, as many modules expect.

    Args:
        name: Its dotted name.

    Returns:
        An empty string.
    """
    __import__(name)
    return ""


def failure() -> apps.AppError | None:
    """Returns why the app did not load, or None."""
    return _server.failure


def new_files(known: str) -> str:
    """Returns the app's files; see ``gowsgi.reload.new_files``. One thread at a time."""
    from gowsgi import reload

    return reload.new_files(known)


def use_hooks(hooks: Hooks) -> None:
    """Takes the hooks of the configuration file, in the process that reads it."""
    _server.hooks = hooks


def worker_hook(request_json: str) -> str:
    """Runs a hook of the configuration file in a worker. Any thread.

    Args:
        request_json: An object with ``name``, and ``nr`` if the server knows how
            many requests the worker has taken.

    Returns:
        An empty string, also where there is no such hook.

    Raises:
        BootHookError: If a hook raised without which the worker cannot begin.
    """
    if _server.hooks is None and "uwsgi" not in sys.modules:
        return ""
    from json import loads

    request = loads(request_json)
    if _server.hooks is not None:
        _server.hooks.run_in_worker(request["name"], request)
    if request["name"] == "post_worker_init":
        from gowsgi import uwsgi_compat

        uwsgi_compat.after_fork()
    return ""


def base_environ() -> dict[str, Any]:
    """Returns a new dict with what every request's environ holds alike."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": f"gowsgi/{__version__}",
        "wsgi.version": (1, 0),
        "wsgi.errors": _server.errors,
        "wsgi.multithread": _server.threads > 1,
        "wsgi.multiprocess": _server.multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


class ExecutorThread(threading._DummyThread):
    """A thread of the server's, as ``threading`` shows it.

    It is alive as long as the process, daemonic and cannot be joined, as the
    dummies that ``threading`` makes for threads it did not start: interpreter
    shutdown does not wait for it.
    """


def register_thread(name: str) -> None:
    """Makes this thread known to ``threading`` under a name.

    The main thread keeps its name, since apps compare with
    ``threading.main_thread()``: call this on it or not.

    Args:
        name: The name, as in logs and stack dumps.
    """
    if threading.get_ident() == threading.main_thread().ident:
        return
    thread = ExecutorThread()
    thread.name = name
    # Up to 3.12 a dummy lacks the lock that shutdown asks of a main thread, which
    # this one becomes in a child that the app forks from it.
    if getattr(thread, "_tstate_lock", thread) is None:
        thread._set_tstate_lock()  # type: ignore[attr-defined]


def run_exit_handlers(signum: int | str) -> None:
    """Runs what the app registered for a signal that stops the server.

    Main thread only. What a handler raises is reported and goes no further.

    Args:
        signum: The number of the signal, also as text.
    """
    _server.guard.run(int(signum))


def info() -> str:
    """Describes the interpreter as a JSON object. Any thread."""
    from json import dumps

    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    description = {
        "implementation": sys.implementation.name,
        "version": ".".join(map(str, sys.version_info[:3])) + _release(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": [str(entry) for entry in sys.path],
        "gil": gil_enabled,
        "platform": f"{sys.platform}-{os.uname().machine}",
        "threads": [thread.name for thread in threading.enumerate()],
    }
    return dumps(description)


def dump_stacks() -> str:
    """Returns the stacks of all other threads as JSON. Any thread."""
    from json import dumps

    return dumps([{"ident": ident, "stack": stack} for ident, stack in stacks.dump()])


def ping(alarm: str) -> str:
    """Does little but run, and puts the alarm off. Any thread.

    Args:
        alarm: In how many seconds without another ping the stacks go to which
            descriptor, as in ``"60.0 7"``.

    Returns:
        "set", or an empty string where the app uses the alarm.
    """
    seconds, fd = alarm.split()
    return "set" if _server.alarm.wind(float(seconds), int(fd)) else ""


def before_exit() -> None:
    """Flushes the standard streams and ``wsgi.errors``. Never raises."""
    for stream in (sys.stdout, sys.stderr, _server.errors):
        try:
            stream.flush()
        except Exception:  # None, closed, a broken pipe, the app's own object
            pass


def _nothing() -> None:
    """Calls nothing off."""


def _release() -> str:
    info = sys.version_info
    return "" if info.releaselevel == "final" else f"{info.releaselevel[:1]}{info.serial}"


def _flush_at_line_ends() -> None:
    # Not on a terminal, the interpreter would buffer print() by the block.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        except Exception:  # None where the descriptor was closed
            pass


def _use_logs(options: dict[str, Any]) -> None:
    if options.get("logs"):
        from gowsgi import logs

        logs.setup(options["logs"])


def _enter(folder: str) -> str:
    """Changes to a folder and returns its path, by its symlinks if possible."""
    logical = os.environ.get("PWD", "")
    if not _is_current(logical):
        try:
            logical = os.getcwd()
        except OSError as exc:
            if not os.path.isabs(folder):
                raise SetupError(f"the current folder cannot be read: {exc.strerror}") from None
    if folder:
        try:
            os.chdir(folder)
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise SetupError(f"cannot change to the folder {folder!r}: {reason}") from None
        logical = os.path.normpath(os.path.join(logical, folder))
    return logical if _is_current(logical) else os.getcwd()


def _is_current(path: str) -> bool:
    try:
        return os.path.isabs(path) and os.path.samefile(path, ".")
    except OSError:
        return False


def _set_paths(current: str, pythonpath: list[str]) -> None:
    first = _server.app_dir or current
    if sys.path[:1] != [first]:
        sys.path.insert(0, first)
    # One after another at the front, as gunicorn does: the last one given wins.
    for entry in pythonpath:
        path = os.path.abspath(entry)
        if path not in sys.path:
            sys.path.insert(0, path)
