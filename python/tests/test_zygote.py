"""Each test is the master of a zygote of its own."""

import json
import os
import re
import select
import signal
import socket
import time

import pytest
from masters import LIMIT, Worker, wait
from test_config import KNOWN

APP = """
print("imported")
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]
"""

# What the C side does with an application, as one expression.
REQUEST = """
(lambda app, got: [b"".join(got[0]).decode(), getattr(got[0], "close", int)() and 0][0])(
    app := embed.load("app:app"), [app({"PATH_INFO": "/x", "REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"},
    lambda status, headers, exc_info=None: len)])
"""


def request(worker):
    return worker.eval(" ".join(REQUEST.split()))


# --- configuration ---


def test_configuration(master):
    (master.folder / "conf.py").write_text("workers = 3\ndef on_exit(server): pass\ndef post_fork(s, w): pass")
    answer = master.ask("config", config="conf.py", known=KNOWN, cli={"workers": 4})
    assert answer == {"settings": {"workers": 3}, "hooks": ["on_exit", "post_fork"]}
    assert master.ask("config", config="", known=KNOWN) == {"settings": {}, "hooks": []}
    (master.folder / "site.module.py").write_text("")
    (master.folder / "deploy.py").write_text("workers = 5")
    assert master.ask("config", config="python:deploy", known=KNOWN)["settings"] == {"workers": 5}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "the configuration file 'conf.py' failed: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(5)", "the configuration file 'conf.py' exited with 5"),
        ("import sys; sys.exit('no')", "the configuration file 'conf.py' exited: no"),
        ("worker = 1", "there is no setting 'worker' (conf.py): did you mean 'workers'?"),
    ],
)
def test_configuration_that_fails(master, source, message):
    (master.folder / "conf.py").write_text(source)
    error = master.ask("config", config="conf.py", known=KNOWN)["error"]
    assert (error["type"], error["message"]) == ("gowsgi.config.ConfigError", message)
    assert error["exit_code"] == (5 if "with 5" in message else 1)
    assert ("conf.py" in error["traceback"]) == ("failed" in message)
    assert master.ask("config", config="", known=KNOWN) == {"settings": {}, "hooks": []}


def test_settings_reach_the_environment_and_the_import_path(master):
    (master.folder / "site").mkdir()
    (master.folder / "lib").mkdir()
    (master.folder / "lib" / "library.py").write_text("")
    (master.folder / "site" / "app.py").write_text("import library\n" + APP)
    master.configure(chdir="site", pythonpath=["../lib"], raw_env=["A=1", "B=x=y"])
    assert master.ask("load", app="app:app") == {}
    worker = master.fork()
    assert worker.eval('[os.environ["A"], os.environ["B"], os.getcwd()]') == ["1", "x=y", str(master.folder / "site")]


# --- hooks in the master's name ---


def test_master_hooks(master):
    master.configure("""
import os
def show(*values):
    print(*values)
def on_starting(server):
    show("starting", server.pid, server.num_workers, server.cfg.workers, server.address, server.proc_name)
def when_ready(server):
    show("ready", server.WORKERS, server.timeout, server.cfg.accesslog, server.cfg.preload_app)
def on_reload(server):
    server.note = "kept"
def nworkers_changed(server, new, old):
    show("changed", new, old, server.num_workers, getattr(server, "note", None))
def child_exit(server, worker):
    show("exit", worker.pid, worker.age, worker.exitcode, sorted(server.WORKERS), worker.alive)
def pre_exec(server):
    show("exec")
def on_exit(server):
    show("end", server.address)
""", accesslog="", preload_app=True)  # fmt: skip
    me = os.getpid()
    assert master.hook("on_starting") == {}
    assert master.hook("when_ready") == {}
    assert master.hook("nworkers_changed", new=2, old=None) == {}
    assert master.hook("on_reload") == {}
    assert master.hook("nworkers_changed", new=3, old=2) == {}
    workers = [{"pid": 5, "age": 1}, {"pid": 6, "age": 2}]
    assert master.hook("child_exit", workers=workers, worker={"pid": 4, "age": 3, "status": signal.SIGKILL}) == {}
    assert master.hook("child_exit", workers=workers, worker={"pid": 5, "age": 1, "status": 3 << 8}) == {}
    assert master.hook("pre_exec") == {}
    assert master.hook("on_exit", address=["127.0.0.1:5000", "unix:/x", ["::1", 80]]) == {}
    assert master.hook("post_fork") == {}  # a hook that there is not
    assert master.log().splitlines() == [
        f"starting {me} 2 2 [('127.0.0.1', 80)] app:app",
        "ready {} 30 None True",
        "changed 2 None 2 None",
        "changed 3 2 3 kept",
        "exit 4 3 -9 [5, 6] True",
        "exit 5 1 3 [6] True",
        "exec",
        "end [('127.0.0.1', 5000), '/x', ('::1', 80)]",
    ]


