import re
import sys
from pathlib import Path

import pytest

from gowsgi.config import ARITIES, ConfigError, read
from gowsgi.errors import describe

TABLE = Path(__file__).resolve().parents[2] / "internal" / "settings" / "table.go"


def settings_of_the_server():
    """Reads the names from the table, so that a new one meets the files below."""
    source = TABLE.read_text()
    kinds = {"String": "str", "Int": "int", "Seconds": "float", "Bool": "bool", "List": "list", "Dict": "dict"}
    known = {name: kinds[kind] for name, kind in re.findall(r'Name: "(\w+)",.*?Kind: (\w+)', source) if kind in kinds}
    known |= {name: kinds[kind] for name, kind in re.findall(r'refusedTLS\("(\w+)", (\w+)', source)}
    known |= dict.fromkeys(re.findall(r'ignoredInt\("(\w+)"', source), "int")
    return known | dict.fromkeys([*re.findall(r'hook\("(\w+)"', source), "ssl_context"], "hook")


KNOWN = settings_of_the_server()


@pytest.fixture
def config(project):
    """Reads a configuration file with this content."""

    def run(source, **files):
        project(conf=source, **files)
        return read("conf.py", KNOWN)

    yield run
    sys.modules.pop("__config__", None)


def test_the_table_was_found():
    assert len(KNOWN) > 120
    assert (KNOWN["workers"], KNOWN["when_ready"]) == ("int", "hook")
    assert {name for name, kind in KNOWN.items() if kind == "hook"} == set(ARITIES)


def test_values(config):
    found = config("""
    import multiprocessing, os, pathlib, ssl
    WORKERS = 9
    _private = 1
    bind = b"0.0.0.0:80"
    workers = 1 + 2
    worker_class = " gthread "
    threads = "4"
    timeout = 2.5
    graceful_timeout = None
    preload_app = True
    raw_env = ("A=1,2", "B=2")
    reload_extra_files = {pathlib.Path("b"), "a"}
    secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
    chdir = pathlib.Path("/")
    cert_reqs = ssl.CERT_REQUIRED
    umask = 0o27
    max_workers = 0
    """)
    assert found.settings == {
        "bind": ["0.0.0.0:80"],
        "workers": 3,
        "worker_class": "gthread",
        "threads": "4",
        "timeout": 2.5,
        "graceful_timeout": None,
        "preload_app": True,
        "raw_env": ["A=1,2", "B=2"],
        "reload_extra_files": ["a", "b"],
        "secure_scheme_headers": {"X-FORWARDED-PROTO": "https"},
        "chdir": "/",
        "cert_reqs": 2,
        "umask": 0o27,
        "max_workers": 0,
    }
    assert found.hooks == found.originals == {}


def test_where_a_file_is(project):
    folder = project(conf="workers = 2\nfile = __file__\nname = __name__\nproc_name = f'{name} {file}'")
    assert read("", KNOWN).settings == {}
    expected = {"workers": 2, "proc_name": f"__config__ {folder / 'conf.py'}"}
    for location in ("conf.py", "./conf.py", "file:conf.py", str(folder / "conf.py")):
        assert read(location, KNOWN).settings == expected
    (folder / "noext").write_text("workers = 4")
    assert read("noext", KNOWN).settings == {"workers": 4}
    with pytest.raises(ConfigError, match=r"'nowhere.py' cannot be read: No such file"):
        read("nowhere.py", KNOWN)
    with pytest.raises(ConfigError, match=r"'.' cannot be read: Is a directory"):
        read(".", KNOWN)


def test_a_module(project):
    project(deploy__base="workers = 2\ntimeout = 5", deploy__site="from deploy.base import *\nworkers = 3")
    assert read("python:deploy.site", KNOWN).settings == {"workers": 3, "timeout": 5}
    with pytest.raises(ConfigError, match=r"'deploy.nothing' failed: ModuleNotFoundError"):
        read("python:deploy.nothing", KNOWN)
    with pytest.raises(ConfigError, match="is not the name of a module"):
        read("python:", KNOWN)
    project(deploy__slip="worker = 3")
    with pytest.raises(ConfigError, match=r"no setting 'worker' \(python:deploy.slip\)"):
        read("python:deploy.slip", KNOWN)


