"""Server hooks of a configuration file, in real processes: their order, what they get, and what people do in them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import APPS, HOST, REPO
from support.site import gone, said, workers, zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.site import Site

BIND = 'bind = "127.0.0.1:{port}"\n'

NOTES = (
    BIND
    + """
import os

def note(name, *facts):
    with open("{folder}/notes", "a") as file:
        print(name, os.getpid(), *facts, file=file)

def on_starting(server):
    note("on_starting", server.pid, server.address)
def on_reload(server):
    note("on_reload", server.num_workers)
def when_ready(server):
    note("when_ready", len(server.WORKERS))
def pre_fork(server, worker):
    worker.mark = worker.age
    note("pre_fork", worker.age, worker.pid)
def post_fork(server, worker):
    note("post_fork", worker.age, worker.pid == os.getpid(), worker.mark, server.num_workers)
def post_worker_init(worker):
    note("post_worker_init", worker.pid, callable(worker.wsgi))
def worker_int(worker):
    note("worker_int", worker.pid)
def worker_abort(worker):
    note("worker_abort", worker.pid)
def pre_exec(server):
    note("pre_exec")
def pre_request(worker, req):
    note("pre_request", req.method, req.path, req.query, dict(req.headers).get("X-NOTE"))
def post_request(worker, req, environ, resp):
    note("post_request", req.path, environ["REQUEST_METHOD"], resp.status, worker.nr)
def child_exit(server, worker):
    note("child_exit", worker.pid, worker.mark)
def worker_exit(server, worker):
    note("worker_exit", worker.pid)
def nworkers_changed(server, new, old):
    note("nworkers_changed", new, old)
def on_exit(server):
    note("on_exit", len(server.WORKERS))
"""
)


class Notes:
    """What the hooks have noted: name, process and facts."""

    def __init__(self, path: Path) -> None:
        """Read from a file that may not be there yet."""
        self._path = path

    def all(self) -> list[list[str]]:
        """Return every note."""
        text = self._path.read_text() if self._path.exists() else ""
        return [line.split() for line in text.splitlines()]

    def of(self, name: str) -> list[list[str]]:
        """Return a hook's facts."""
        return [note[1:] for note in self.all() if note[0] == name]

    def wait(self, name: str, times: int = 1) -> list[list[str]]:
        """Return a hook's facts once there are so many."""
        proc.wait_for(lambda: len(self.of(name)) >= times, 15, f"{name} {times} times; there are {self.all()}")
        return self.of(name)


@pytest.fixture
def notes(site: Site) -> Notes:
    """What the hooks of NOTES have noted."""
    return Notes(site.folder / "notes")


# Every hook -----------------------------------------------------------------------


def test_a_life(site: Site, notes: Notes) -> None:
    """From the start over a request, one more worker and a reload to the end."""
    site.write("conf.py", NOTES + "workers = 2\n")
    server = site.start("-c", "conf.py", "facts:app")
    master = zygote(server)
    first = workers(server, 2)
    notes.wait("when_ready")
    names = [note[0] for note in notes.all()]
    assert (names[0], names[-1]) == ("on_starting", "when_ready")
    assert sorted(names[1:-1]) == sorted(["nworkers_changed"] + ["pre_fork", "post_fork", "post_worker_init"] * 2)
    address = ["[('127.0.0.1',", f"{site.port})]"]
    assert notes.of("on_starting") == [[str(master), str(server.pid), *address]]
    assert notes.of("nworkers_changed") == [[str(master), "2", "None"]]
    assert notes.of("pre_fork") == [[str(master), age, "[booting]"] for age in ("1", "2")]
    assert sorted(notes.of("post_fork")) == sorted(
        [str(pid), str(age), "True", str(age), "2"] for age, pid in enumerate(first, 1)
    )
    assert sorted(notes.of("post_worker_init")) == sorted([str(pid), str(pid), "True"] for pid in first)
    assert notes.of("when_ready") == [[str(master), "2"]]

    requests.get(f"{site.url}/who?n=1", headers={"X-Note": "here"}, timeout=10)
    (before,), (after,) = notes.wait("pre_request"), notes.wait("post_request")
    assert int(before[0]) in first
    assert before[1:] == ["GET", "/who", "n=1", "here"]
    assert after == [before[0], "/who", "GET", "200", "OK", "1"]
    assert requests.get(f"{site.url}/raise", timeout=10).status_code == 500
    assert notes.wait("post_request", 2)[1][1:3] == ["/raise", "GET"]

    server.signal(signal.SIGTTIN)
    workers(server, 3)
    notes.wait("post_worker_init", 3)
    assert notes.of("nworkers_changed")[1:] == [[str(master), "3", "2"]]
    assert notes.of("post_fork")[2][4] == "3"
    old = server.workers
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded: workers=2", 15)
    gone(*old, master)
    assert len(notes.wait("worker_exit", 3)) == 3
    assert sorted(fact[1:] for fact in notes.of("child_exit")) == sorted(
        [str(pid), str(age)] for age, pid in enumerate(old, 1)
    )
    second = zygote(server)
    assert notes.of("on_reload") == [[str(second), "2"]]
    assert notes.of("nworkers_changed")[2:] == [[str(second), "2", "3"]]
    assert len(notes.of("on_starting")) == len(notes.of("when_ready")) == 1

    assert server.stop() == 0
    assert notes.of("on_exit") == [[str(second), "0"]]
    assert notes.all()[-1][0] == "on_exit"
    assert len(notes.of("child_exit")) == len(notes.of("worker_exit")) == 5
    assert "Error" not in server.stderr.replace("RuntimeError", "")