def test_hooks_that_fail(master):
    master.configure("""
import sys
def on_starting(server): 1 / 0
def on_exit(server): sys.exit(5)
def when_ready(server): sys.exit("no licence")
def on_reload(server): sys.exit()
def pre_exec(server): raise KeyboardInterrupt
""")
    error = master.hook("on_starting")["error"]
    assert error["message"] == "the hook on_starting failed: ZeroDivisionError: division by zero"
    assert 'gunicorn.conf.py", line 3, in on_starting' in error["traceback"]
    assert "hooks.py" not in error["traceback"]
    assert error["exit_code"] == 1
    codes = [master.hook(name)["error"]["exit_code"] for name in ("on_exit", "when_ready", "on_reload", "pre_exec")]
    assert codes == [5, 1, 0, 1]
    assert master.hook("when_ready")["error"]["message"] == "the hook when_ready exited with 'no licence'"
    assert master.hook("child_exit")["error"]["type"] == "builtins.KeyError"  # no worker was named
    assert type(master.fork()) is Worker


def test_hooks_write_to_the_log_that_the_settings_name(master):
    (master.folder / "site").mkdir()
    master.configure("def on_reload(server): server.log.warning('to the log')", errorlog="error.log", chdir="site")
    assert master.hook("on_reload") == {}
    log = master.folder / "site" / "error.log"
    assert log.read_text().endswith("[WARNING] to the log\n")
    log.rename(log.with_name("old"))
    assert master.ask("reopen") == {}
    assert master.hook("on_reload") == {}
    worker = master.fork()
    worker.eval("embed._server.hooks.server.log.error('from a worker')")
    assert [line.split("] ")[-1] for line in log.read_text().splitlines()] == ["to the log", "from a worker"]
    assert master.log() == ""


def test_hooks_log_through_a_logger_class(master):
    master.configure("""
class Logger:
    def __init__(self, cfg):
        self.cfg = cfg
    def info(self, message, *args):
        print("own", message % args, self.cfg.workers)
logger_class = Logger
def when_ready(server):
    server.log.info("%s", "ready")
def post_fork(server, worker):
    worker.log.info("%s", worker.age)
""")
    assert master.hook("when_ready") == {}
    master.fork(5).eval('hook("post_fork")')
    assert master.log() == "own ready 2\nown 5 2\n"


def test_log_configurations_of_no_use(master):
    (master.folder / "gunicorn.conf.py").write_text("logconfig_dict = {'version': 2}")
    settings = master.ask("config", config="gunicorn.conf.py", known=KNOWN)["settings"]
    with pytest.raises(AssertionError, match="LogError"):
        master.configure(**settings)


# --- forks ---