def test_read_anew_within_the_same_second(project):
    # Through importlib, the byte code of the first would be taken: same size, same time.
    for number in "123":
        folder = project(conf=f"workers = {number}")
        assert read("conf.py", KNOWN).settings == {"workers": int(number)}
    assert not (folder / "__pycache__").exists()


def test_classes_of_the_file(config):
    found = config("""
    import logging, pickle
    class Custom(logging.Logger):
        pass
    logger_class = Custom
    def worker_class():
        return logging.Handler
    class Point:
        pass
    assert type(pickle.loads(pickle.dumps(Point()))) is Point
    """)
    assert found.settings == {"logger_class": "__config__.Custom", "worker_class": "logging.Handler"}
    assert found.originals["logger_class"].__name__ == "Custom"


def test_objects_in_a_log_configuration(config):
    found = config("""
    import logging, sys
    class Format(logging.Formatter):
        pass
    logconfig_dict = {"version": 1, "formatters": {"f": {"()": Format}}, "stream": sys.stdout, ("x",): 1}
    """)
    assert found.settings["logconfig_dict"]["version"] == 1
    assert found.originals["logconfig_dict"]["formatters"]["f"]["()"].__name__ == "Format"
    assert config("logconfig_dict = {'version': 1}").originals == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "accesslog = open('conf.py')",
            "accesslog in conf.py: it must be a text, not <_io.TextIOWrapper name='conf.py'",
        ),
        ("import sys\nworkers = sys.getrecursionlimit", "workers in conf.py: it must be a whole number, not <built-in"),
        ("timeout = float('nan')", "timeout in conf.py: it must be a number of seconds, not nan"),
        ("bind = [object()]", "bind in conf.py: it must be a text or a list of texts, not [<object"),
        ("a = []\na.append(a)\nbind = a", "bind in conf.py: RecursionError"),
        ("def worker_class():\n    return 1 / 0", "worker_class in conf.py: ZeroDivisionError: division by zero"),
        ("when_ready, workers = 'json.dumps', print", "workers in conf.py: it must be a whole number, not <built-in"),
        ("when_ready = 5", "when_ready in conf.py: it must be a function, not 5"),
        ("when_ready = None", "when_ready in conf.py: it must be a function, not None"),
        ("def when_ready(): pass", "when_ready in conf.py: it takes 0 arguments, not 1"),
        ("def post_fork(worker): pass", "post_fork in conf.py: it takes 1 argument, not 2"),
        ("def post_request(worker): pass", "post_request in conf.py: it takes 1 argument, not 4"),
        ("when_ready = 'nothing'", "when_ready in conf.py: 'nothing' does not name a function"),
        ("when_ready = 'json.nothing'", "when_ready in conf.py: there is no 'nothing' in 'json'"),
        ("when_ready = 'no.such'", "when_ready in conf.py: ModuleNotFoundError: No module named 'no'"),
    ],
)
def test_unfit_values(config, source, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config(source)


def test_failures_show_the_file_only(config):
    with pytest.raises(ConfigError, match=r"the configuration file 'conf.py' failed: KeyError: 'PORT'") as caught:
        config("""
        ports = {}
        def port():
            return ports["PORT"]
        bind = port()
        """)
    text = describe(caught.value)
    assert "gowsgi.config.ConfigError" in text
    assert 'conf.py\\", line 5, in <module>\\n    bind = port()' in text
    assert "config.py" not in text
    with pytest.raises(ConfigError, match=r"failed: SyntaxError: .*\(conf.py, line 1\)"):
        config("workers = = 2")
    with pytest.raises(ConfigError, match=r"'conf.py' exited: no"):
        config("import sys\nsys.exit('no')")
    with pytest.raises(ConfigError, match="failed: KeyboardInterrupt"):
        config("raise KeyboardInterrupt")


def test_hooks(config):
    found = config(
        """
        import functools
        calls = []
        def when_ready(server):
            calls.append(server)
        def post_fork(server, worker, *, optional=None): pass
        class Counter:
            def __call__(self, server): calls.append(self)
        on_starting = Counter()
        post_worker_init = "library.start"
        on_exit = functools.partial(lambda name, server: calls.append(name), "exit")
        pre_request = lambda worker, req: None
        """,
        library="def start(worker): worker.append('started')",
    )
    assert found.settings == {}
    assert sorted(found.hooks) == [
        "on_exit", "on_starting", "post_fork", "post_worker_init", "pre_request", "when_ready",
    ]  # fmt: skip
    started = []
    found.hooks["post_worker_init"](started)
    assert started == ["started"]


@pytest.mark.parametrize(
    ("signature", "given"),
    [("worker, req", 2), ("worker, req, environ", 3), ("worker, req, environ, resp", 4), ("worker, req, *rest", 2)],
)
def test_post_request_takes_two_to_four_arguments(config, signature, given):
    found = config(f"def post_request({signature}): return locals()")
    values = found.hooks["post_request"](1, 2, 3, 4)
    assert [value for value in values.values() if value] == [1, 2, 3, 4][:given]


@pytest.mark.parametrize(
    ("source", "name", "near"),
    [
        ("worker = 4", "worker", "workers"),
        ("keepallive = 10", "keepallive", "keepalive"),
        ("log_level = 'info'", "log_level", "loglevel"),
        ("access_logformat = 'x'", "access_logformat", "access_log_format"),
        ("worker_conections: int = 5", "worker_conections", "worker_connections"),
        ("max_requests = 5\nif max_requests:\n    max_request_jitter = 5", "max_request_jitter", "max_requests_jitter"),
        ("limit_request_field = 3200\nlimit_request_field_size = 0", "limit_request_field", "limit_request_fields"),
        ("time_out = None", "time_out", "timeout"),
        ("max_rs = 5", "max_rs", "max_rss"),
    ],
)
def test_slips_of_the_pen(config, source, name, near):
    with pytest.raises(ConfigError, match=f"^there is no setting '{name}' .conf.py.: did you mean '{near}'"):
        config(source)


@pytest.mark.parametrize(
    "source",
    [
        # Another name, not a slip.
        "max_worker_age = 3600",
        "limit_request_size = 5",
        "capture_stdout = True",
        "worker_timeout = 60",
        "use_reload = 1",
        "timeout_str = '5'",
        # What the file uses itself.
        "log_level = 'info'\nloglevel = log_level",
        "log_level = 'info'\nprint(log_level)",
        "log_level = 'info'\ndef on_starting(server):\n    print(log_level)",
        "thread = 4\nthreads = thread + 1",
        "for worker in ['a', 'b']: pass",
        "from os import sep as bin",
        # No values.
        "import threading as thread",
        "from os import stat as worker",
        "class worker: pass",
        "def tineout(): pass",
        "WORKER = 4\n_worker = 4",
    ],
)
def test_no_slips_of_the_pen(config, source):
    config(source)


@pytest.mark.parametrize(
    "source",
    [
        "import daemon",
        "from app import config, group",
        "def max_workers():\n    return 3\nworkers = max_workers()",
        "from app import user",
        "class chdir:\n    pass",
    ],
)
def test_other_things_of_a_settings_name(config, source):
    found = config(source, daemon="", app="class config: pass\ndef user(): pass\nimport json as group")
    assert set(found.settings) <= {"workers"}


def test_config_cannot_be_set_from_a_file(config):
    assert config("config = {'a': object()}\nworkers = config and 2").settings == {"workers": 2}


# In the manner of uvicorn-gunicorn-docker's file, which many projects copied.
DOCKER = """
import json
import multiprocessing
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
if max_workers_str:
    use_max_workers = int(max_workers_str)
web_concurrency_str = os.getenv("WEB_CONCURRENCY_X", None)
host = os.getenv("HOST_X", "0.0.0.0")
port = os.getenv("PORT_X", "80")
bind_env = os.getenv("BIND_X", None)
use_loglevel = os.getenv("LOG_LEVEL_X", "info")
use_bind = bind_env if bind_env else f"{host}:{port}"
cores = multiprocessing.cpu_count()
workers_per_core = float(workers_per_core_str)
default_web_concurrency = workers_per_core * cores
web_concurrency = max(int(default_web_concurrency), 2)
if use_max_workers:
    web_concurrency = min(web_concurrency, use_max_workers)
accesslog_var = os.getenv("ACCESS_LOG_X", "-")
use_accesslog = accesslog_var or None
errorlog_var = os.getenv("ERROR_LOG_X", "-")
use_errorlog = errorlog_var or None
graceful_timeout_str = os.getenv("GRACEFUL_TIMEOUT_X", "120")
timeout_str = os.getenv("TIMEOUT_X", "120")
keepalive_str = os.getenv("KEEP_ALIVE_X", "5")

loglevel = use_loglevel
workers = web_concurrency
bind = use_bind
errorlog = use_errorlog
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(graceful_timeout_str)
timeout = int(timeout_str)
keepalive = int(keepalive_str)

log_data = {
    "loglevel": loglevel, "workers": workers, "bind": bind,
    "workers_per_core": workers_per_core, "use_max_workers": use_max_workers, "host": host, "port": port,
}
print(json.dumps(log_data))
"""

# In the manner of cookiecutters' and of what people write by hand.
LONG = """
# -*- coding: utf-8 -*-
import os
from multiprocessing import cpu_count
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
DEBUG = False
name = "site"
base = str(BASE_DIR)
env = os.environ.get("ENVIRONMENT", "production")
port = int(os.environ.get("PORT_X", 8000))
bind = [f"0.0.0.0:{port}", "unix:/run/site.sock"]
backlog = 2048
workers = cpu_count() * 2 + 1
worker_class = "sync"
threads = 2
timeout, graceful_timeout, keepalive = 120, 30, 5
max_requests = 1000
max_requests_jitter = 50
max_worker_memory = 200
reload_dirs = ["src"]
command = "/usr/bin/gunicorn"
debug = DEBUG
accesslog = errorlog = "-"
loglevel = "info"
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
proc_name = name
daemon = False
pidfile = user = group = tmp_upload_dir = None
umask = 0
raw_env = ["DJANGO_SETTINGS_MODULE=config.settings"]
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-Forwarded-Proto": "https"}
preload_app = True

if env == "development":
    reload = True
    workers = 1

def on_starting(server):
    server.log.info(f"Starting {name}: {workers} workers, {timeout} s")

def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
"""


def test_a_file_that_computes_much(config):
    found = config(DOCKER)
    assert found.settings["bind"] == ["0.0.0.0:80"]
    assert found.settings["timeout"] == 120
    assert "max_workers" not in found.settings


def test_a_long_file(config):
    found = config(LONG)
    assert found.settings["bind"] == ["0.0.0.0:8000", "unix:/run/site.sock"]
    assert found.settings["timeout"] == 120
    assert sorted(found.hooks) == ["on_starting", "post_fork"]
    assert set(found.settings) < set(KNOWN)


def test_reading_costs_little_start_up_time(child):
    loaded = child.json(
        "import json, sys\nfrom gowsgi import config\n"
        "open('conf.py', 'w').write('workers = 2\\nbind = \":80\"\\ndef on_exit(server): pass')\n"
        "found = config.read('conf.py', {'workers': 'int', 'bind': 'list'})\n"
        "print(json.dumps([found.settings, sorted(sys.modules)]))",
        flags=["-S"],
    )
    assert loaded[0] == {"workers": 2, "bind": [":80"]}
    assert {"ast", "difflib", "inspect", "importlib.util", "logging", "traceback"}.isdisjoint(loaded[1])