def test_a_quick_end(site: Site, notes: Notes) -> None:
    site.write("conf.py", NOTES)
    server = site.start("-c", "conf.py", "facts:app")
    (worker,) = workers(server, 1)
    server.signal(signal.SIGQUIT)
    assert server.wait() == 0
    assert notes.of("worker_int") == [[str(worker), str(worker)]]
    assert notes.of("on_exit")


def test_a_request_that_takes_too_long(site: Site, notes: Notes) -> None:
    site.write("conf.py", NOTES + "timeout = 1\n")
    server = site.start("-c", "conf.py", "facts:app")
    (worker,) = workers(server, 1)
    assert requests.get(f"{site.url}/sleep?s=3", timeout=10).status_code == 504
    assert notes.wait("worker_abort") == [[str(worker), str(worker)]]
    gone(worker)
    assert notes.wait("child_exit")[0][1] == str(worker)


def test_an_upgrade(site: Site, notes: Notes) -> None:
    """The new master reads the file itself; the old one's hooks go on."""
    site.write("conf.py", NOTES)
    server = site.start("-c", "conf.py", "facts:app")
    server.signal(signal.SIGUSR2)
    said(server, "serving facts:app", 2)
    assert notes.of("pre_exec")
    assert len(notes.of("on_starting")) == len(notes.wait("when_ready", 2)) == 2
    new = int(re.findall(r"pid=(\d+)$", server.stderr, re.M)[-1])
    try:
        assert server.stop() == 0
        assert len(notes.of("on_exit")) == 1
        assert site.facts()
    finally:
        os.kill(new, signal.SIGTERM)
        gone(new)
    assert len(notes.of("on_exit")) == 2


# Hooks that fail ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        ("on_starting(server)", 1),
        ("pre_fork(server, worker)", 1),
        ("post_fork(server, worker)", 3),
        ("post_worker_init(worker)", 3),
    ],
)
def test_hooks_that_fail_at_the_start(site: Site, hook: str, code: int) -> None:
    site.write("conf.py", BIND + f"def {hook}:\n    raise ValueError('no vault')\n")
    end = site.finish("-c", "conf.py", "facts:app")
    assert end.code == code
    assert f"the hook {hook.partition('(')[0]} failed: ValueError: no vault" in end.stderr
    assert end.stderr.count("Traceback (most recent call last)") == 1
    assert "conf.py" in end.stderr
    site.write("conf.py", BIND + f"import sys\ndef {hook}:\n    sys.exit(9)\n")
    assert site.finish("-c", "conf.py", "facts:app").code == (9 if code == 1 else code)


def test_hooks_that_fail_later(site: Site) -> None:
    """They are logged, and nothing else happens."""
    names = ["when_ready(server)", "child_exit(server, worker)", "worker_exit(server, worker)", "on_exit(server)"]
    names += ["nworkers_changed(server, new, old)", "post_request(worker, req)"]
    site.write("conf.py", BIND + "".join(f"def {name}:\n    raise ValueError('in {name[:8]}')\n" for name in names))
    server = site.start("-c", "conf.py", "facts:app")
    (worker,) = workers(server, 1)
    assert site.facts()["pid"] == worker
    os.kill(worker, signal.SIGTERM)
    gone(worker)
    workers(server, 1)
    assert site.facts()
    assert server.stop() == 0
    for name in names:
        assert f"ValueError: in {name[:8]}" in server.stderr


