"""The interpreter is a good home: exits, processes, threads, contexts, output."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import Server
from support.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Serve


class Shared:
    """One server for all tests of the module, and another where a test has ended it."""

    def __init__(self, serve: Serve, log: Path, threads: int) -> None:
        self._start = lambda: serve("embedded:app", threads=threads, env={"E2E_LOG": str(log)})
        self._server: Server | None = None

    def get(self) -> Server:
        """Return the server."""
        if self._server is None or not self._server.listening:
            self._server = self._start()
        return self._server


@pytest.fixture(scope="module")
def shared(module_serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Shared]:
    """The application with one thread and with four."""
    log = tmp_path_factory.mktemp("log") / "log"
    return {threads: Shared(module_serve, log, threads) for threads in (1, 4)}


@pytest.fixture
def server(shared: dict[int, Shared]) -> Server:
    """The application with one thread, Python's main thread."""
    return shared[1].get()


@pytest.fixture(params=[1, 4])
def any_server(shared: dict[int, Shared], request: pytest.FixtureRequest) -> Server:
    """The application with one thread and with four, of which only one is the main thread."""
    return shared[request.param].get()


def get(server: Server, path: str, **how: object) -> requests.Response:
    """Get with a connection of its own."""
    return requests.get(server.url + path, **({"timeout": 30} | how))


# Exceptions that are not Exception -------------------------------------------------


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/exit", "SystemExit"),
        ("/interrupt", "KeyboardInterrupt"),
        ("/generator-exit", "GeneratorExit"),
        ("/stop-iteration", "StopIteration"),
        ("/os-error", "BrokenPipeError"),
        ("/recursion", "RecursionError"),
        ("/exit-in-body", "SystemExit"),
    ],
)
def test_anything_raised_is_a_500_and_the_server_lives(any_server: Server, path: str, logged: str) -> None:
    assert get(any_server, "/context-get").status_code == 200
    pids = proc.tree(any_server.pid)
    for _ in range(3):
        answer = get(any_server, path)
        assert answer.status_code == 500
        assert logged not in answer.text
    any_server.wait_log(logged)
    assert get(any_server, "/context-get").status_code == 200
    assert proc.tree(any_server.pid) == pids


def test_sys_exit_in_close_is_logged_and_harmless(any_server: Server) -> None:
    assert get(any_server, "/exit-in-close").text == "sent"
    any_server.wait_log("SystemExit")
    assert get(any_server, "/context-get").status_code == 200


def test_a_broken_pipe_is_an_exception_not_a_signal(server: Server) -> None:
    assert get(server, "/broken-pipe").json() == "BrokenPipeError"


# Processes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/subprocess-preexec", "True"),
        ("/subprocess-terminate", -15),
        ("/multiprocessing?how=spawn", 0),
        ("/multiprocessing?how=fork", 0),
        ("/multiprocessing?how=forkserver", 0),
        ("/multiprocessing-pool?how=spawn", [1, 2, 3]),
        ("/multiprocessing-pool?how=fork", [1, 2, 3]),
        ("/multiprocessing-terminate", -15),
        ("/fork-exit", {"exit": 7, "hung": False}),
        ("/fork-threads", {"exit": 7, "hung": False}),
    ],
)
def test_processes(any_server: Server, path: str, expected: object) -> None:
    for _ in range(3):
        assert get(any_server, path).json() == expected
    assert get(any_server, "/context-get").json() == "nobody"


def test_subprocess_runs_the_venvs_python(server: Server) -> None:
    seen = get(server, "/subprocess").json()
    assert seen["exit"] == 4
    assert seen["prefix"] == seen["here"]


@pytest.mark.parametrize(
    ("path", "before", "code"),
    [("/fork-raise", "", 7), ("/fork-return", "", None), ("/fork-in-body", "first ", None)],
)
def test_a_forked_child_that_comes_back_ends_quietly(
    any_server: Server, path: str, before: str, code: int | None
) -> None:
    """The child is no server: it must neither answer nor stay, and the parent goes on."""
    assert get(any_server, "/context-get").status_code == 200
    pids = proc.tree(any_server.pid)
    for _ in range(2):
        with Wire(any_server.port, timeout=20) as wire:
            wire.get(path)
            body = wire.answer().body.decode()
            assert "from the child" not in body
            end = re.fullmatch(before + r"\{'exit': (-?\d+), 'hung': False\}", body)
            assert end, body
            assert int(end[1]) >= 0, f"the child was ended by signal {end[1]}"
            assert code is None or int(end[1]) == code
            wire.get("/context-get")
            assert wire.answer().body == b'"nobody"'
    assert proc.tree(any_server.pid) == pids


