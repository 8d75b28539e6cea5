"""The loggers "gunicorn.error" and "gunicorn.access", each case in a process of its own."""

import json
import re
import time

import pytest

SETUP = """
import json, os, sys
from gowsgi import embed, logs
reader, writer = os.pipe()
CFG = {
    "errorlog": "-", "accesslog": "-", "access_log_format": '%(h)s "%(r)s" %(s)s %({x-id}i)s', "loglevel": "warning",
    "capture_output": False, "log_json": False, "logger_class": "gunicorn.glogging.Logger", "logconfig": None,
    "logconfig_json": None, "logconfig_dict": None, "syslog": False, "disable_redirect_access_to_syslog": False,
    "syslog_addr": "udp://localhost:514", "syslog_facility": "user", "syslog_prefix": None, "proc_name": "site",
    "statsd_host": None, "statsd_prefix": "", "dogstatsd_tags": "",
}
def setup(error_fd=2, access_fd=1, **cfg):
    options = {"lines_fd": reader, "error_fd": error_fd, "access_fd": access_fd, "cfg": CFG | cfg}
    embed.setup(json.dumps({"logs": options}))
def send(*lines):
    os.write(writer, b"".join(json.dumps(line).encode() + b"\\n" for line in lines))
def access(**changes):
    return {
        "kind": "access", "time": 1767391447.5, "took": 3004567, "status": 200, "reason": "Fine", "sent": 5,
        "address": "192.0.2.7", "user": "", "method": "GET", "uri": "/p?q=1", "path": "/p", "query": "q=1",
        "protocol": "HTTP/1.1", "fields": [["X-Id", "a"], ["x-id", "b"], ["User-Agent", 'c"\\n']],
        "answer": [["X-Trace", "1"], ["Content-Length", "5"]],
        "environ": [["REQUEST_METHOD", "GET"], ["HTTP_USER_AGENT", 'c"\\n'], ["PATH_INFO", "/p"]],
    } | changes
def error(level, message, **more):
    return {"kind": "error", "time": 1767391447.5, "level": level, "message": message} | more
"""
STAMP = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] "


@pytest.fixture
def run(child):
    def run(code, **kwargs):
        result = child.run(SETUP + code, **kwargs)
        assert result.returncode == 0, result.stderr
        return result

    return run


# --- the loggers that every app finds ---


def test_loggers_are_there_once_logging_is(run):
    result = run(
        """
assert "logging" not in sys.modules, "site has imported it: this shows nothing"
setup()
assert "logging" not in sys.modules and "gowsgi.loggers" not in sys.modules
import logging
error, access = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
for log in error, access:
    print(log.level, log.propagate, len(log.handlers))
error.info("not shown")
error.warning("shown %d", 1)
access.info("a line")
app = logging.getLogger("app")
app.handlers = error.handlers
app.error("of the app")
print(any(type(finder).__name__ == "_Hook" for finder in sys.meta_path))
""",
        flags=["-S"],
    )
    assert result.stdout.splitlines() == ["30 False 1", "20 False 1", "a line", "False"]
    assert re.fullmatch(f"{STAMP}\\[WARNING\\] shown 1\n{STAMP}\\[ERROR\\] of the app\n", result.stderr)


@pytest.mark.parametrize("flags", [[], ["-S"]])
def test_where_logging_is_imported_already(run, flags):
    result = run("import logging; setup(); print(logging.getLogger('gunicorn.error').level)", flags=flags)
    assert result.stdout == "30\n"


def test_looking_for_logging_is_not_importing_it(run):
    result = run(
        "setup()\nimport importlib.util as u\nu.find_spec('logging')\nu.find_spec('logging')\n"
        "import logging, importlib\nprint(len(logging.getLogger('gunicorn.error').handlers))\n"
        "importlib.reload(logging)\nprint(len(logging.getLogger('gunicorn.error').handlers))",
        flags=["-S"],
    )
    assert result.stdout == "1\n0\n"  # reload makes logging forget all handlers


