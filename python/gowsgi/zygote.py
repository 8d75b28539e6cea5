"""The process that reads the configuration file and forks workers.

It is one CPython without a Go runtime: Go cannot fork, but a runtime can start in
a child whose Python is warm. The master asks over a socket, one JSON object a
packet, and each request gets one answer; ``limit`` is how many seconds the master
waits for it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal only records, for signals that are owned
import os
import signal
import socket
from time import monotonic, sleep

from gowsgi import config, embed, errors, logs
from gowsgi.hooks import HookError, Hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO, NoReturn

    from gowsgi.standins import Worker

# The kernel lets a sender have some 200 KiB unread.
_PACKET = 256 << 10
_ANSWER = 128 << 10
_FILES = 253  # the kernel's bound of descriptors in one packet
_SHORT = 16384  # of a traceback that makes an answer too long

# Bounds of waits, in seconds.
_FORK_LIMIT = 10.0
_ADOPTION_LIMIT = 5.0
_EXIT_LIMIT = 10.0

# How much earlier than the master's patience ends stderr gets the stack of what hangs.
_DUMPING = 2.0
_LONG = 3600.0

# A terminal or an init system sends these to every process: what the master makes
# of them counts.
_IGNORED = tuple(
    getattr(signal, f"SIG{name}") for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "TTIN", "TTOU")
)


def run(fd: int) -> str:
    """Does what the master asks until it asks no more. Main thread only.

    Args:
        fd: A SOCK_SEQPACKET socket to the master.

    Returns:
        In a forked worker alone, a JSON object: ``line``, the descriptor of the
        worker's line to the master, ``listeners``, descriptors too, and
        ``environ``, the variables that Python has set or (null) unset. In this
        process itself the function does not return.
    """
    for number in _IGNORED:
        _signal.signal(number, _ignore)
    # As every python does; a hook that writes to a closed socket would end it all.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_IGN)
    zygote = _Zygote(fd)
    embed.use_hooks(zygote.hooks)
    return zygote.serve()


def _ignore(signum: int, frame: object) -> None:
    """Ignores a signal in this process, but not in the programs that it starts."""


class _Zygote:
    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._environ = dict(os.environ)  # as Go will find it in a worker
        self._known: dict[str, str] = {}
        self.hooks = Hooks(os.getppid())
        self._requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "config": self._config,
            "settings": self._settings,
            "load": self._load,
            "hook": self._hook,
            "reopen": self._reopen,
        }

    def serve(self) -> str:
        """Answers requests; returns in a worker, with its descriptors."""
        from json import dumps, loads

        while True:
            packet, files = self._receive()
            if not packet:
                _leave()
            try:
                request = loads(packet)
                answer = self._answer_in_time(request, files)
            except BaseException as exc:  # a hook's sys.exit() too
                answer = {"error": _describe(exc)}
            if self.hooks.worker is not None:
                return dumps({"line": files[0], "listeners": files[1:], "environ": self._changes()})
            for file in files:
                os.close(file)
            embed.before_exit()  # what was printed comes before what the master makes of it
            self._send(answer)
            if "leave" in answer:
                _leave()

    def _changes(self) -> dict[str, str | None]:
        before, now = self._environ, os.environ
        changed: dict[str, str | None] = {name: text for name, text in now.items() if before.get(name) != text}
        return changed | dict.fromkeys(name for name in before if name not in now)

    def _answer_in_time(self, request: dict[str, Any], files: list[int]) -> dict[str, Any]:
        limit = request["limit"] if "limit" in request else _LONG
        stop = embed.dump_later(limit - min(_DUMPING, limit / 4))
        try:
            return self._answer(request, files)
        finally:
            if self.hooks.worker is None:  # else the timer was off for the fork
                stop()

    def _answer(self, request: dict[str, Any], files: list[int]) -> dict[str, Any]:
        what = request["do"]
        if what == "fork":
            return {"pid": self._fork(request, files)}
        if what == "exit":
            _run_exit_functions()
            return {"leave": True}
        return self._requests[what](request)

    def _receive(self) -> tuple[bytes, list[int]]:
        space = socket.CMSG_SPACE(4 * _FILES)
        try:
            packet, extra, _, _ = self._socket.recvmsg(_PACKET, space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return b"", []
        files: list[int] = []
        for level, kind, data in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files += memoryview(data[: len(data) - len(data) % 4]).cast("i")
        return packet, files

    def _send(self, answer: dict[str, Any]) -> None:
        from json import dumps

        text = dumps(answer).encode()
        if len(text) > _ANSWER:
            error = answer.get("error") or {"type": "", "message": "the answer is too long", "traceback": ""}
            error["message"] = error["message"][:_SHORT]
            error["traceback"] = error["traceback"][-_SHORT:]
            text = dumps({"error": error}).encode()
        try:
            self._socket.send(text)
        except ConnectionError:
            pass  # the next read finds the end

    def _config(self, request: dict[str, Any]) -> dict[str, Any]:
        self._known = request["known"]
        embed.import_from_here()
        found = config.read(request["config"], self._known)
        self.hooks.configure(found, self._known)
        return {"settings": found.settings, "hooks": sorted(found.hooks)}

    def _settings(self, request: dict[str, Any]) -> dict[str, Any]:
        embed.configure(request["options"])
        if name := request["settings"].get("proc_name"):
            _call_process(name)
        self.hooks.settle(request["settings"], request.get("app", ""))
        return {}

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        import gc

        self.hooks.load(request["app"])
        # What the collector never looks at stays shared between the workers.
        gc.collect()
        gc.freeze()
        return {}

    def _hook(self, request: dict[str, Any]) -> dict[str, Any]:
        self.hooks.run(request["name"], request.get("args") or {})
        return {}

    def _reopen(self, request: dict[str, Any]) -> dict[str, Any]:
        logs.reopen()
        return {}

    def _fork(self, request: dict[str, Any], files: list[int]) -> int:
        if not files:
            raise ValueError("a fork takes the worker's line to the master")
        self.hooks.server.listen(files[1:])
        try:
            pid = self._fork_worker(self.hooks.before_fork(request["age"], request))
        finally:
            if self.hooks.worker is None:
                self.hooks.server.listen(())
        if pid == 0 and request.get("account"):
            _become(request["account"])
        return pid

    def _fork_worker(self, worker: Worker) -> int:
        embed.before_exit()  # both processes would write what is buffered
        # What the master sends to the worker as soon as it knows it must not meet
        # the handlers of this process.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
        try:
            pid = _fork_for_master()
            if pid:
                self.hooks.server.add(worker, pid)
            else:
                self._socket.close()
                self.hooks.become(worker)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _call_process(name: str) -> None:
    """Has ps show a name for this process and the workers, who may not do it themselves."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(name)
    except OSError:  # another system than Linux
        pass