def test_a_fork_is_the_masters_child(master):
    master.configure()
    before = master.descriptors()
    workers = [master.fork(age) for age in (1, 2, 3)]
    for worker in workers:
        assert worker.eval("[os.getpid(), os.getppid()]") == [worker.pid, os.getpid()]
        fds = worker.eval("os.listdir('/proc/self/fd')")
        # The standard streams, the line and the listing's own.
        assert len(fds) == 5
    assert master.descriptors() == before
    children = open(f"/proc/{master.process.pid}/task/{master.process.pid}/children").read()
    assert children == ""
    assert [worker.end() for worker in workers] == [0, 0, 0]


def test_what_pre_fork_leaves_is_there_after_the_fork(master):
    master.configure("""
def pre_fork(server, worker):
    worker.number = len(server.WORKERS)
    print("pre", worker.pid, worker.age, server.worker_age, server.num_workers, flush=True)
    print("buffered", end="")
def post_fork(server, worker):
    worker.seen = [worker.number, worker.age, worker.ppid, worker.pid, sorted(server.WORKERS)]
def child_exit(server, worker):
    print("\\nexit", worker.number)
def post_worker_init(worker):
    pass
""")
    first = master.fork(1)
    second = master.fork(2, num_workers=3)
    for number, worker in enumerate((first, second)):
        worker.eval('hook("post_fork")')
        seen = worker.eval("embed._server.hooks.worker.seen")
        assert seen == [number, number + 1, os.getpid(), worker.pid, [first.pid][:number]]
    assert first.end() == 0
    # As prefork's workers, those that have ended are not listed.
    third = master.fork(3)
    third.eval('hook("post_fork")')
    assert third.eval("embed._server.hooks.worker.seen")[4] == [second.pid]
    master.hook("child_exit", worker={"pid": first.pid, "age": 1, "status": 0})
    log = master.log()
    assert "pre [booting] 1 1 2\n" in log
    assert "pre [booting] 2 2 3\n" in log
    assert "exit 0\n" in log
    assert log.count("buffered") == 3


def test_pre_fork_that_fails(master):
    master.configure("def pre_fork(server, worker):\n    if worker.age == 1: raise ValueError('not yet')")
    before = master.descriptors()
    assert master.fork(1)["error"]["message"] == "the hook pre_fork failed: ValueError: not yet"
    assert master.descriptors() == before
    assert master.fork(2).end() == 0


def test_preload(master):
    master.configure(
        app=APP + "import gc\nlater = [object()]\ndef frozen():\n    return gc.get_freeze_count()",
    )
    assert master.ask("load", app="app:app") == {}
    workers = [master.fork(1), master.fork(2)]
    for worker in workers:
        assert worker.eval('embed.load("app:app") is sys.modules["app"].app') is True
        assert worker.eval('sys.modules["app"].frozen() > 1000') is True
        assert request(worker) == "/x"
    assert master.log() == "imported\n"


def test_preload_that_fails(master):
    master.configure(app="1 / 0")
    error = master.ask("load", app="app:app")["error"]
    assert (error["type"], error["exit_code"]) == ("gowsgi.apps.AppImportError", 3)
    assert 'app.py", line 1' in error["traceback"]
    error = master.ask("load", app="app")["error"]
    assert error["exit_code"] == 3
    (master.folder / "app.py").write_text(APP)
    assert master.ask("load", app="app:nothing")["error"]["exit_code"] == 4
    assert master.ask("load", app="app:app") == {}


def test_without_preload_each_worker_imports(master):
    master.configure(app=APP)
    workers = [master.fork(1), master.fork(2)]
    assert [request(worker) for worker in workers] == ["/x", "/x"]
    assert master.log() == "imported\n" * 2
    (master.folder / "other.py").write_text("def app(environ, start_response): return [b'other']")
    assert workers[0].eval('embed.load("other:app") is sys.modules["other"].app') is True