def test_no_access_log_no_handler(run):
    assert (
        run(
            "setup(accesslog=None, access_fd=-1)\nimport logging\nprint(logging.getLogger('gunicorn.access').handlers)"
        ).stdout
        == "[]\n"
    )


def test_lines_go_to_the_servers_descriptors(run, child):
    run("""
fd = os.open("log", os.O_WRONLY | os.O_CREAT)
setup(error_fd=fd)
import logging
logging.getLogger("gunicorn.error").error("one")
embed.base_environ()["wsgi.errors"].write("two\\n")
""")
    text = (child.folder / "log").read_text()
    assert "[ERROR] one\n" in text
    assert (
        run(
            "logs.setup({'lines_fd': -1, 'error_fd': 1, 'access_fd': -1, 'cfg': CFG})\n"
            "print(logs.logger().cfg.proc_name)"
        ).stdout
        == "site\n"
    )


def test_failing_setup_does_not_fail_the_import(run):
    result = run("setup(syslog=True, syslog_facility='none')\nimport logging\nprint('on')", flags=["-S"])
    assert result.stdout == "on\n"
    assert "gowsgi: the loggers are not set up\n" in result.stderr
    assert "KeyError: 'none'" in result.stderr


def test_json(run):
    result = run("""
setup(log_json=True, loglevel="info")
import logging
log = logging.getLogger("gunicorn.error")
log.warning("a %s \\u00e9 \\udcff", "b", extra={"user": "ann", "odd": object})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("c")
logging.getLogger("gunicorn.access").info("d")
""")
    first, second = map(json.loads, result.stderr.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", first.pop("time"))
    assert isinstance(first.pop("pid"), int)
    assert first == {
        "level": "warning", "logger": "gunicorn.error", "message": "a b \u00e9 \udcff", "user": "ann",
        "odd": "<class 'object'>",
    }  # fmt: skip
    assert second["traceback"].endswith("ZeroDivisionError: division by zero")
    assert json.loads(result.stdout)["message"] == "d"


def test_object_for_hooks(run):
    result = run("""
setup(loglevel="debug")
log = logs.logger()
for name in ("critical", "error", "warning", "info", "debug"):
    getattr(log, name)("%s", name)
    log.log(name, "again")
log.log(40, "number")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.reopen_files()
print(log.cfg.loglevel, log.error_log.name, log.access_log.name)
""")
    assert result.stdout == "debug gunicorn.error gunicorn.access\n"
    twice = [level for level in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "ERROR") for _ in "12"]
    assert re.findall(r"\[([A-Z]+)\]", result.stderr) == twice
    assert "ZeroDivisionError" in result.stderr


# --- the server's lines ---

FORMATTER = """
import json, logging
class JSON(logging.Formatter):
    def format(self, record):
        members = {
            "logger": record.name, "level": record.levelname, "message": record.getMessage(),
            "created": record.created, "exception": record.exc_text,
        }
        if isinstance(record.args, dict):
            names = {"agent": "a", "status": "s", "took": "D", "trace": "{X-Trace}o", "none": "nothing"}
            members.update({name: record.args[atom] for name, atom in names.items()})
        return json.dumps(members)
"""
INI = """
[loggers]
keys=root,error,access
[handlers]
keys=out
[formatters]
keys=json
[logger_root]
level=WARNING
handlers=
[logger_error]
level=DEBUG
handlers=out
propagate=0
qualname=gunicorn.error
[logger_access]
level=INFO
handlers=out
propagate=0
qualname=gunicorn.access
[handler_out]
class=FileHandler
args=('%(here)s/out.log',)
formatter=json
[formatter_json]
class=formatter.JSON
"""
DICT = {
    "loggers": {name: {"level": "DEBUG", "handlers": ["out"]} for name in ("gunicorn.error", "gunicorn.access")},
    "handlers": {
        "out": {"class": "logging.FileHandler", "filename": "out.log", "formatter": "json"},
        "console": {"class": "logging.NullHandler"},
    },
    "formatters": {"json": {"()": "formatter.JSON"}},
}
LINES = """
send(error("debug", "a%s"), error("error", "failed", traceback="Traceback:\\n  x\\n"), access())
"""