def test_pre_request_that_fails(site: Site) -> None:
    """The request fails as if the application had."""
    site.write("conf.py", BIND + "def pre_request(worker, req):\n    if req.path == '/who': 1 / 0\n")
    server = site.start("-c", "conf.py", "facts:app")
    assert requests.get(f"{site.url}/who?n=1", timeout=10).status_code == 500
    server.wait_log("ZeroDivisionError")
    assert site.facts()


def test_a_hook_that_hangs_does_not_keep_the_server_from_ending(site: Site) -> None:
    site.write("conf.py", BIND + "import time\ndef when_ready(server):\n    time.sleep(3600)\n")
    server = site.start("-c", "conf.py", "facts:app")
    tree = proc.tree(server.pid)
    assert site.facts()
    assert server.stop() == 0
    assert "the server hooks take too long" in server.stderr
    gone(*tree)


def test_what_a_file_registers_for_the_end(site: Site) -> None:
    """atexit's functions run in each worker and once at the end, as when gunicorn's master forks."""
    site.write("conf.py", NOTES + "import atexit\natexit.register(lambda: note('atexit'))\nworkers = 2\n")
    server = site.start("-c", "conf.py", "facts:app")
    pids = [*workers(server, 2), zygote(server)]
    assert server.stop() == 0
    notes = Notes(site.folder / "notes")
    assert sorted(int(fact[0]) for fact in notes.of("atexit")) == sorted(pids)


# What people do in hooks ----------------------------------------------------------


@pytest.fixture(scope="session")
def recipes() -> Path:
    """A folder with the packages of recipes.txt, which are pure Python."""
    wanted = APPS / "recipes.txt"
    folder = REPO / ".cache" / f"recipes-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    with (REPO / ".cache" / "recipes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            aside = folder.with_suffix(".new")
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--upgrade", "--target", str(aside), "-r", str(wanted)], check=True)
            aside.rename(folder)
    return folder


