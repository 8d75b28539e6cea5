"""Hooks as their packages' documentation and public projects have them.

The packages themselves are stood in for by what matters of them here.
"""

import os
import re

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def serve(worker):
    """Does what a worker does before its first request."""
    worker.eval('hook("post_fork")')
    worker.eval('globals().update(served=embed.load("app:app")) or 0')
    worker.eval('hook("post_worker_init")')


def get(worker, path="/"):
    environ = {
        "REQUEST_METHOD": "GET", "RAW_URI": path, "PATH_INFO": path, "QUERY_STRING": "", "wsgi.url_scheme": "http",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1", "HTTP_HOST": "site",
    }  # fmt: skip
    return worker.eval(f"""(lambda got: [b"".join(got).decode(), hasattr(got, "close") and got.close()][0])(
        served({environ!r}, lambda *args: len))""")


PROMETHEUS = """
import glob, os
def mark_process_dead(pid, path=None):
    path = path or os.environ["PROMETHEUS_MULTIPROC_DIR"]
    for name in glob.glob(os.path.join(path, f"gauge_live*_{pid}.db")):
        os.remove(name)
"""


def test_prometheus_client_in_multiprocess_mode(master):
    (master.folder / "prometheus_client").mkdir()
    (master.folder / "prometheus_client" / "__init__.py").write_text("")
    (master.folder / "prometheus_client" / "multiprocess.py").write_text(PROMETHEUS)
    shared = master.folder / "metrics"
    shared.mkdir()
    (shared / "stale.db").touch()
    master.configure("""
import os, shutil
from prometheus_client import multiprocess
raw_env = ["PROMETHEUS_MULTIPROC_DIR=metrics"]
def on_starting(server):
    path = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
""", app=APP)  # fmt: skip
    assert master.hook("on_starting") == {}
    assert list(shared.iterdir()) == []
    workers = [master.fork(1), master.fork(2)]
    for worker in workers:
        worker.eval("open(os.environ['PROMETHEUS_MULTIPROC_DIR'] + f'/gauge_liveall_{os.getpid()}.db', 'w').close()")
    pid = workers[0].pid
    assert workers[0].end() == 0
    left = [{"pid": workers[1].pid, "age": 2}]
    assert master.hook("child_exit", workers=left, worker={"pid": pid, "age": 1, "status": 0}) == {}
    assert [path.name for path in shared.iterdir()] == [f"gauge_liveall_{workers[1].pid}.db"]


# What makes BatchSpanProcessor unfit to be forked: a thread and the lock it holds.
OPENTELEMETRY = """
import os, threading
class BatchSpanProcessor:
    def __init__(self, exporter):
        self.exporter, self.condition, self.spans, self.done = exporter, threading.Condition(), [], threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
    def on_end(self, span):
        with self.condition:
            self.spans.append(span)
            self.condition.notify()
    def work(self):
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self.spans)
                self.exporter(self.spans)
                self.spans = []
            self.done.set()
provider = []
"""


def test_opentelemetry_after_the_fork(master):
    (master.folder / "otel.py").write_text(OPENTELEMETRY)
    master.configure("""
import otel
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    otel.provider.append(otel.BatchSpanProcessor(lambda spans: print("exported", spans)))
""", app="""
import otel
def app(environ, start_response):
    start_response("200 OK", [])
    otel.provider[0].on_end(environ["PATH_INFO"])
    return [str(otel.provider[0].done.wait(10)).encode()]
""")  # fmt: skip
    # Without and with the application in the process that forks.
    workers = [master.fork(1)]
    assert master.ask("load", app="app:app") == {}
    workers.append(master.fork(2))
    for worker in workers:
        serve(worker)
        assert get(worker, f"/{worker.pid}") == "True"
        assert f"exported ['/{worker.pid}']\n" in master.log()
        assert f"[INFO] Worker spawned (pid: {worker.pid})\n" in master.log()


def test_a_thread_in_the_process_that_forks_does_not_keep_it_from_it(master):
    (master.folder / "otel.py").write_text(OPENTELEMETRY)
    master.configure("""
import otel, os
processor = None
def when_ready(server):
    global processor
    processor = otel.BatchSpanProcessor(lambda spans: print("exported", spans))
    # As the SDK does it.
    os.register_at_fork(after_in_child=lambda: processor.__init__(processor.exporter))
def post_fork(server, worker):
    processor.on_end(worker.age)
    assert processor.done.wait(10)
""")
    assert master.hook("when_ready") == {}
    for age in range(1, 6):
        assert master.fork(age).eval('hook("post_fork")') == ""
        assert f"exported [{age}]\n" in master.log()