@pytest.mark.parametrize("kind", ["logconfig", "logconfig_json", "logconfig_dict"])
def test_log_configuration(run, child, kind):
    """A JSON formatter of the user's gets the server's lines, with gunicorn's atoms."""
    (child.folder / "formatter.py").write_text(FORMATTER)
    (child.folder / "log.ini").write_text(INI)
    (child.folder / "log.json").write_text(json.dumps(DICT))
    value = {"logconfig": str(child.folder / "log.ini"), "logconfig_json": "log.json", "logconfig_dict": DICT}[kind]
    run(f"setup({kind}={value!r}){LINES}")
    first, second, third = [json.loads(line) for line in (child.folder / "out.log").read_text().splitlines()]
    assert (first["logger"], first["level"], first["message"], first["created"]) == (
        "gunicorn.error",
        "DEBUG",
        "a%s",
        1767391447.5,
    )
    assert (second["level"], second["message"], second["exception"]) == ("ERROR", "failed", "Traceback:\n  x")
    assert third == {
        "logger": "gunicorn.access", "level": "INFO", "message": '192.0.2.7 "GET /p?q=1 HTTP/1.1" 200 b',
        "created": 1767391447.5, "agent": 'c\\"\\x0a', "status": "200", "took": 3004567, "trace": "1", "none": "-",
        "exception": None,
    }  # fmt: skip


def test_configuration_over_gunicorns_defaults(run):
    """A dictionary without loggers has gunicorn's: they write to the console."""
    result = run(f"setup(logconfig_dict={{'version': 1}}){LINES}")
    # Both propagate to the root's handler, as in gunicorn.
    assert result.stdout.count("[INFO] 192.0.2.7") == 2
    assert "[ERROR] failed\nTraceback:\n  x\n" in result.stderr
    assert "a%s" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ("logconfig='nowhere.ini'", "the log configuration nowhere.ini: No such file or directory"),
        ("logconfig_json='nowhere.json'", "the log configuration nowhere.json: No such file or directory"),
        (
            "logconfig_dict={'handlers': {'a': {'class': 'no.Such'}}}",
            "the log configuration logconfig_dict: ValueError: Unable to configure handler 'a': ",
        ),
        ("logconfig=__file__", "the log configuration "),
        ("logger_class='nothing.Log'", "the logger class 'nothing.Log': ModuleNotFoundError: No module named "),
        ("logger_class='Log'", "the logger class 'Log': ValueError: write it as MODULE.CLASS"),
        ("logger_class='json.Nothing'", "the logger class 'json.Nothing': AttributeError: module 'json' has no "),
    ],
)  # fmt: skip
def test_bad_configuration(run, cfg, message):
    result = run(f"""
__file__ = json.__file__
try:
    setup({cfg})
except logs.LogError as exc:
    print(exc)
""")
    assert result.stdout.startswith(message)


CLASS = """
import json
class Log:
    def __init__(self, cfg):
        self.cfg = cfg
    def access(self, resp, req, environ, request_time):
        print(json.dumps([resp.status, resp.status_code, resp.sent, resp.headers, resp.response_length, req.method,
            req.uri, req.path, req.headers, req.version, environ["REQUEST_METHOD"], environ["SERVER_SOFTWARE"][:6],
            environ["wsgi.url_scheme"] if "wsgi.url_scheme" in environ else "", request_time.total_seconds(),
            self.cfg.access_log_format[:2], self.cfg.user == __import__("os").geteuid()]))
    def error(self, msg, *args):
        print("error", msg)
    def debug(self, msg, *args):
        raise RuntimeError("no debugging")
    def reopen_files(self):
        print("reopened")
"""