PROMETHEUS_APP = """
import os
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess

hits = Counter("hits", "Requests.")
live = Gauge("live", "Workers.", multiprocess_mode="livesum")
live.set(1)

def app(environ, start_response):
    live.set(1)
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        body = generate_latest(registry)
    else:
        hits.inc()
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("preload", [False, True])
def test_prometheus(site: Site, recipes: Path, preload: bool) -> None:
    """prometheus_client's recipe for gunicorn, with the package: counters add up, dead workers are marked."""
    metrics = site.folder / "metrics"
    metrics.mkdir()
    site.write("counted.py", PROMETHEUS_APP)
    site.write(
        "conf.py",
        BIND
        + "from prometheus_client import multiprocess\n"
        + "def child_exit(server, worker):\n    multiprocess.mark_process_dead(worker.pid)\n"
        + f"workers = 2\nthreads = 2\npreload_app = {preload}\n",
    )
    env = {"PYTHONPATH": str(recipes), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    server = site.start("-c", "conf.py", "counted:app", env=env)

    def ask(path: str) -> str:
        return requests.get(site.url + path, headers={"Connection": "close"}, timeout=10).text

    hits = 0
    for _ in range(3):
        pids: set[str] = set()
        while len(pids) < 2:
            pids.add(ask("/"))
            hits += 1
        victim = int(pids.pop())
        file = metrics / f"gauge_livesum_{victim}.db"
        assert file.exists()
        os.kill(victim, signal.SIGKILL)
        proc.wait_for(lambda file=file: not file.exists(), 10, "the worker to be marked")
        workers(server, 2)
        assert f"hits_total {float(hits)}\n" in ask("/metrics")
        assert float(re.search(r"^live (.*)$", ask("/metrics"), re.M)[1]) <= 2 + preload
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    workers(server, 2)
    proc.wait_for(lambda: len(list(metrics.glob("gauge_livesum_*"))) <= 2 + preload, 10, "the old workers to be marked")
    assert f"hits_total {float(hits)}\n" in ask("/metrics")
    assert server.stop() == 0
    assert "Error" not in server.stderr


@pytest.fixture
def sink() -> Iterator[tuple[str, list[str]]]:
    """A DSN, and the messages of the exceptions that Sentry's client has sent there."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            for line in body.splitlines():
                for value in json.loads(line).get("exception", {}).get("values", []):
                    got.append(value["value"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://key@{HOST}:{server.server_port}/1", got
    server.shutdown()
    server.server_close()


SENTRY_APP = """
import os, sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

def failing(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise RuntimeError(f"broken in {os.getpid()}")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

app = SentryWsgiMiddleware(failing)
"""


@pytest.mark.parametrize("preload", [False, True])
def test_sentry(site: Site, recipes: Path, sink: tuple[str, list[str]], preload: bool) -> None:
    """Its client, begun in post_fork, sends from the worker, by a thread of its own; worker_exit flushes it."""
    dsn, got = sink
    site.write("watched.py", SENTRY_APP)
    site.write(
        "conf.py",
        BIND
        + f"""
import sentry_sdk
preload_app = {preload}
def post_fork(server, worker):
    sentry_sdk.init(dsn="{dsn}", default_integrations=False)
    server.log.info("Worker spawned (pid: %s)", worker.pid)
def worker_exit(server, worker):
    sentry_sdk.flush(5)
""",
    )
    server = site.start("-c", "conf.py", "watched:app", env={"PYTHONPATH": str(recipes)})
    (worker,) = workers(server, 1)
    assert requests.get(f"{site.url}/raise", timeout=10).status_code == 500
    proc.wait_for(lambda: got == [f"broken in {worker}"], 10, "the report")
    assert requests.get(f"{site.url}/raise", timeout=10).status_code == 500
    assert server.stop() == 0
    assert got == [f"broken in {worker}"] * 2
    server.wait_log(rf"Worker spawned \(pid: {worker}\)")


AGENT = """
import threading, time
class Agent:
    '''Reports in the background, as New Relic's does.'''
    def start(self, path):
        self.path, self.count, self.ended = path, 0, threading.Event()
        threading.Thread(target=self.run, daemon=True).start()
    def run(self):
        while not self.ended.wait(0.1):
            self.report()
    def report(self):
        with open(self.path, "a") as file:
            print(self.count, file=file)
agent = Agent()
def wrapped(app):
    def counting(environ, start_response):
        agent.count += 1
        return app(environ, start_response)
    return counting
"""


def test_an_agent_that_wraps_the_application(site: Site) -> None:
    """post_worker_init puts another application in, whose thread reports what it has seen."""
    site.write("agent.py", AGENT)
    site.write(
        "conf.py",
        BIND
        + """
import agent
def post_fork(server, worker):
    agent.agent.start("{folder}/reports")
def post_worker_init(worker):
    worker.wsgi = agent.wrapped(worker.wsgi)
def worker_exit(server, worker):
    agent.agent.report()
""",
    )
    server = site.start("-c", "conf.py", "facts:app")
    reports = site.folder / "reports"
    for _ in range(3):
        site.facts()
    proc.wait_for(lambda: reports.exists() and reports.read_text().endswith("3\n"), 5, "a report")
    site.facts()
    assert server.stop() == 0
    assert reports.read_text().endswith("4\n")


def test_a_worker_that_ends_itself(site: Site) -> None:
    """A hook that looks at the memory sets worker.alive: the worker finishes, another takes its place."""
    site.write("conf.py", BIND + "def post_request(worker, req, environ, resp):\n    worker.alive = worker.nr < 2\n")
    server = site.start("-c", "conf.py", "facts:app")
    (worker,) = workers(server, 1)
    for _ in range(2):
        assert site.facts()["pid"] == worker
    gone(worker)
    assert site.facts()["pid"] != worker


def test_a_hook_that_waits_for_a_service(site: Site) -> None:
    """on_starting may take its time; the port takes connections meanwhile, and nobody is refused."""
    with socket.create_server((HOST, 0)) as service:
        port = service.getsockname()[1]
        site.write(
            "conf.py",
            BIND
            + f"import socket\ndef on_starting(server):\n    socket.create_connection(('{HOST}', {port})).recv(1)\n",
        )
        server = site.start("-c", "conf.py", "facts:app", ready=False)
        service.settimeout(10)
        client, _ = service.accept()
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.append(site.facts()))
        waiting.start()
        time.sleep(0.3)
        assert not answers
        client.close()
        waiting.join(15)
        assert answers
        assert server.stop() == 0