def test_children_that_hang_or_die_in_a_fork_are_not_waited_for(master):
    master.configure("""
import os, time, gowsgi.zygote
gowsgi.zygote._FORK_LIMIT = 0.3
fault = None
def in_child():
    if fault == "hang": time.sleep(60)
    if fault == "die": os._exit(1)
os.register_at_fork(after_in_child=in_child)
def pre_fork(server, worker):
    global fault
    fault = {1: "hang", 2: "die"}.get(worker.age)
""")
    before = master.descriptors()
    started = time.monotonic()
    for age in (1, 2):
        error = master.fork(age)["error"]
        assert error["type"] == "builtins.TimeoutError"
        assert error["message"].startswith("a worker could not be forked")
    assert time.monotonic() - started < 10
    assert master.descriptors() == before
    assert open(f"/proc/{master.process.pid}/task/{master.process.pid}/children").read() == ""
    assert master.fork(3).end() == 0


def test_a_second_fork_that_fails_is_told(master):
    master.configure("""
import os
real, calls = os.fork, []
def fork():
    calls.append(1)
    if len(calls) == 2: raise OSError(11, "no more")
    return real()
os.fork = fork
""")
    error = master.fork(1)["error"]
    assert (error["type"], error["message"]) == (
        "builtins.BlockingIOError",
        "[Errno 11] Resource temporarily unavailable",
    )
    assert open(f"/proc/{master.process.pid}/task/{master.process.pid}/children").read() == ""


# --- signals ---


def test_signals_are_the_masters_business(master):
    master.configure("import signal\nold = signal.signal(signal.SIGTERM, lambda *args: print('mine'))")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
        os.kill(master.process.pid, number)
    assert master.hook("when_ready") == {}
    assert "mine" not in master.log()


def test_a_worker_has_its_signals_back(master):
    master.configure()
    ends = []
    for age, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH)):
        worker = master.fork(age)
        # Sent at once: it must not meet the handlers of the process that forked.
        os.kill(worker.pid, number)
        ends.append(worker.end())
    assert ends == [-15, -2, -10, 0]
    assert master.fork(9).eval("[int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])]") == []


def test_programs_started_by_hooks_can_be_ended(master):
    master.configure("""
import subprocess
def when_ready(server):
    process = subprocess.Popen(["sleep", "60"])
    process.terminate()
    print(process.wait(10))
""")
    assert master.hook("when_ready") == {}
    assert master.log() == "-15\n"


# --- the end ---

EXIT = """
import atexit, os, threading, time
def farewell():
    print("farewell", os.getpid())
atexit.register(farewell)
"""


def test_end_of_the_master(master):
    master.configure(EXIT + "print('half', end='')")
    assert master.end() == 0
    assert master.log() == "half"


def test_exit_runs_exit_functions_once_here_and_in_each_worker(master):
    master.configure(EXIT, app=EXIT + APP)
    assert master.ask("load", app="app:app") == {}
    worker = master.fork()
    assert worker.end() == 0
    assert master.ask("exit") == {"leave": True}
    assert master.end() == 0
    lines = [line.split() for line in master.log().splitlines() if line.startswith("farewell")]
    assert sorted(int(pid) for _, pid in lines) == sorted([worker.pid] * 2 + [master.process.pid] * 2)


def test_exit_functions_that_hang(master):
    master.configure("""
import atexit, time, gowsgi.zygote
gowsgi.zygote._EXIT_LIMIT = 0.2
atexit.register(time.sleep, 60)
""")
    started = time.monotonic()
    master.line.send(b'{"do": "exit"}')
    assert master.process.wait(LIMIT) == 0
    assert time.monotonic() - started < 10


# --- what the master would not send ---


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (b"{", "json.decoder.JSONDecodeError"),
        (b"[]", "builtins.TypeError"),
        (b"{}", "builtins.KeyError"),
        (b'{"do": "dance"}', "builtins.KeyError"),
        (b'{"do": "hook"}', "builtins.KeyError"),
        (b'{"do": "settings"}', "builtins.KeyError"),
        (b'{"do": "fork", "age": 1}', "builtins.ValueError"),
        (b'{"do": "settings", "settings": {}, "options": {"chdir": "/nowhere"}}', "gowsgi.embed.SetupError"),
    ],
)
def test_bad_requests_are_answered(master, packet, error):
    master.line.send(packet)
    assert json.loads(master.line.recv(1 << 20))["error"]["type"] == error
    assert master.hook("when_ready") == {}