def test_sentry_in_each_worker(master):
    (master.folder / "sentry_sdk.py").write_text("""
import atexit, os
clients = []
def init(dsn, **options):
    clients.append(dsn)
    atexit.register(lambda pid=os.getpid(): print("flushed", os.getpid() == pid))
def flush(timeout=None):
    print("flush", clients)
""")
    master.configure("""
import os
def post_fork(server, worker):
    if dsn := os.environ.get("SENTRY_DSN"):
        import sentry_sdk
        sentry_sdk.init(dsn, traces_sample_rate=0.1)
def worker_exit(server, worker):
    import sentry_sdk
    sentry_sdk.flush(timeout=2)
""", app=APP, raw_env=["SENTRY_DSN=https://key@site/1"])  # fmt: skip
    worker = master.fork()
    serve(worker)
    worker.eval('hook("worker_exit")')
    assert worker.end() == 0
    assert master.log() == "flush ['https://key@site/1']\nflushed True\n"


def test_new_relic_at_the_top_of_the_file(master):
    (master.folder / "newrelic").mkdir()
    (master.folder / "newrelic" / "agent.py").write_text("""
import os
def initialize(config=None):
    print("initialized", os.getpid())
def register_application(timeout=None):
    print("registered", os.getpid())
""")
    master.configure("""
import newrelic.agent
newrelic.agent.initialize()
import os, sys, traceback
def post_fork(server, worker):
    newrelic.agent.register_application(timeout=10)
def worker_abort(worker):
    worker.log.info("worker received ABORT {}".format(worker.pid))
    for threadId, stack in sys._current_frames().items():
        worker.log.error("".join(traceback.format_stack(stack)))
""", app=APP)  # fmt: skip
    worker = master.fork()
    serve(worker)
    worker.eval('hook("worker_abort")')
    log = master.log()
    assert log.startswith(f"initialized {master.process.pid}\nregistered {worker.pid}\n")
    assert re.search(r"\[ERROR\]   File .*in worker_abort\n", log, re.DOTALL)


def test_ddtrace_by_its_import_in_the_worker(master):
    (master.folder / "ddtrace").mkdir()
    (master.folder / "ddtrace" / "auto.py").write_text("import os; print('traced', os.getpid())")
    master.configure("def post_fork(server, worker):\n    import ddtrace.auto", app=APP)
    worker = master.fork()
    serve(worker)
    assert master.log() == f"traced {worker.pid}\n"


# Attributes of one's own on server and worker, from hook to hook.
NUMBERS = """
import os
workers = 3
def on_starting(server):
    server._worker_id_overload = set()
def nworkers_changed(server, new_value, old_value):
    server._worker_id_current_workers = new_value
def _next_worker_id(server):
    if server._worker_id_overload:
        return server._worker_id_overload.pop()
    in_use = set(w._worker_id for w in server.WORKERS.values() if w.alive)
    return min(set(range(1, server._worker_id_current_workers + 1)) - in_use)
def on_reload(server):
    server._worker_id_overload = set(range(1, server.cfg.workers + 1))
def pre_fork(server, worker):
    worker._worker_id = _next_worker_id(server)
def post_fork(server, worker):
    os.environ["APP_WORKER_ID"] = str(worker._worker_id)
"""


def test_numbers_for_workers(master):
    master.configure(NUMBERS, app=APP)
    # In gunicorn's order.
    assert master.hook("nworkers_changed", new=3, old=None) == {}
    assert master.hook("on_starting") == {}
    workers = [master.fork(age) for age in (1, 2, 3)]

    def number(worker):
        worker.eval('hook("post_fork")')
        return int(worker.eval('os.environ["APP_WORKER_ID"]'))

    assert [number(worker) for worker in workers] == [1, 2, 3]
    assert workers[1].end() == 0
    assert number(master.fork(4)) == 2
    assert master.hook("on_reload") == {}
    assert sorted(number(master.fork(age)) for age in (5, 6, 7)) == [1, 2, 3]


def test_pools_of_connections(master):
    master.configure("""
def pre_fork(server, worker):
    server.app.wsgi().pool.append(("closed", os.getpid()))
def post_fork(server, worker):
    server.app.wsgi().pool.append(("made anew", os.getpid()))
import os
""", app=APP + "app.pool = []\nprint('imported')")  # fmt: skip
    worker = master.fork()
    serve(worker)
    pool = worker.eval('sys.modules["app"].app.pool')
    assert pool == [["closed", master.process.pid], ["made anew", worker.pid]]
    assert master.log() == "imported\n"


