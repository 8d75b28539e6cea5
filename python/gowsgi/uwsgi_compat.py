"""The module ``uwsgi`` that applications find under uWSGI, as far as it goes here.

It is there with --ini, --yaml and --uwsgi-module only: applications ask for it by
``try: import uwsgi`` and behave otherwise where they find it. docs/uwsgi.md says
what it offers. What would quietly not happen, such as a timer, raises ``Refused``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, NoReturn

# The uWSGI whose behaviour the module has.
VERSION = (2, 0, 30, 0, b"")

_NO_CACHE = "there is no cache: use Redis or memcached"
_NO_QUEUE = "there is no queue: use Redis"
_NO_TASKS = "there are no spoolers and mules: use a task queue such as Celery, RQ or Huey"
_NO_TIMES = "nothing runs at times or signals: use cron, a systemd timer or Celery beat"
_NO_LOCK = "there are no locks between workers: use fcntl.flock(), Redis or the database"
_NO_SHARED = "there is no memory that the workers share: use Redis"
_NO_RPC = "there is no RPC: send requests by HTTP"
_NO_LOOP = "requests run in threads, without an event loop: the application may just wait"
_NO_FIGURES = "--stats tells what the workers have done"
_NO_WEBSOCKETS = "WebSockets are not spoken: use uvicorn or granian for those"
_NO_METRICS = "there are no metrics of the application's own: use prometheus_client or statsd"
_NO_ROUTES = "there are no routes: nginx, or the application, decides"
_NO_SENDFILE = "return environ['wsgi.file_wrapper'](file) instead"
_NO_CHUNKS = "wsgi.input has the whole body, chunked or not"

# What is refused, by the reason.
_REFUSED = {
    _NO_CACHE: "cache_get cache_set cache_update cache_del cache_exists cache_clear cache_inc cache_dec cache_mul"
    " cache_div cache_num cache_keys",
    _NO_QUEUE: "queue_get queue_set queue_last queue_push queue_pull queue_pop queue_slot queue_pull_slot",
    _NO_TASKS: "spool send_to_spooler set_spooler_frequency spooler_jobs spooler_pid spooler_pids spooler_get_task"
    " spooler_dir mule_msg mule_get_msg mule_msg_recv_size mule_file farm_msg farm_get_msg",
    _NO_TIMES: "register_signal signal signal_wait signal_received add_timer add_ms_timer add_rb_timer add_cron"
    " add_file_monitor alarm",
    _NO_LOCK: "lock unlock is_locked",
    _NO_SHARED: "sharedarea_read sharedarea_write sharedarea_read8 sharedarea_write8 sharedarea_read32"
    " sharedarea_write32 sharedarea_read64 sharedarea_write64 sharedarea_inc32 sharedarea_inc64 sharedarea_rlock"
    " sharedarea_wlock sharedarea_unlock sharedarea_memoryview sharedarea_object",
    _NO_RPC: "rpc call register_rpc rpc_list",
    _NO_LOOP: "async_sleep async_connect green_schedule suspend wait_fd_read wait_fd_write connect connection_fd"
    " is_connected send recv close ready_fd",
    _NO_FIGURES: "workers total_requests request_id listen_queue logsize",
    _NO_WEBSOCKETS: "websocket_handshake websocket_recv websocket_recv_nb websocket_send websocket_send_binary",
    _NO_METRICS: "metric_inc metric_dec metric_mul metric_div metric_get metric_set metric_set_max metric_set_min"
    " snmp_set_counter32 snmp_set_counter64 snmp_set_gauge snmp_incr_counter32 snmp_incr_counter64 snmp_incr_gauge"
    " snmp_decr_counter32 snmp_decr_counter64 snmp_decr_gauge snmp_set_community",
    _NO_ROUTES: "route add_var request_context",
    _NO_SENDFILE: "sendfile offload",
    _NO_CHUNKS: "chunked_read chunked_read_nb",
    "it is not done here": "cl disconnect parsefile embedded_data extract i_am_the_lord lord_scroll scrolls",
}

# What changes nothing that the application would notice.
_IDLE = "set_logvar get_logvar log_this_request setprocname set_warning_message set_user_harakiri accepting"


class Refused(NotImplementedError):
    """The application asks for something of uWSGI that is not done here."""


class _State:
    """What the server says of itself."""

    worker_id = 0
    master_pid = 0
    told: set[str]  # the functions that were said to do nothing

    def __init__(self) -> None:
        self.told = set()


_state = _State()


def install(options: dict[str, Any]) -> None:
    """Makes ``import uwsgi`` work, or tells the module that is there what has changed.

    Args:
        options: ``opt`` (each of uWSGI's options with its list of values),
            ``worker_id`` (from 1; 0 in a process that is no worker),
            ``master_pid``, ``workers``, ``threads``, ``buffer_size`` and ``pidfile``.
    """
    _state.worker_id = options.get("worker_id", 0)
    _state.master_pid = options.get("master_pid", 0)
    module = sys.modules.get("uwsgi") or _make()
    module.opt = _opt(options.get("opt") or {})  # type: ignore[attr-defined]
    module.numproc = options.get("workers", 1)  # type: ignore[attr-defined]
    module.cores = options.get("threads", 1)  # type: ignore[attr-defined]
    module.buffer_size = options.get("buffer_size", 65535)  # type: ignore[attr-defined]
    if options.get("pidfile"):
        module.pidfile = os.fsencode(options["pidfile"])  # type: ignore[attr-defined]


def after_fork() -> None:
    """Calls what the application has set as ``uwsgi.post_fork_hook``, in a worker.

    It is what ``uwsgidecorators.postfork`` sets.
    """
    hook = getattr(sys.modules.get("uwsgi"), "post_fork_hook", None)
    if hook is not None:
        hook()


def _make() -> ModuleType:
    import socket
    import time
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    module = ModuleType("uwsgi", __doc__)
    module.__spec__ = ModuleSpec("uwsgi", None)
    module.__dict__.update(
        {
            "version": b"2.0.30",
            "version_info": VERSION,
            "hostname": socket.gethostname().encode(),
            "has_threads": 1,
            "started_on": int(time.time()),
            "is_a_reload": False,
            "applications": None,
            "loop": None,
            "unbit": None,
            "sockets": [],
            "magic_table": {},
            "SPOOL_RETRY": -1,
            "SPOOL_OK": -2,
            "SPOOL_IGNORE": 0,
            "Refused": Refused,
        }
    )
    offered: list[Callable[..., Any]] = [worker_id, masterpid, mule_id, log, reload, stop, mem, micros, ready]
    offered += [signal_registered, i_am_the_spooler, in_farm, install_mule_msg_hook]
    for function in offered:
        setattr(module, function.__name__, function)
    for name in _IDLE.split():
        setattr(module, name, _idle(name))
    for reason, names in _REFUSED.items():
        for name in names.split():
            setattr(module, name, _refuse(name, reason))
    sys.modules["uwsgi"] = module
    return module


def _opt(given: dict[str, list[str]]) -> dict[str, Any]:
    """Returns uwsgi.opt: bytes, or a list of them where an option came several times.

    What monitors look at is there in any case: threads run, and forks are known.
    """
    opt: dict[str, Any] = {"enable-threads": b"true", "master": b"true", "py-call-uwsgi-fork-hooks": b"true"}
    for name, values in given.items():
        encoded = [os.fsencode(value) for value in values]
        opt[name] = encoded[0] if len(encoded) == 1 else encoded
    return opt


def _refuse(name: str, reason: str) -> Callable[..., NoReturn]:
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise Refused(f"uwsgi.{name}() is not offered by gowsgi: {reason}")

    refused.__name__ = refused.__qualname__ = name
    refused.__doc__ = f"Raises Refused: {reason}."
    return refused


def _idle(name: str) -> Callable[..., None]:
    def idle(*args: Any, **kwargs: Any) -> None:
        if name not in _state.told:
            _state.told.add(name)
            log(f"uwsgi.{name}() does nothing under gowsgi")

    idle.__name__ = idle.__qualname__ = name
    idle.__doc__ = "Does nothing."
    return idle


def worker_id() -> int:
    """Returns this worker's number, from 1; 0 while workers are still to be forked."""
    return _state.worker_id


def masterpid() -> int:
    """Returns the number of the master's process."""
    return _state.master_pid or os.getppid()


def mule_id() -> int:
    """Returns 0: this is no mule."""
    return 0


def i_am_the_spooler() -> bool:
    """Returns False."""
    return False


def in_farm(name: str | None = None) -> bool:
    """Returns False: there are no farms."""
    return False


def install_mule_msg_hook(function: Callable[..., Any]) -> None:
    """Takes a function for messages to mules, which do not come."""


def signal_registered(number: int) -> bool:
    """Returns False: no signal of uWSGI's has a handler."""
    return False


def log(message: str | bytes) -> bool:
    """Writes a line to the log."""
    text = message.decode("utf-8", "backslashreplace") if isinstance(message, bytes) else message
    sys.stderr.write(text if text.endswith("\n") else text + "\n")
    sys.stderr.flush()
    return True


def reload() -> bool:
    """Has the master start new workers, as HUP does."""
    import signal

    os.kill(masterpid(), signal.SIGHUP)
    return True


def stop() -> bool:
    """Has the master stop the server, as TERM does."""
    import signal

    os.kill(masterpid(), signal.SIGTERM)
    return True


def ready() -> bool:
    """Returns True: requests are served once the application is loaded."""
    return True


def mem() -> tuple[int, int]:
    """Returns the bytes of memory that this process holds, and those it has mapped."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            mapped, resident = statm.read().split()[:2]
    except OSError:  # not Linux
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024, 0
    return int(resident) * page, int(mapped) * page


def micros() -> int:
    """Returns the time in microseconds."""
    import time

    return time.time_ns() // 1000