def test_logger_class(run, child):
    (child.folder / "logger.py").write_text(CLASS)
    more = "send(error('debug', 'b'), {'kind': 'reopen'})\nprint(type(logs.logger()).__name__)"
    result = run(f"setup(logger_class='logger.Log'){LINES}{more}")
    lines = result.stdout.splitlines()
    name = lines.index("Log")  # printed by the main thread, at any time
    del lines[name]
    assert lines[0] == "error failed"
    assert lines[1:3] == ["Traceback:", "  x"]
    assert json.loads(lines[3]) == [
        "200 Fine", 200, 5, [["X-Trace", "1"], ["Content-Length", "5"]], 5, "GET", "/p?q=1", "/p",
        [["X-ID", "a"], ["X-ID", "b"], ["USER-AGENT", 'c"\n']], [1, 1], "GET", "gowsgi", "", 3.004567, "%(", True,
    ]  # fmt: skip
    assert lines[4] == "reopened"
    assert result.stderr.count("this is told once") == 1
    assert "RuntimeError: no debugging" in result.stderr


def test_refused_head(run):
    line = (
        "send(access(method='', uri='', path='', query='', protocol='', fields=[], answer=[], environ=[], status=400))"
    )
    form = "%(r)s %(m)s %(U)s %(q)s. %(a)s %({x}e)s %(s)s"
    result = run(f"setup(access_log_format={form!r}, logconfig_dict={{'version': 1}})\n{line}")
    assert "[INFO] - - - . - - 400\n" in result.stdout


def test_same_atoms_as_the_servers(run):
    names = "h l u t r m U q H s B b f a T D M L p".split()
    form = "|".join(
        f"%({name})s" for name in [*names, "{user-agent}i", "{content-length}o", "{path_info}e", "{nothing}i"]
    )
    line = run(
        f"setup(access_log_format={form!r}, logconfig_dict={{'version': 1}})\nsend(access())"
    ).stdout.splitlines()[0]
    pid = line.partition("[INFO] ")[0].split("[")[-1].split("]")[0]
    when = time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(1767391447))
    assert line.partition("[INFO] ")[2].split("|") == [
        "192.0.2.7", "-", "-", when, "GET /p?q=1 HTTP/1.1", "GET", "/p", "q=1", "HTTP/1.1", "200", "5", "5", "-",
        'c\\"\\x0a', "3", "3004567", "3004", "3.004567", f"<{pid}>", 'c\\"\\x0a', "5", "/p", "-",
    ]  # fmt: skip


def test_lines_before_the_end_are_logged(run):
    """At the process's end the reading thread gets the time to finish."""
    result = run("setup(logconfig_dict={'version': 1})\nsend(*[error('warning', f'line {n}') for n in range(300)])")
    assert result.stderr.count("[WARNING] line ") == 300


def test_closed_pipe_ends_the_thread(run):
    result = run("""
setup(logconfig_dict={"version": 1})
import threading, time
names = lambda: [t.name for t in threading.enumerate()]
end = time.monotonic() + 5
while "gowsgi-logs" not in names() and time.monotonic() < end: time.sleep(0.001)
os.close(writer)
while time.monotonic() < end:
    try: os.fstat(reader)
    except OSError: break
    time.sleep(0.001)
print("closed", end - time.monotonic() > 0)
""")
    assert result.stdout == "closed True\n"


def test_child_of_a_fork_reads_no_lines(run):
    result = run(
        """
setup()
pid = os.fork()
if pid == 0:
    import logging
    logging.getLogger("gunicorn.error").error("in the child")
    os._exit(0)
os.waitpid(pid, 0)
send({"kind": "reopen"})
import select, time
time.sleep(0.05)
print(select.select([reader], [], [], 0)[0] == [reader])
""",
        flags=["-S"],
    )
    assert result.stdout == "True\n"
    assert "in the child" in result.stderr


# --- files ---


