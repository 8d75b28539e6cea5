"""uWSGI's configuration files, and what applications and tools of uWSGI's users find."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from support import proc
from support.server import HOST, Server, clean_env, command, finish, free_port

APP = """
import json, os

loaded_in = os.getpid()
try:
    import uwsgi
except ImportError:
    uwsgi = None
else:
    at_import = uwsgi.worker_id()
    uwsgi.post_fork_hook = lambda: open(os.environ["HOOKED"], "a").write(f"{uwsgi.worker_id()} {os.getpid()}\\n")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    if environ["PATH_INFO"] == "/reload":
        uwsgi.reload()
    if environ["PATH_INFO"] == "/cache":
        uwsgi.cache_get("a")
    said = {name: environ[name] for name in ("SCRIPT_NAME", "PATH_INFO")}
    said.update(name=__name__, pid=os.getpid(), loaded_in=loaded_in, value=os.environ.get("VALUE"), cwd=os.getcwd())
    if uwsgi:
        said["opt"] = {name: str(value) for name, value in uwsgi.opt.items()}
        said.update(worker=uwsgi.worker_id(), master=uwsgi.masterpid(), numproc=uwsgi.numproc, at_import=at_import)
    return [json.dumps(said).encode()]
"""

OTHER = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [("other " + environ["SCRIPT_NAME"] + " " + environ["PATH_INFO"]).encode()]
"""


class IniServer(Server):
    """A server that a file of uWSGI's configures; $(PORT) in it is a free port."""

    def __init__(self, folder: Path, venv, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.ports = [free_port()]
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        self.arguments = [*command(), "run", "--python", str(venv.python), *arguments]
        variables = {"PORT_": str(self.port), "HOOKED": str(folder / "hooked"), **(env or {})}
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=clean_env(**variables),
                start_new_session=True,
            )

    def get(self, path: str = "/") -> requests.Response:
        return requests.get(self.url + path, timeout=20)

    def said(self, path: str = "/") -> dict:
        return self.get(path).json()


@pytest.fixture
def run(tmp_path, venv):
    """Starts a server with a file app.ini, or app.yaml, of these lines."""
    started = []
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mod.py").write_text(APP)
    (tmp_path / "site" / "other.py").write_text(OTHER)

    def run(lines: str, *arguments: str, name: str = "app.ini", ready: bool = True, **how) -> IniServer:
        (tmp_path / name).write_text(lines)
        flag = [] if "--ini" in arguments else ["--yaml" if name.endswith("yaml") else "--ini", name]
        server = IniServer(tmp_path, venv, *flag, *arguments, **how)
        started.append(server)
        if ready:
            server.wait_ready()
        return server

    yield run
    for server in started:
        server.close()


PLAIN = "[uwsgi]\nhttp-socket = 127.0.0.1:$(PORT_)\nchdir = site\nmodule = mod:app\n"


