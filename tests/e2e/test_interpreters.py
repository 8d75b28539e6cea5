"""The same binary serves from the venv of every CPython."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from support.server import APPS, REPO, clean_env

if TYPE_CHECKING:
    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Server

DEMO = REPO / "examples" / "flask"


@pytest.fixture(scope="module")
def demo(module_serve: Serve, each_venv: Venv) -> Server:
    """The bundled Flask example."""
    return module_serve("app:app", chdir=DEMO, venv=each_venv)


@pytest.fixture(scope="module")
def raw(module_serve: Serve, each_venv: Venv) -> Server:
    """The raw application."""
    return module_serve("raw:app", venv=each_venv)


@pytest.fixture(scope="module")
def embedded(module_serve: Serve, each_venv: Venv, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The application that forks, with four threads."""
    log = tmp_path_factory.mktemp("log") / "log"
    return module_serve("embedded:app", venv=each_venv, threads=4, env={"E2E_LOG": str(log)})


def test_demo_answers_json(demo: Server, each_venv: Venv) -> None:
    index = requests.get(f"{demo.url}/", timeout=10)
    assert index.status_code == 200
    assert index.headers["Content-Type"] == "application/json"
    assert index.json()["python"] == each_venv.interpreter.full
    hello = requests.get(f"{demo.url}/hello/W%C3%B6rld", timeout=10)
    assert hello.json() == {"hello": "Wörld"}


def test_demo_page_stream_and_upload(demo: Server) -> None:
    page = requests.get(f"{demo.url}/page", timeout=10)
    assert page.status_code == 200
    assert "<h1>It runs</h1>" in page.text
    stream = requests.get(f"{demo.url}/stream?count=3&pause=0.01", timeout=10)
    assert stream.text == "tick 1 of 3\ntick 2 of 3\ntick 3 of 3\n"
    upload = requests.post(f"{demo.url}/upload", files={"file": ("a.txt", b"abc")}, timeout=10)
    assert upload.json()["size"] == 3
    assert upload.json()["sha256"].startswith("ba7816bf")


def test_exception_is_500_for_the_client_and_a_traceback_in_the_log(demo: Server) -> None:
    answer = requests.get(f"{demo.url}/error", timeout=10)
    assert answer.status_code == 500
    for secret in ("Traceback", "RuntimeError", "this is what a bug", "app.py"):
        assert secret not in answer.text
    demo.wait_log("RuntimeError: this is what a bug looks like in the log")
    assert "Traceback (most recent call last)" in demo.stderr
    assert 'app.py", line' in demo.stderr
    assert requests.get(f"{demo.url}/", timeout=10).status_code == 200


def test_interpreter_is_the_venvs(raw: Server, each_venv: Venv) -> None:
    """sys.executable, sys.prefix and sys.path are what `python` in that venv shows."""
    code = "import sys, json; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, sys.path]))"
    command = [str(each_venv.python), "-c", code]
    shown = subprocess.check_output(command, env=clean_env(), cwd="/", text=True, timeout=20)
    executable, prefix, base_prefix, path = json.loads(shown)
    seen = requests.get(f"{raw.url}/", timeout=10).json()
    assert seen["python"] == each_venv.version
    assert (seen["executable"], seen["prefix"]) == (executable, prefix)
    assert seen["base_prefix"] == base_prefix
    standard = [folder for folder in path if folder]
    assert [folder for folder in seen["path"] if folder in standard] == standard
    assert str(APPS) in seen["path"][:2]
    assert seen["cwd"] == str(APPS)


def test_extension_modules_work(raw: Server) -> None:
    assert requests.get(f"{raw.url}/modules", timeout=20).json() == {
        "ctypes": True,
        "decimal": "0.3",
        "lzma": True,
        "sqlite3": 42,
        "ssl": True,
        "zlib": 31200365,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/subprocess-terminate", -15),
        ("/multiprocessing?how=fork", 0),
        ("/multiprocessing?how=spawn", 0),
        ("/fork-exit", {"exit": 7, "hung": False}),
    ],
)
def test_processes_can_be_started(embedded: Server, path: str, expected: object) -> None:
    assert requests.get(embedded.url + path, timeout=30).json() == expected


def test_every_thread_can_fork(embedded: Server) -> None:
    """Up to 3.12, `threading` in the child expects of the thread that forked to be its own."""
    path = f"{embedded.url}/multiprocessing-thread"
    with ThreadPoolExecutor(4) as pool:
        seen = [answer.json() for answer in pool.map(lambda _: requests.get(path, timeout=30), range(16))]
    assert {each["exit"] for each in seen} == {0}, seen
    assert len({each["thread"] for each in seen}) > 1


def test_stops_gracefully(serve: Serve, each_venv: Venv) -> None:
    server = serve("flask_app:app", venv=each_venv, threads=4)
    assert requests.get(f"{server.url}/visit", timeout=10).json() == {"name": None, "visits": 1}
    assert server.stop() == 0