def test_stray_descriptors_are_closed(master):
    master.configure()
    before = master.descriptors()
    read, write = os.pipe()
    for packet in (b'{"do": "hook", "name": "on_exit"}', b'{"do": "fork", "age": 1}', b"{"):
        socket.send_fds(master.line, [packet], [read, write])
        master.line.recv(1 << 20)
    os.close(read)
    os.close(write)
    assert master.descriptors() == before


def test_an_answer_that_is_too_long(master):
    master.configure("def when_ready(server):\n    raise ValueError('x' * 5_000_000)")
    error = master.hook("when_ready")["error"]
    assert error["message"].startswith("the hook when_ready failed: ValueError: xxx")
    assert error["exit_code"] == 1
    (master.folder / "conf.py").write_text("proc_name = 'x' * 5_000_000")
    assert master.ask("config", config="conf.py", known=KNOWN)["error"]["message"] == "the answer is too long"


# --- hooks in a worker ---


def test_worker_hooks(master):
    source = """
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    print("forked", server.app is worker.app, worker.cfg is server.cfg, worker.app.callable, worker.booted)
def post_worker_init(worker):
    print("init", worker.wsgi is worker.app.wsgi() is worker.app.callable, worker.booted, worker.app.app_uri)
def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal, alive: %s", worker.alive)
def worker_abort(worker):
    raise RuntimeError("in abort")
def worker_exit(server, worker):
    server.log.info(f"exit {worker} {worker.nr} {worker.age} {worker.exitcode}")
"""
    master.configure(source, app=APP)
    worker = master.fork(7)
    assert worker.eval('hook("post_fork")') == ""
    assert request(worker) == "/x"
    assert worker.eval('hook("post_worker_init")') == ""
    assert worker.eval("embed._server.hooks.worker.booted") is True
    for name in ("worker_int", "worker_abort"):
        assert worker.eval(f'hook("{name}")') == ""
    assert worker.eval('hook("worker_exit", nr=12)') == ""
    log = master.log()
    stamp = rf"\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{{4}}\] \[{worker.pid}\] "
    assert re.search(stamp + rf"\[INFO\] Worker spawned \(pid: {worker.pid}\)\n", log)
    assert "forked True True None False\n" in log
    assert "init True False app:app\n" in log
    assert re.search(stamp + r"\[INFO\] worker received INT or QUIT signal, alive: False\n", log)
    assert re.search(stamp + r"\[WARNING\] Exception in the hook worker_abort\nTraceback", log)
    assert "RuntimeError: in abort\n" in log
    assert re.search(stamp + rf"\[INFO\] exit <Worker {worker.pid}> 12 7 None\n", log)


@pytest.mark.parametrize("fault", ["1 / 0", "import sys; sys.exit(0)"])
def test_worker_hooks_without_which_a_worker_cannot_begin(master, fault):
    master.configure(f"def post_fork(server, worker): {fault}\ndef post_worker_init(worker): {fault}", app=APP)
    worker = master.fork()
    for name in ("post_fork", "post_worker_init"):
        error = worker.eval(f'hook("{name}")')
        assert error["exit_code"] == 3
        assert error["message"].startswith(f"the hook {name} ")


def test_no_configuration_no_hooks(child):
    assert child.json(
        "import json\nfrom gowsgi import embed\nembed.setup('{}')\n"
        "print(json.dumps(embed.worker_hook('{\"name\": \"post_fork\"}')))"
    ) == ""  # fmt: skip