def test_a_file_is_all_that_it_takes(run, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a file")
    server = run(
        PLAIN
        + "processes = 2\nthreads = 2\nenv = VALUE=%n of %c\nmount = /other=other:application\nmaster = true\n"
        + "static-map = /static=../files\nlazy-apps = true\n"
    )
    said = server.said()
    assert (said["value"], said["cwd"], said["name"]) == (f"app of {tmp_path.name}", str(tmp_path / "site"), "mod")
    assert (said["master"], said["numproc"], said["opt"]["threads"]) == (server.pid, 2, "b'2'")
    assert server.get("/other/x").text == "other /other /x"
    static = server.get("/static/a.txt")
    assert static.text == "a file" and static.headers["Content-Type"].startswith("text/plain")
    assert '"GET /other/x HTTP/1.1" 200' in server.stdout  # uWSGI logs requests
    assert len(proc.children(server.pid)) == 2


def test_workers_have_numbers_and_a_hook(run, tmp_path):
    """Without lazy-apps the application is imported before the fork."""
    server = run(PLAIN + "processes = 3\n")
    answers = [server.said() for _ in range(30)]
    assert {said["worker"] for said in answers} <= {1, 2, 3}
    assert {said["at_import"] for said in answers} == {0}
    assert len({said["loaded_in"] for said in answers}) == 1 and all(
        said["loaded_in"] != said["pid"] for said in answers
    )
    hooked = dict(line.split() for line in (tmp_path / "hooked").read_text().splitlines())
    assert set(hooked) == {"1", "2", "3"}
    assert all(hooked[str(said["worker"])] == str(said["pid"]) for said in answers)


def test_yaml(run):
    server = run(
        "uwsgi:\n  http-socket: 127.0.0.1:$(PORT_)\n  chdir: site\n  module: mod\n  callable: app\n"
        "  env:\n    - VALUE=y\n",
        name="app.yaml",
    )
    assert server.said()["value"] == "y"


def test_a_file_of_python_by_its_path(run, tmp_path):
    server = run(f"[uwsgi]\nhttp = 127.0.0.1:$(PORT_)\nwsgi-file = {tmp_path}/site/mod.py\ncallable = app\n")
    name = "uwsgi_file_" + str(tmp_path / "site" / "mod").replace("/", "_").replace(".", "_")
    assert server.said()["name"] == name


def test_the_command_line_goes_first(run):
    server = run(
        PLAIN + "processes = 4\nlazy-apps =\nenv = VALUE=ini\n",
        *("--workers", "1", "--env", "VALUE=typed", "other"),
        env={"WEB_CONCURRENCY": "3"},
    )
    assert server.get().text == "other  /"
    assert len(proc.children(server.pid)) == 1


def test_the_file_goes_before_the_environment_and_before_gunicorns_file(run, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("1 / 0\n")
    server = run(PLAIN + "processes = 2\nlazy-apps =\n", env={"WEB_CONCURRENCY": "3"})
    assert server.said()["numproc"] == 2


def test_options_in_the_environment(run):
    server = run(PLAIN, env={"UWSGI_ENV": "VALUE=from outside", "UWSGI_LAZY_APPS": "1"})
    assert server.said()["value"] == "from outside"


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        ("module = mod:app\ncron = 0 0 -1 -1 -1 x\n", [], "app.ini:3: cron: nothing is run at times"),
        ("module = mod:app\nroute = ^/ break:403\n", [], "app.ini:3: route: there are no routes"),
        ("if-not-env = X\nif-env = Y\n", [], "app.ini:3: if-env: a block in another"),
        ("module = mod:app\n", ["-c", "x.py"], "--config: there is --ini or --yaml too"),
        ("module = mod:app\n", ["--yaml", "x.yaml"], "--ini and --yaml: name one of them"),
        ("processes = 1\n", [], "no application: say which"),
        ("strict = 1\nmodul = mod:app\n", [], "app.ini:3: modul: uWSGI has no such option (did you mean module?)"),
        (
            "module = mod:app\nharakiri = $(NONE)\n",
            [],
            "app.ini:3: harakiri: the variable NONE is not in the environment",
        ),
    ],
)
def test_what_is_refused_names_the_line(tmp_path, lines, arguments, message):
    (tmp_path / "app.ini").write_text("[uwsgi]\n" + lines)
    ended = finish(["run", "--ini", "app.ini", *arguments], cwd=tmp_path)
    assert ended.code == 1 and f"gowsgi: {message}" in ended.stderr


def test_what_is_lost_is_a_warning(run):
    server = run(PLAIN + "log-4xx = true\nvaccum = true\n")
    server.wait_log(r"\[WARN\].*app\.ini:5: log-4xx: the access log has all requests or none")
    server.wait_log(r"app\.ini:6: vaccum: uWSGI has no such option \(did you mean vacuum\?\)")


