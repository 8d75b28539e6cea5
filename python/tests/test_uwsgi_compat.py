"""The module uwsgi that applications import."""

import pytest

SETUP = """
import json, os, sys
from gowsgi import embed
def result(*values):
    print(json.dumps(values))
def setup(**uwsgi):
    embed.setup(json.dumps({"uwsgi": uwsgi}))
"""


@pytest.fixture
def run(child):
    def run(code, **kwargs):
        return child.json(SETUP + code, **kwargs)

    return run


def test_it_is_there_only_when_asked_for(run):
    assert run("""
embed.setup("{}")
try:
    import uwsgi
except ImportError as exc:
    result(str(exc))
""") == ["No module named 'uwsgi'"]


def test_what_it_says(run):
    assert run("""
setup(opt={"http-socket": [":80"], "env": ["A=1", "B=2"], "lazy-apps": [""]}, workers=3, threads=2, worker_id=2,
      master_pid=77, pidfile="/run/a.pid", buffer_size=4096)
import uwsgi
from importlib.util import find_spec
assert uwsgi.version == b"2.0.30" and uwsgi.version_info[:3] == (2, 0, 30) and uwsgi.pidfile == b"/run/a.pid"
assert uwsgi.opt["http-socket"] == b":80" and uwsgi.opt["env"] == [b"A=1", b"B=2"] and uwsgi.opt["lazy-apps"] == b""
assert uwsgi.opt["enable-threads"] == b"true" and find_spec("uwsgi") is uwsgi.__spec__
rss, vsz = uwsgi.mem()
assert 1 << 20 < rss < vsz and uwsgi.micros() > 1 << 50
assert not uwsgi.i_am_the_spooler() and not uwsgi.in_farm("x") and not uwsgi.signal_registered(3)
result(uwsgi.numproc, uwsgi.cores, uwsgi.has_threads, uwsgi.worker_id(), uwsgi.masterpid(), uwsgi.mule_id(),
       uwsgi.applications, uwsgi.buffer_size)
""") == [3, 2, 1, 2, 77, 0, None, 4096]


def test_a_worker_learns_its_number_after_a_fork(run):
    assert run("""
setup(workers=2, worker_id=0)
import uwsgi
before = uwsgi.worker_id()
uwsgi.own = 1
setup(workers=2, worker_id=2)
result(before, uwsgi.worker_id(), uwsgi.own, uwsgi is sys.modules["uwsgi"])
""") == [0, 2, 1, True]


def test_post_fork_hook(run):
    assert run("""
setup(worker_id=1)
embed.worker_hook('{"name": "post_worker_init"}')
import uwsgi
calls = []
uwsgi.post_fork_hook = lambda: calls.append(uwsgi.worker_id())
for name in ("post_fork", "post_worker_init", "worker_exit"):
    embed.worker_hook(json.dumps({"name": name}))
result(*calls)
""") == [1]


def test_a_post_fork_hook_that_raises_ends_the_worker(child):
    failed = child.run(
        SETUP
        + """
setup(worker_id=1)
import uwsgi
uwsgi.post_fork_hook = lambda: 1 / 0
embed.worker_hook('{"name": "post_worker_init"}')
"""
    )
    assert failed.returncode == 1 and "ZeroDivisionError" in failed.stderr


def test_signals_to_the_master(run):
    assert run("""
import signal
seen = []
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, lambda n, f: seen.append(n))
setup(master_pid=os.getpid())
import uwsgi
uwsgi.reload(), uwsgi.stop()
result(*seen)
""") == [1, 15]


def test_log(child):
    ran = child.run(SETUP + "setup()\nimport uwsgi\nuwsgi.log('one'); uwsgi.log(b'two\\xff\\n')")
    assert ran.stderr == "one\ntwo\\xff\n"


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("cache_get('a')", "Redis or memcached"),
        ("queue_push('a')", "Redis"),
        ("spool({b'a': b'b'})", "Celery"),
        ("mule_msg('a')", "Celery"),
        ("lock()", "flock"),
        ("add_timer(1, 5)", "cron"),
        ("register_signal(1, '', print)", "cron"),
        ("rpc('a', 'b')", "HTTP"),
        ("workers()", "--stats"),
        ("websocket_handshake()", "WebSockets"),
        ("sendfile('a')", "file_wrapper"),
    ],
)
def test_what_is_refused(run, call, hint):
    name, message = run(f"""
setup()
import uwsgi
try:
    uwsgi.{call}
except NotImplementedError as exc:
    result(type(exc).__name__, str(exc))
""")
    assert (
        name == "Refused" and message.startswith(f"uwsgi.{call.partition('(')[0]}() is not offered") and hint in message
    )


def test_what_does_nothing_says_so_once(child):
    ran = child.run(
        SETUP + "setup()\nimport uwsgi\nfor _ in range(3): uwsgi.set_logvar('user', 'x'); uwsgi.set_user_harakiri(3)"
    )
    assert ran.stderr.splitlines() == [
        f"uwsgi.{name}() does nothing under gowsgi" for name in ("set_logvar", "set_user_harakiri")
    ]


def test_decorators(child):
    """What uWSGI's own uwsgidecorators does when it is imported, and with each decorator."""
    (child.folder / "uwsgidecorators.py").write_text("""
import uwsgi
if uwsgi.masterpid() == 0:
    raise Exception("no master")
chain = []
uwsgi.spooler = print
uwsgi.post_fork_hook = lambda: [f() for f in chain]
uwsgi.install_mule_msg_hook(print)
def postfork(f):
    chain.append(f)
    return f
def timer(secs):
    def decorate(f):
        number = next(n for n in range(256) if not uwsgi.signal_registered(n))
        uwsgi.register_signal(number, "", f)
        uwsgi.add_timer(number, secs)
    return decorate
""")
    assert child.json(
        SETUP
        + """
setup(worker_id=4)
from uwsgidecorators import postfork, timer
import uwsgi
ran = []
@postfork
def begin():
    ran.append(uwsgi.worker_id())
embed.worker_hook('{"name": "post_worker_init"}')
try:
    @timer(3)
    def tick(number):
        pass
except uwsgi.Refused as exc:
    ran.append(str(exc))
result(*ran)
"""
    ) == [
        4,
        "uwsgi.register_signal() is not offered by gowsgi: nothing runs at times or signals: "
        "use cron, a systemd timer or Celery beat",
    ]