def test_request_hooks(master):
    master.configure("""
def pre_request(worker, req):
    worker.log.debug("%s %s", req.method, req.path)
def post_request(worker, req, environ, resp):
    worker.log.info("%s %s %s %s", worker.nr, req.method, environ["PATH_INFO"], resp.status)
""", app=APP, loglevel="debug")  # fmt: skip
    worker = master.fork()
    assert [request(worker), request(worker)] == ["/x", "/x"]
    assert [line.split("] ")[-1] for line in master.log().splitlines()] == [
        "imported", "GET ", "1 GET /x 200 OK", "GET ", "2 GET /x 200 OK",
    ]  # fmt: skip


def test_a_hook_that_puts_another_application_in(master):
    master.configure("""
def post_worker_init(worker):
    inner = worker.wsgi
    worker.wsgi = lambda environ, start_response: [b"wrapped ", *inner(environ, start_response)]
""", app=APP)  # fmt: skip
    worker = master.fork()
    # The server has what load() returned before this hook runs.
    worker.eval('globals().setdefault("served", embed.load("app:app")) and 0')
    worker.eval('hook("post_worker_init")')
    expression = 'b"".join(served({"PATH_INFO": "/x"}, lambda *args: len)).decode()'
    assert worker.eval(expression) == "wrapped /x"


def test_a_worker_that_shall_not_be_alive_is_told_to_end(master):
    master.configure("""
import os, resource
def post_request(worker, req, environ, resp):
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0:
        worker.alive = False
""", app=APP)  # fmt: skip
    worker = master.fork()
    worker.line.send(" ".join(REQUEST.split()).encode())
    # SIGTERM, at which a worker finishes what it does; here nobody catches it.
    assert wait(worker.pid) == -15


def test_listeners(master, tmp_path):
    master.configure("""
def pre_fork(server, worker):
    print([str(one) for one in worker.sockets])
def when_ready(server):
    print(server.LISTENERS)
""")
    listener = socket.create_server(("127.0.0.1", 0))
    other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(tmp_path / "socket"))
    local.listen()
    before = master.descriptors()
    worker = master.fork(1, [one.fileno() for one in (listener, other, local)])
    addresses = [one.getsockname()[1] for one in (listener, other)]
    assert master.hook("when_ready") == {}
    assert master.descriptors() == before
    assert worker.eval("[one.fileno() for one in embed._server.hooks.worker.sockets] == descriptors['listeners']")
    assert (
        worker.eval("any(os.get_inheritable(fd) for fd in [descriptors['line'], *descriptors['listeners']])") is False
    )
    expected = [f"http://127.0.0.1:{addresses[0]}", f"http://[::1]:{addresses[1]}", f"unix:{tmp_path}/socket"]
    assert master.log() == f"{expected}\n[]\n"
    for one in (listener, other, local):
        one.close()


def test_handlers_of_an_app_survive_the_start_of_gos_runtime(master):
    master.configure(app=APP + "import signal\nsignal.signal(signal.SIGALRM, lambda *args: print('alarm'))")
    master.ask("load", app="app:app")
    worker = master.fork()
    # Go sets its own handlers between the fork and the second setup().
    worker.eval("__import__('ctypes').CDLL(None).signal(14, 1) and 0")
    worker.eval('os.kill(os.getpid(), 14) or embed.setup("{}") or os.kill(os.getpid(), 14)')
    assert worker.eval("1") == 1
    assert master.log().count("alarm") == 1


def test_answers_come_in_order(master):
    # One for each request, also when several are sent at once.
    master.configure()
    for number in range(3):
        master.line.send(json.dumps({"do": "hook", "name": "nworkers_changed", "args": {"new": number}}).encode())
    answers = [json.loads(master.line.recv(1 << 20)) for _ in range(3)]
    assert [answer["error"]["message"] for answer in answers] == ["'old'"] * 3
    assert select.select([master.line], [], [], 0.05)[0] == []