def _become(account: dict[str, Any]) -> None:
    """Takes on a user and groups for good; ends the process if that is not allowed."""
    try:
        os.setgroups(account["groups"] or [])
        os.setgid(account["gid"])
        os.setuid(account["uid"])
    except OSError as exc:
        os.write(2, f"gowsgi: a worker cannot become user {account['uid']}: {exc.strerror}\n".encode())
        os._exit(1)


def _describe(exc: BaseException) -> dict[str, Any]:
    from json import loads

    description: dict[str, Any] = loads(errors.describe(exc))
    if isinstance(exc, (HookError, config.ConfigError)):
        description["exit_code"] = exc.exit_status
    return description


def _fork_for_master() -> int:
    """Forks a process whose parent is the master, as that is a subreaper.

    Returns:
        Its number; 0 in that process.
    """
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as numbers, os.fdopen(writer, "wb", 0) as number:
        between = os.fork()
        if between == 0:
            _fork_and_leave(number)
            return 0
        number.close()
        return _number_of_child(numbers, between)


def _fork_and_leave(number: BinaryIO) -> None:
    """Forks, tells the child's number and exits; returns in the child."""
    between = os.getpid()
    pid = -1
    try:
        pid = os.fork()
    except OSError as exc:
        pid = -(exc.errno or 1)
    finally:
        if pid:
            try:
                number.write(b"%d" % pid)
            finally:
                os._exit(0)
    deadline = monotonic() + _ADOPTION_LIMIT
    while os.getppid() == between and monotonic() < deadline:
        sleep(0.001)
    for signum in _IGNORED:
        if _signal.getsignal(signum) is _ignore:
            _signal.signal(signum, _signal.SIG_DFL)


def _number_of_child(numbers: BinaryIO, between: int) -> int:
    from select import POLLIN, poll

    poller = poll()
    poller.register(numbers, POLLIN)
    text = numbers.read(32) if poller.poll(_FORK_LIMIT * 1000) else b""
    _reap(between, 1.0 if text else 0.0)
    if not text:
        raise TimeoutError("a worker could not be forked: what runs in children of a fork ended or hung there")
    number = int(text)
    if number < 0:
        raise OSError(-number, os.strerror(-number))
    return number


def _reap(pid: int, limit: float) -> None:
    deadline = monotonic() + limit
    try:
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
            sleep(0.001)
    except ChildProcessError:
        pass  # the user's code has waited for it


def _run_exit_functions() -> None:
    """Runs what is registered with atexit here, as it runs in gunicorn's master.

    Each worker has these functions too and runs them at its own end.
    """
    import atexit
    from threading import Timer

    limit = Timer(_EXIT_LIMIT, os._exit, (0,))
    limit.daemon = True
    limit.start()
    atexit._run_exitfuncs()


def _leave() -> NoReturn:
    embed.before_exit()
    os._exit(0)
