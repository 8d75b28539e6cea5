"""What server hooks get in place of gunicorn's Arbiter, Worker, Config and Logger.

The attributes are those that configuration files are seen to use. As in gunicorn
hooks may add more: what ``pre_fork`` stores in a worker, ``post_fork`` finds there.
"""

from __future__ import annotations

import os
import signal
import sys

from gowsgi import apps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from gowsgi.config import Config

# Ended workers whose objects are kept for a child_exit that may still come.
_ENDED_KEPT = 100

# Settings that are "" in gunicorn too; its others are None.
_EMPTY = ("dogstatsd_tags", "statsd_prefix", "root_path")


class Setting:
    """One entry of ``cfg.settings``."""

    def __init__(self, name: str, value: Any) -> None:
        """Creates a setting with a value."""
        self.name = name
        self.value = value

    def get(self) -> Any:
        """Returns the value."""
        return self.value

    def set(self, value: Any) -> None:
        """Changes what hooks see; the server has read its settings before."""
        self.value = value


class Cfg:
    """``server.cfg``: every setting as an attribute, also those with their defaults."""

    settings: dict[str, Setting]

    def __init__(self, values: Mapping[str, Any], config: Config, known: Mapping[str, str]) -> None:
        """Creates it of the final values.

        Args:
            values: By name, as JSON has them.
            config: What the file says; its functions and objects come from there.
            known: The kinds of all settings.
        """
        settings: dict[str, Setting] = {}
        for name, value in values.items():
            kind = known.get(name)
            if name in config.originals and value == config.settings.get(name):
                value = config.originals[name]
            elif kind == "hook":
                value = config.hooks.get(name, _nothing)
            elif kind == "list" and value is None:
                value = []
            elif value == "" and name not in _EMPTY:
                value = None
            settings[name] = Setting(name, value)
        object.__setattr__(self, "settings", settings)
        self.env_orig = os.environ.copy()

    def __getattr__(self, name: str) -> Any:
        # By way of the dict: a copy that is being made has no settings yet.
        try:
            return self.__dict__["settings"][name].value
        except KeyError:
            raise AttributeError(f"there is no setting {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("settings", ()):
            self.settings[name].value = value
        else:
            object.__setattr__(self, name, value)

    def set(self, name: str, value: Any) -> None:
        """Changes what hooks see of a setting."""
        if name not in self.settings:
            raise AttributeError(f"there is no setting {name!r}")
        self.settings[name].value = value

    def _get(self, name: str, default: Any = None) -> Any:
        setting = self.settings.get(name)
        return default if setting is None else setting.value

    @property
    def address(self) -> list[Any]:
        """What is bound: (host, port), a unix socket's path or a descriptor each."""
        return [_address(text) for text in self._get("bind") or ()]

    @property
    def env(self) -> dict[str, str]:
        """The variables of raw_env."""
        pairs = (text.partition("=") for text in self._get("raw_env") or ())
        return {name: value for name, equals, value in pairs if equals}

    @property
    def worker_class_str(self) -> str:
        """The worker class as gunicorn names it in its log."""
        name = self._get("worker_class") or "sync"
        if isinstance(name, type):
            return name.__name__
        return "gthread" if name == "sync" and (self._get("threads") or 1) > 1 else str(name)

    @property
    def proc_name(self) -> str:
        """The processes' name."""
        return str(self._get("proc_name") or self._get("default_proc_name") or "gunicorn")

    @property
    def is_ssl(self) -> bool:
        """Tells whether TLS is served."""
        return bool(self._get("certfile") or self._get("keyfile"))

    @property
    def uid(self) -> int:
        """The number of the workers' user."""
        user = self._get("user")
        if user is None or str(user).isdigit():
            return os.geteuid() if user is None else int(user)
        from pwd import getpwnam

        return getpwnam(user).pw_uid

    @property
    def gid(self) -> int:
        """The number of the workers' group."""
        group = self._get("group")
        if group is None or str(group).isdigit():
            return os.getegid() if group is None else int(group)
        from grp import getgrnam

        return getgrnam(group).gr_gid


def _nothing(*args: Any) -> None:
    """Stands for a hook that the file does not have."""


def _address(text: str) -> Any:
    if text.startswith("unix:"):
        return text[5:].removeprefix("//")
    if text.startswith("fd://"):
        return int(text[5:])
    host, colon, port = text.removeprefix("tcp://").removeprefix("http://").rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, "8000"
    return host.strip("[]").lower() or "0.0.0.0", int(port)


class App:
    """``server.app`` and ``worker.app``: gunicorn's application object.

    Attributes:
        app_uri: The spec of the application; "" before it is known.
        callable: The application once it is loaded, or what a hook puts there.
    """

    def __init__(self) -> None:
        """Creates one whose application is not loaded."""
        self.cfg: Cfg | None = None
        self.app_uri = ""
        self.callable: Callable[..., Any] | None = None

    def wsgi(self) -> Callable[..., Any]:
        """Returns the application, which is imported if that has not been done."""
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def load(self) -> Callable[..., Any]:
        """Imports the application."""
        return apps.load(self.app_uri)


class Listener:
    """One of ``server.LISTENERS``."""

    def __init__(self, fd: int) -> None:
        """Creates one for a listening descriptor, which stays the caller's."""
        self._fd = fd

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._fd

    def getsockname(self) -> Any:
        """Returns the address as the socket module has it."""
        import socket

        # A duplicate that is closed at once: an object on the descriptor itself
        # would close it when it is collected.
        with socket.socket(fileno=os.dup(self._fd)) as duplicate:
            return duplicate.getsockname()

    def __str__(self) -> str:
        address = self.getsockname()
        if isinstance(address, tuple):
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            return f"http://{host}:{address[1]}"
        return f"unix:{os.fsdecode(address)}"


class _Tmp:
    """``worker.tmp``: gunicorn's heartbeat file, which is not needed here."""

    def notify(self) -> None:
        pass

    def last_update(self) -> float:
        from time import monotonic

        return monotonic()

    def close(self) -> None:
        pass


class Worker:
    """What hooks get for a worker, in its process and in the master's.

    Attributes:
        pid: Its process number, "[booting]" before there is a process.
        age: Its number in the order of starts.
        ppid: The master's process number.
        nr: How many requests it has taken, where request hooks count them.
        booted: It has loaded the application.
        exitcode: How it ended, in ``child_exit``: as ``multiprocessing`` has it.
    """

    log: Any
    wsgi: Callable[..., Any]

    def __init__(self, server: Server, age: int) -> None:
        """Creates a worker that has no process yet."""
        self._server = server
        self._alive = True
        self._serving = False
        self.pid: int | str = "[booting]"
        self.age = age
        self.ppid = server.pid
        self.app = server.app
        self.cfg = server.cfg
        self.timeout = (server.cfg._get("timeout") or 0) / 2
        self.max_requests = server.cfg._get("max_requests") or sys.maxsize
        self.nr = 0
        self.booted = False
        self.aborted = False
        self.reloader = None
        self.exitcode: int | None = None
        self.tmp = _Tmp()

    def __getattr__(self, name: str) -> Any:
        if name == "log":
            return self._server.log
        if name == "sockets":
            return self._server.LISTENERS
        raise AttributeError(f"a worker has no attribute {name!r}")

    @property
    def alive(self) -> bool:
        """Tells that the worker shall go on.

        A hook that sets it to False, as those do that look at the memory in
        use, has the worker finish its requests and be replaced.
        """
        return self._alive

    @alive.setter
    def alive(self, value: bool) -> None:
        leave = self._alive and not value and self._serving
        self._alive = value
        if leave:
            os.kill(os.getpid(), signal.SIGTERM)

    def notify(self) -> None:
        """Does nothing: the server looks itself whether the worker lives."""

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"


class Server:
    """What hooks get for gunicorn's Arbiter.

    Attributes:
        pid: The master's process number.
        WORKERS: The workers by their process numbers.
        num_workers: How many there shall be.
        worker_age: The age of the youngest.
        address: What is bound, as ``cfg.address``.
    """

    log: Any
    LISTENERS: list[Listener]

    master_name = "Master"
    master_pid = 0
    reexec_pid = 0
    systemd = False

    def __init__(self, pid: int, cfg: Cfg) -> None:
        """Creates it.

        Args:
            pid: The master's process number.
            cfg: The settings, which ``settle`` may replace.
        """
        self.pid = pid
        self.app = App()
        self.WORKERS: dict[int, Worker] = {}
        self.worker_age = 0
        self._descriptors: Sequence[int] = ()
        self._workers: dict[int, Worker] = {}  # those that have ended too
        self.settle(cfg)

    def __getattr__(self, name: str) -> Any:
        if name == "log":
            from gowsgi import logs

            self.log = logs.logger()
            return self.log
        if name == "LISTENERS":
            self.LISTENERS = [Listener(fd) for fd in self._descriptors]
            return self.LISTENERS
        raise AttributeError(f"a server has no attribute {name!r}")

    def listen(self, descriptors: Sequence[int]) -> None:
        """Takes the listening sockets, which are here during a fork only."""
        self._descriptors = descriptors
        self.__dict__.pop("LISTENERS", None)

    def settle(self, cfg: Cfg) -> None:
        """Takes the final settings."""
        self.cfg = self.app.cfg = cfg
        self.app.app_uri = self.app.app_uri or cfg._get("wsgi_app") or ""
        self.address = cfg.address
        self.num_workers = cfg._get("workers") or 1
        self.timeout = cfg._get("timeout")
        self.proc_name = cfg.proc_name

    def update(self, args: Mapping[str, Any]) -> None:
        """Takes what the master says of itself and its workers with a request."""
        self.pid = args.get("pid", self.pid)
        self.num_workers = args.get("num_workers", self.num_workers)
        if "address" in args:
            self.address = [_address(one) if isinstance(one, str) else tuple(one) for one in args["address"]]
        if "workers" in args:
            self.WORKERS = {one["pid"]: self.worker(one) for one in args["workers"]}
        else:
            self.WORKERS = {pid: worker for pid, worker in self.WORKERS.items() if _exists(pid)}
        ended = [pid for pid in self._workers if pid not in self.WORKERS]
        for pid in ended[:-_ENDED_KEPT]:
            del self._workers[pid]

    def add(self, worker: Worker, pid: int) -> None:
        """Takes a worker that has been forked."""
        worker.pid = pid
        self._workers.pop(pid, None)  # an ended one's number may come again
        self._workers[pid] = self.WORKERS[pid] = worker

    def worker(self, args: Mapping[str, Any]) -> Worker:
        """Returns the object of a worker: the one that its hooks have seen."""
        pid: int = args["pid"]
        worker = self._workers.get(pid)
        if worker is None:
            worker = self._workers[pid] = Worker(self, args.get("age", 0))
            worker.pid = pid
            worker.booted = True
        return worker


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