def test_reopening(run, child):
    """What the app's own handlers write to is opened anew too, as gunicorn does."""
    run("""
setup()
import logging, logging.handlers, time
logging.getLogger("app").addHandler(logging.FileHandler("app.log"))
logging.root.addHandler(logging.handlers.WatchedFileHandler("root.log"))
logging.getLogger("late").addHandler(logging.FileHandler("late.log", delay=True))
logging.getLogger("app").error("one")
for name in ("app", "root"):
    os.rename(f"{name}.log", f"{name}.1")
send({"kind": "reopen"})
end = time.monotonic() + 5
while not (os.path.exists("app.log") and os.path.exists("root.log")) and time.monotonic() < end: time.sleep(0.001)
logging.getLogger("app").error("two")
assert not os.path.exists("late.log")
""")
    files = {path.name: path.read_text() for path in child.folder.glob("*.*")}
    assert files == {"app.log": "two\n", "app.1": "one\n", "root.log": "two\n", "root.1": "one\n"}


def test_files_without_a_server(run, child):
    """A zygote opens the logs itself; the worker takes the server's."""
    result = run("""
fd = os.open("worker.log", os.O_WRONLY | os.O_CREAT)
cfg = type(sys.implementation)(**CFG | {"errorlog": "error.log", "accesslog": "access.log", "capture_output": True})
logs.configure(cfg)
log = logs.logger()
log.error("one")
log.access_log.info("access")
os.write(1, b"printed\\n")
os.rename("error.log", "error.1")
logs.reopen()
log.error("two")
logs.setup({"lines_fd": reader, "error_fd": fd, "access_fd": fd})
log.error("three")
""")
    assert (result.stdout, result.stderr) == ("", "")
    text = {path.name: re.sub(STAMP, "", path.read_text()) for path in child.folder.glob("*.*")}
    assert text == {
        "error.1": "[ERROR] one\nprinted\n", "error.log": "[ERROR] two\n", "access.log": "access\n",
        "worker.log": "[ERROR] three\n",
    }  # fmt: skip
    result = child.run(SETUP + "logs.configure(type(sys.implementation)(**CFG | {'errorlog': 'no/where'}))")
    assert "LogError: the log " in result.stderr


# --- syslog ---


@pytest.mark.parametrize("scheme", ["udp", "tcp", "unix"])
def test_syslog_for_what_apps_log(run, scheme):
    result = run(f"""
import socket, threading
kind = socket.SOCK_STREAM if "{scheme}" == "tcp" else socket.SOCK_DGRAM
server = socket.socket(socket.AF_UNIX if "{scheme}" == "unix" else socket.AF_INET, kind)
server.bind(os.path.abspath("log") if "{scheme}" == "unix" else ("127.0.0.1", 0))
server.settimeout(10)
if "{scheme}" == "tcp": server.listen()
at = server.getsockname()
at = at if "{scheme}" == "unix" else f"127.0.0.1:{{at[1]}}"
setup(syslog=True, syslog_addr=f"{scheme}://{{at}}", syslog_facility="LOCAL1", syslog_prefix="app",
    disable_redirect_access_to_syslog=True)
import logging
logging.getLogger("gunicorn.access").info("not sent")
logging.getLogger("gunicorn.error").error("sent")
if "{scheme}" == "tcp": server = server.accept()[0]; server.settimeout(10)
print(repr(server.recv(1000)))
""")
    end = {"udp": "", "tcp": "\\n", "unix": "\\x00"}[scheme]
    assert re.search(rf"^b'<139>gunicorn\.app\.error: \[\d+\] sent{re.escape(end)}'$", result.stdout, re.MULTILINE)


def test_syslog_that_is_not_there(run):
    code = "setup(syslog=True, syslog_addr='tcp://127.0.0.1:1')\nimport logging\n"
    result = run(f"{code}logging.getLogger('gunicorn.error').error('here')")
    assert "[ERROR] here" in result.stderr