def test_the_application_object_in_its_places(master):
    master.configure("""
def when_ready(server):
    print("ready", server.app.callable)
def post_worker_init(worker):
    app = worker.wsgi
    assert app is worker.app.callable is worker.app.wsgi()
    worker.app.callable.observer = "started"
def worker_exit(server, worker):
    print("exit", worker.app.callable.observer, server.app.wsgi().observer, worker.app.app_uri)
""", app=APP)  # fmt: skip
    assert master.hook("when_ready") == {}
    worker = master.fork()
    serve(worker)
    assert get(worker) == "hello"
    worker.eval('hook("worker_exit")')
    assert master.log() == "ready None\nexit started started app:app\n"


def test_another_application_put_in_before_the_import(master):
    master.configure("""
def post_fork(server, worker):
    worker.app.callable = lambda environ, start_response: [b"other"]
""", app="1 / 0")  # fmt: skip
    worker = master.fork()
    serve(worker)
    assert get(worker) == "other"


def test_timing_and_profiling_of_requests(master):
    master.configure("""
import cProfile, io, logging, pstats, time
def pre_request(worker, req):
    worker.start_time = req.start_time = time.time()
    worker.profile = cProfile.Profile()
    worker.profile.enable()
def post_request(worker, req, *args):
    worker.profile.disable()
    stream = io.StringIO()
    pstats.Stats(worker.profile, stream=stream).sort_stats("time").print_stats()
    worker.log.info("%s %s %s %.0f", req.method, req.uri, "app.py" in stream.getvalue(), time.time() - req.start_time)
""", app=APP)  # fmt: skip
    worker = master.fork()
    serve(worker)
    assert get(worker, "/x?y") == "hello"
    assert master.log().endswith("[INFO] GET /x?y True 0\n")


def test_a_worker_that_kills_itself_when_it_is_too_large(master):
    master.configure("""
import os, signal
def post_request(worker, req, environ, resp):
    os.kill(os.getpid(), signal.SIGTERM)
def worker_exit(server, worker):
    os.kill(os.getppid(), 0)
""", app=APP)  # fmt: skip
    worker = master.fork()
    serve(worker)
    assert worker.eval('hook("worker_exit")') == ""
    worker.line.send(b'served({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}, lambda *args: len).close()')
    assert os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]) == -15


def test_settings_as_hooks_read_them(master):
    master.configure("""
bind = ["0.0.0.0:5000", "unix:/run/site", "[::1]", "fd://3", ":80", "unix:///run/other", "tcp://Site:81"]
threads = 4
raw_env = ["A=1"]
logconfig_dict = {"version": 1, "x": print}
def on_starting(server):
    cfg = server.cfg
    print(cfg.address)
    print(cfg.worker_class_str, cfg.proc_name, cfg.is_ssl, cfg.env, cfg.accesslog, cfg.pidfile, cfg.raw_env)
    print(cfg.settings["bind"].get() == cfg.bind, sorted(cfg.settings) == sorted(set(cfg.settings)), cfg.threads)
    print(cfg.logconfig_dict["x"] is print, cfg.post_fork(None, None), cfg.on_starting is on_starting)
    print(cfg.uid == os.geteuid(), cfg.gid == os.getegid(), cfg.reload_extra_files, cfg.statsd_prefix == "")
    cfg.set("timeout", 7)
    cfg.keepalive = 8
    cfg.loop = "own"
    print(cfg.timeout, cfg.settings["timeout"].value, cfg.keepalive, cfg.settings["keepalive"].get(), cfg.loop)
    for unknown in (lambda: cfg.nothing, lambda: cfg.set("nothing", 1)):
        try:
            unknown()
        except AttributeError as exc:
            print(exc)
    print(server.cfg is server.app.cfg, "PATH" in cfg.env_orig, copy.copy(cfg).timeout)
import copy, os
""", accesslog="", pidfile="", reload_extra_files=None, post_fork=False, on_starting=True, worker_class="sync",
    keepalive=75, user="", group="", proc_name="", certfile="", statsd_prefix="")  # fmt: skip
    assert master.hook("on_starting") == {}
    assert master.log().splitlines() == [
        "[('0.0.0.0', 5000), '/run/site', ('::1', 8000), 3, ('0.0.0.0', 80), '/run/other', ('site', 81)]",
        "gthread app:app False {'A': '1'} None None ['A=1']",
        "True True 4",
        "True None True",
        "True True [] True",
        "7 7 8 8 own",
        "there is no setting 'nothing'",
        "there is no setting 'nothing'",
        "True True 7",
    ]


def test_users_and_groups(master):
    master.configure("def on_exit(server): print(server.cfg.uid, server.cfg.gid)", user="root", group="0")
    assert master.hook("on_exit") == {}
    assert master.log() == "0 0\n"