def test_a_reload_reads_the_file_anew(run, tmp_path):
    server = run(PLAIN + "env = VALUE=one\n")
    assert server.said()["value"] == "one"
    (tmp_path / "app.ini").write_text(PLAIN + "cron = x\n")
    server.signal(signal.SIGHUP)
    server.wait_log(r"the reload failed.*app\.ini:5: cron: nothing is run at times", 20)
    assert server.said()["value"] == "one"
    (tmp_path / "app.ini").write_text(PLAIN + "env = VALUE=two\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 20)
    proc.wait_for(lambda: server.said()["value"] == "two", 20, "the new value")


def test_touch_reload(run, tmp_path):
    (tmp_path / "touched").write_text("")
    server = run(PLAIN + "touch-reload = ../touched\n")
    before = server.said()["pid"]
    time.sleep(1.5)  # it was looked at once
    assert server.said()["pid"] == before
    os.utime(tmp_path / "touched", (1, 1))
    server.wait_log("a file was touched: reloading", 20)
    proc.wait_for(lambda: server.said()["pid"] != before, 20, "a new worker")
    assert "reloaded" in server.stderr


def test_the_application_reloads_the_server(run):
    server = run(PLAIN)
    before = server.said()["pid"]
    server.said("/reload")
    proc.wait_for(lambda: server.said()["pid"] != before, 20, "a new worker")
    assert server.said()["worker"] == 1


def test_what_the_module_refuses_is_an_error_of_the_application(run):
    server = run(PLAIN)
    assert server.get("/cache").status_code == 500
    server.wait_log(
        r"Refused: uwsgi\.cache_get\(\) is not offered by gowsgi: there is no cache: use Redis or memcached"
    )


def test_the_module_is_not_there_without_being_asked_for(serve, tmp_path):
    (tmp_path / "mod.py").write_text(APP)
    assert "worker" not in requests.get(serve("mod:app", chdir=tmp_path).url, timeout=20).json()
    server = serve("mod:app", "--uwsgi-module", chdir=tmp_path, env={"HOOKED": str(tmp_path / "hooked")})
    assert requests.get(server.url, timeout=20).json()["worker"] == 1


def uwsgi_get(port: int, path: str) -> bytes:
    """Send a request by the uwsgi protocol and return the answer."""
    variables = b""
    for name, value in {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "REQUEST_URI": path,
        "SERVER_PROTOCOL": "HTTP/1.1",
    }.items():
        for text in (name.encode(), value.encode()):
            variables += struct.pack("<H", len(text)) + text
    with socket.create_connection((HOST, port), 10) as client:
        client.sendall(struct.pack("<BHB", 0, len(variables), 0) + variables)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


def test_uwsgi_socket_with_mounts(run):
    port = free_port()
    server = run(PLAIN + f"socket = 127.0.0.1:{port}\nmount = /other=other:application\nstatic-map = /m=.\n")
    assert uwsgi_get(port, "/other/x").endswith(b"\r\n\r\nother /other /x")
    assert b'"PATH_INFO": "/y"' in uwsgi_get(port, "/y")
    assert uwsgi_get(port, "/m/other.py").endswith(OTHER.encode())
    assert server.said()["PATH_INFO"] == "/"


def test_mounts_without_an_application_for_the_rest(serve, tmp_path):
    (tmp_path / "other.py").write_text(OTHER)
    (tmp_path / "mod.py").write_text(APP)
    server = serve("", "--mount", "/a=other:application", "--mount", "/a/b/=mod:app", chdir=tmp_path, threads=3)
    with requests.Session() as session:
        for path, want in {
            "/a": "other /a ",
            "/a/": "other /a /",
            "/a/c": "other /a /c",
            "/a/bc": "other /a /bc",
        }.items():
            assert session.get(server.url + path, timeout=20).text == want
        said = session.get(server.url + "/a/b/x", timeout=20).json()
        assert (said["SCRIPT_NAME"], said["PATH_INFO"]) == ("/a/b", "/x")
        for path in ("/", "/ab", "/favicon.ico"):
            missing = session.get(server.url + path, timeout=20)
            assert (missing.status_code, missing.text) == (404, "404 Not Found\n")
            assert "close" not in missing.headers.get("Connection", "")


def read_stats(address) -> dict:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(10)
        client.connect(address)
        text = b""
        while piece := client.recv(65536):
            text += piece
    return json.loads(text)


@pytest.mark.parametrize("kind", ["tcp", "unix", "http"])
def test_stats(run, tmp_path, kind):
    port = free_port()
    line = {
        "tcp": f"stats = 127.0.0.1:{port}\n",
        "unix": "stats = ../stats.sock\n",
        "http": f"stats = 127.0.0.1:{port}\nstats-http =\n",
    }[kind]
    server = run(PLAIN + "processes = 2\nlazy-apps =\n" + line)
    for _ in range(10):
        server.said()
    server.get("/cache")

    def document() -> dict:
        if kind == "http":
            return requests.get(f"http://{HOST}:{port}", timeout=10).json()
        return read_stats(str(tmp_path / "stats.sock") if kind == "unix" else (HOST, port))

    def complete() -> bool:
        workers = document()["workers"]
        return sum(worker["requests"] for worker in workers) == 11 and all(worker["rss"] for worker in workers)

    proc.wait_for(complete, 10, "11 requests in the figures of both workers")
    said = document()
    assert [worker["id"] for worker in said["workers"]] == [1, 2]
    assert {worker["pid"] for worker in said["workers"]} == set(proc.children(server.pid))
    assert sum(worker["exceptions"] for worker in said["workers"]) == 1
    assert [worker["status"] for worker in said["workers"]] == ["idle", "idle"]
    assert all(worker["rss"] > 1 << 20 and worker["accepting"] for worker in said["workers"])
    assert said["pid"] == server.pid and sum(worker["tx"] for worker in said["workers"]) > 1000
    assert [entry["proto"] for entry in said["sockets"]] == ["http"]
    server.close()
    assert not (tmp_path / "stats.sock").exists()


def said_by(port: int) -> int | None:
    """Return whose figures they are; None while one master has closed its socket and the next not opened it."""
    try:
        return read_stats((HOST, port))["pid"]
    except ConnectionError:
        return None


def test_stats_after_a_reload_and_an_upgrade(run, tmp_path):
    first, second = free_port(), free_port()
    server = run(PLAIN + f"stats = 127.0.0.1:{first}\npidfile = {tmp_path}/pid\n")
    assert read_stats((HOST, first))["pid"] == server.pid
    (tmp_path / "app.ini").write_text(PLAIN + f"stats = 127.0.0.1:{second}\npidfile = {tmp_path}/pid\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 20)
    assert read_stats((HOST, second))["pid"] == server.pid
    with pytest.raises(ConnectionRefusedError):
        read_stats((HOST, first))
    server.signal(signal.SIGUSR2)
    proc.wait_for(lambda: (tmp_path / "pid.2").exists() and server.stderr.count("serving ") == 2, 20, "a new master")
    assert said_by(second) == server.pid  # as long as it is there
    successor = int((tmp_path / "pid.2").read_text())
    try:
        server.signal(signal.SIGTERM)
        server.wait()
        proc.wait_for(lambda: "the old master has ended" in server.stderr, 20, "the new master to know")
        proc.wait_for(lambda: said_by(second) == successor, 20, "its figures")
    finally:
        os.kill(successor, signal.SIGTERM)
    proc.wait_for(lambda: not proc.alive(successor), 20, "the end")


def test_uwsgitop_shows_the_workers(run):
    port = free_port()
    server = run(PLAIN + f"processes = 2\nlazy-apps =\nstats = 127.0.0.1:{port}\n")
    for _ in range(7):
        server.said()
    proc.wait_for(
        lambda: sum(worker["requests"] for worker in read_stats((HOST, port))["workers"]) == 7, 10, "7 requests"
    )
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.environ.update(TERM="xterm", LINES="24", COLUMNS="200")
        os.execv(sys.executable, [sys.executable, str(Path(sys.executable).parent / "uwsgitop"), f"127.0.0.1:{port}"])
    screen = b""
    workers = [str(child).encode() for child in proc.children(server.pid)]
    try:
        deadline = time.monotonic() + 20
        while not all(worker in screen for worker in workers) and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                screen += os.read(terminal, 65536)
        os.write(terminal, b"q")
    finally:
        os.close(terminal)
        os.kill(pid, signal.SIGKILL)  # it may not look at its terminal any more
        os.waitpid(pid, 0)
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][AB0]|\x1b[=>]", b" ", screen).decode(errors="replace")
    assert "req: 7" in text and "idle" in text, text
    assert all(worker.decode() in text for worker in workers), text


DOCS = Path(__file__).parents[2] / "docs" / "uwsgi.md"


def test_the_commands_of_the_docs(tmp_path, venv):
    """The step by step part of docs/uwsgi.md, in one shell, with what it says comes out."""
    section = DOCS.read_text().partition("## Step by step")[2].partition("\n## ")[0]
    ports = {"8000": str(free_port()), "9191": str(free_port())}

    def here(text: str) -> str:
        text = re.sub(r"\b(8000|9191)\b", lambda match: ports[match[1]], text)
        return text.replace("$PWD", str(tmp_path)).replace("VERSION", version)

    version = finish(["version"]).stdout.split()[1]
    script, expected = "set -e\n", {}
    for info, text in re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S):
        if info == "sh":
            number = len(expected)
            expected[number] = None
            script += f"{{\n{here(text)}}} > out{number}\n"
        else:
            expected[len(expected) - 1] = here(text)
    assert len(expected) == 5 and sum(text is not None for text in expected.values()) == 2
    path = f"{Path(command()[0]).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=clean_env(PATH=path, GOWSGI_PYTHON=str(venv.python)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for number, text in expected.items():
        if text is not None:
            lines = (tmp_path / f"out{number}").read_text().splitlines(keepends=True)
            assert "".join(line for line in lines if not line.startswith("127.0.0.1 - -")) == text  # the access log
    assert "log-4xx: the access log has all requests or none" in ran.stderr and "stopped" in ran.stderr