# Threads -------------------------------------------------------------------------------


def test_the_only_thread_is_pythons_main_thread(server: Server) -> None:
    first, second = (get(server, "/thread").json() for _ in range(2))
    assert first["ident"] == second["ident"]
    assert second["count"] == first["count"] + 1
    assert first["main"] is True
    assert first["imported"] is True


def test_threads_stay_the_same(serve: Serve) -> None:
    """Each request runs on one of four threads, and those keep what is thread-local."""
    server = serve("embedded:app", threads=4)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: get(server, "/thread").json(), range(80)))
    idents = {thread["ident"] for thread in seen}
    assert 2 <= len(idents) <= 4
    assert len({thread["native"] for thread in seen}) == len(idents)
    assert len({thread["name"] for thread in seen}) == len(idents)
    assert not any(thread["name"].startswith("Dummy") for thread in seen)
    for ident in idents:
        counts = sorted(thread["count"] for thread in seen if thread["ident"] == ident)
        assert counts == list(range(1, len(counts) + 1))


def test_requests_overlap(serve: Serve) -> None:
    server = serve("raw:app", threads=8)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(server, "/sleep?s=0.5").status_code, range(8)))
    assert answers == [200] * 8
    assert time.monotonic() - started < 2


def test_sqlite_connections_stay_usable(server: Server) -> None:
    first = get(server, "/sqlite").json()
    assert [get(server, "/sqlite").json() for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_the_environ_outlives_the_answer(server: Server) -> None:
    for number in range(3):
        path = f"/keep-environ?number={number}"
        requests.post(server.url + path, data="x", headers={"X-Kept": str(number)}, timeout=10)
    get(server, "/context-get?other=request")

    def kept() -> list[dict[str, str]] | None:
        seen = get(server, "/kept").json()
        return seen if len(seen) == 3 else None

    seen = proc.wait_for(kept, 5, "three threads to read their environ", every=0.1)
    for number, each in enumerate(sorted(seen, key=lambda each: each["query"])):
        assert each["path"] == "/keep-environ"
        assert each["query"] == f"number={number}"
        assert each["header"] == str(number)


def test_background_threads_run_between_requests(serve: Serve, tmp_path: Path) -> None:
    """Nothing holds the GIL while no request runs."""
    log = tmp_path / "background"
    server = serve("embedded:app", env={"E2E_LOG": str(log)})
    assert get(server, "/background").json() == "started"
    time.sleep(0.8)
    assert len(log.read_text().splitlines()) == 20


# Contexts --------------------------------------------------------------------------------


def test_context_variables_do_not_leak_into_the_next_request(server: Server) -> None:
    """The same thread runs both: what one user set must not be seen by the next."""
    with requests.Session() as client:
        assert get(server, "/context-set?user=ann").json() == "ann"
        assert client.get(f"{server.url}/context-set?user=bob", timeout=10).json() == "bob"
        assert client.get(f"{server.url}/context-get", timeout=10).json() == "nobody"
    assert get(server, "/context-get").json() == "nobody"


def test_a_stream_keeps_its_context(server: Server) -> None:
    assert get(server, "/context-stream").text == "set, streamer"
    assert get(server, "/context-get").json() == "nobody"


# Output ----------------------------------------------------------------------------------


def test_print_arrives_at_once(server: Server) -> None:
    get(server, "/print?text=now")
    server.wait_stdout("^printed: now$", timeout=1)


def test_errors_arrive_on_stderr(server: Server) -> None:
    get(server, "/errors?text=e1")
    for wanted in (
        "wsgi.errors write e1",
        "wsgi.errors writelines e1",
        "wsgi.errors print e1 \N{SNOWMAN}",
        "stderr print e1",
    ):
        server.wait_log(re.escape(wanted) + "$", timeout=1)


def test_descriptors_1_and_2_are_the_servers(server: Server) -> None:
    get(server, "/fd-output?text=raw")
    server.wait_stdout("^fd 1 raw$", timeout=1)
    server.wait_log("^fd 2 raw$", timeout=1)
