"""Package gowsgi: an application in a Go program sees what it sees under `gowsgi run`.

`make test-e2e` also runs other files of this folder against tests/gohandler.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
from support import interpreters, proc
from support.server import HOST, REPO, Server, clean_env, free_port
from support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Serve
    from support.interpreters import Venv

BUILD_TIMEOUT = 300


def build(folder: Path, out: Path, *options: str) -> Path:
    """Build the Go program of a folder."""
    command = ["go", "build", *options, "-o", str(out), "."]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False)
    assert run.returncode == 0, run.stderr
    return out


@contextmanager
def running(command: list[str], port: int, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A program that listens on a port, until the end of the block."""
    process = subprocess.Popen(
        command, env=clean_env(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        proc.wait_for(lambda: process.poll() is not None or accepts(port), 30, f"{command[0]} to listen")
        assert process.poll() is None, process.stdout.read()
        yield process
    finally:
        process.terminate()
        process.wait(20)


def accepts(port: int) -> bool:
    try:
        Wire(port, timeout=1).close()
    except OSError:
        return False
    return True


# --- the environ ---

REQUESTS = {
    "plain": b"GET /environ HTTP/1.1\r\nHost: h\r\n\r\n",
    "1.0": b"GET /environ HTTP/1.0\r\n\r\n",
    "host with port": b"GET /environ?a=%20b&c=d?e HTTP/1.1\r\nHost: example.org:81\r\n\r\n",
    "escapes": b"GET /environ/%C3%A9%2F%25/../x?%ff HTTP/1.1\r\nHost: h\r\n\r\n",
    "absolute target": b"GET http://other.example/environ?x HTTP/1.1\r\nHost: other.example\r\n\r\n",
    "slashes": b"GET //environ//x/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "fields": b"GET /environ HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \r\nX_A: 3\r\nCookie: a=b\r\nCookie: c=d\r\n"
    b"Accept: */*\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nProxy: x\r\nConnection: close, x-a\r\n\r\n",
    "body": b"POST /environ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Type: text/x; a=b\r\n\r\nabc",
    "empty body": b"POST /environ HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "no body": b"POST /environ HTTP/1.1\r\nHost: h\r\n\r\n",
    "coded body": b"POST /environ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
    b"3\r\nabc\r\n0\r\nX-T: y\r\n\r\n",
    "empty coded body": b"PUT /environ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "expectation": b"POST /environ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "upgrade": b"GET /environ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "other method": b"PROPFIND /environ HTTP/1.1\r\nHost: h\r\n\r\n",
    "proxy": b"GET /environ HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.7, 203.0.113.5\r\n"
    b"X-Forwarded-Proto: https\r\n\r\n",
    "RFC 7239": b'GET /environ HTTP/1.1\r\nHost: h\r\nForwarded: for="[2001:db8::1]:4711";proto=https;host=x\r\n\r\n',
    "odd proxy": b"GET /environ HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Ssl: on\r\n\r\n",
}


@pytest.fixture(scope="module")
def both(module_serve: Serve, tmp_path_factory: pytest.TempPathFactory, venv: Venv) -> Iterator[list[Server]]:
    """The same application under `gowsgi run` and in a Go program."""
    program = build(REPO / "tests" / "gohandler", REPO / "bin" / "gohandler")
    served = module_serve("any_path:app", threads=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOWSGI_TEST_SERVER", str(program))
        within = Server(tmp_path_factory.mktemp("gohandler"), "any_path:app", venv, threads=2)
    try:
        within.wait_ready()
        yield [served, within]
    finally:
        within.close()


def environ(server: Server, request: bytes) -> tuple[int, dict[str, str]]:
    """Return what the application says of a request, without what differs by connection."""
    with Wire(server.port) as wire:
        wire.send(request)
        answer = wire.answer()
        if answer.status == 100:
            answer = wire.answer()
    if answer.status != 200:
        return answer.status, {}
    found = json.loads(answer.body)
    assert found.pop("SERVER_PORT") == str(server.port)
    if "X-Forwarded" not in str(request) and "Forwarded" not in str(request):
        assert found.pop("REMOTE_PORT").isdigit()
    return answer.status, found


@pytest.mark.parametrize("request_name", REQUESTS)
def test_the_environ_is_the_same(both: list[Server], request_name: str) -> None:
    served, within = (environ(server, REQUESTS[request_name]) for server in both)
    assert within == served
    assert served[0] == (400 if request_name == "odd proxy" else 200)


def test_it_ends(both: list[Server]) -> None:
    """The last of both, whose handlers for signals are the program's own."""
    assert both[1].stop() == 0


# --- examples and README ---


def make_venv(name: str, *requirements: Path) -> Path:
    """Return an environment with these packages, made where it is not there yet."""
    path, stamp = interpreters.VENVS / name, interpreters.VENVS / name / ".made-from"
    wanted = "".join(file.read_text() for file in requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        interpreter = list(interpreters.discover().values())[-1]
        interpreters.make(interpreter, path, requirements)
        stamp.write_text(wanted)
    return path


def test_example_goapi(tmp_path: Path, venv: Venv) -> None:
    folder = REPO / "examples" / "goapi"
    program, port = build(folder, tmp_path / "goapi"), free_port()
    command = [str(program), "-addr", f"{HOST}:{port}", "-dir", str(folder)]
    url, ann = f"http://{HOST}:{port}", ("ann", "secret")
    with running(command, port, VIRTUAL_ENV=str(venv.path)) as process:
        assert requests.get(f"{url}/pages/hello", timeout=10).status_code == 401
        assert requests.get(f"{url}/api/time", auth=ann, timeout=10).json()["user"] == "ann"
        hello = requests.get(f"{url}/pages/hello", auth=ann, timeout=10).json()
        assert hello["hello"] == "ann"
        assert hello["here"] == f"{url}/pages/hello"
        assert re.fullmatch("gowsgi-[1-4]", hello["thread"])
        sent = requests.post(f"{url}/pages/upload", data=b"x" * 3_000_000, auth=ann, timeout=10)
        assert sent.json() == {"bytes": 3_000_000}
        assert requests.get(f"{url}/pages/error", auth=ann, timeout=10).status_code == 500
        stats = requests.get(f"{url}/api/stats", auth=ann, timeout=10).json()
        assert (stats["Requests"], stats["Threads"]) == (3, 4)
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.timeout(300)
def test_example_gocall(tmp_path: Path) -> None:
    folder = REPO / "examples" / "gocall"
    program = build(folder, tmp_path / "gocall")
    env = clean_env(VIRTUAL_ENV=str(make_venv("gocall", folder / "requirements.txt")))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(program), "-dir", str(folder), *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert run("3", "1", "4", "1", "5", "9").stdout == "n 6, mean 3.833, quantiles [3.5 7]\n3 4 8 9 14 23 \n"
    none = run()
    assert none.returncode == 1
    assert "Traceback" in none.stderr
    assert none.stderr.endswith("calling series.describe: ValueError: there are no numbers\n")


def blocks(heading: str) -> dict[str, str]:
    """Return the fenced blocks below a heading of README.md by their language."""
    section = (REPO / "README.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = dict(re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    assert found, f"README.md has no section {heading!r}"
    return found


def test_readme_lines(tmp_path: Path, venv: Venv) -> None:
    """What README.md shows is a program that runs."""
    lines = blocks("In a Go program")["go"]
    assert len(lines.splitlines()) < 20
    port = free_port()
    (tmp_path / "main.go").write_text(lines.replace("127.0.0.1:8080", f"{HOST}:{port}"))
    (tmp_path / "site").mkdir()
    shutil.copy(REPO / "examples" / "flask" / "app.py", tmp_path / "site" / "myapp.py")
    module = f"""module example.org/readme

go 1.26

require github.com/gowsgi/gowsgi v0.0.0

replace github.com/gowsgi/gowsgi => {REPO}
"""
    (tmp_path / "go.mod").write_text(module)
    shutil.copy(REPO / "go.sum", tmp_path / "go.sum")
    program = build(tmp_path, tmp_path / "readme", "-mod=mod")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with running([str(program)], port, VIRTUAL_ENV=str(venv.path)):
            assert requests.get(f"http://{HOST}:{port}/hello/ann", timeout=10).json() == {"hello": "ann"}
            assert requests.get(f"http://{HOST}:{port}/go", timeout=10).text == "from Go\n"
