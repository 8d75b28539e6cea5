"""Requests that take too long, interpreters that are stuck, workers that grow: told, and replaced."""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.wire import Truncated, Wire

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Server

    class Start(Protocol):
        """Starts stalls.app."""

        def __call__(self, *options: str, **how: object) -> Server:
            """Start it with further options."""


TOLD = r"\[ERROR\] +gowsgi: the application took too long"


@pytest.fixture
def start(serve: Serve) -> Start:
    """Start stalls.app in one worker."""

    def start(*options: str, **how: object) -> Server:
        return serve("stalls:app", *options, **how)

    return start


def get(server: Server, path: str) -> requests.Response:
    """Send a request on a connection of its own."""
    return requests.get(server.url + path, timeout=30, headers={"Connection": "close"})


def replaced(server: Server, old: int, *, errors: bool = False) -> int:
    """Wait until another worker serves, without errors before that, and the old one is gone; the new one's pid."""

    def another() -> int | None:
        answer = get(server, "/who")
        if errors and not answer.ok:
            return None
        pid = int(answer.json())
        return None if pid == old else pid

    new = proc.wait_for(another, 10, f"a worker other than {old}")
    proc.wait_for(lambda: not proc.alive(old), 5, f"worker {old} to end")
    return new


def entry(server: Server, pattern: str = TOLD) -> str:
    """Return the one log entry that begins so, with the lines that belong to it."""
    found = re.findall(rf"^\S+ {pattern}.*\n(?:  .*\n)*", server.stderr, re.MULTILINE)
    assert len(found) == 1, server.stderr
    return str(found[0])


# Requests -----------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize(("path", "function"), [("/sleep?s=3600", "sleep"), ("/spin", "spin")])
def test_a_request_that_never_ends(start: Start, threads: int, path: str, function: str) -> None:
    server = start("--timeout", "2", threads=threads)
    old = get(server, "/who").json()
    with ThreadPoolExecutor(5) as pool:
        begun = time.monotonic()
        stuck = pool.submit(get, server, path)
        time.sleep(1.5)  # so that the last one still runs when it is told
        # They wait behind it, or run beside it.
        others = [pool.submit(get, server, f"/sleep?s={seconds}") for seconds in (0.1, 0.2, 1.5)]
        server.wait_log(TOLD, 4)
        told = time.monotonic() - begun
        assert stuck.result().status_code == 504
        assert [other.result().status_code for other in others] == [200, 200, 200]
    print(f"told after {told:.2f} s")
    assert 2 <= told < 3
    replaced(server, old)
    told_of = entry(server)
    for wanted in ("method=GET", f"uri={path}", "peer=127.0.0.1", "limit=2", "client=refused"):
        assert wanted in told_of
    own, _, rest = told_of.partition("others=")
    assert f"in {function}\n" in own
    assert own.count("  | Thread ") == 1
    if threads > 1:
        assert "in sleep\n" in rest
    assert server.stderr.count("exit handlers: worker=") == 1
    assert "\natexit\n" not in server.stderr
    assert server.stop() == 0
    assert "\natexit\n" in server.stderr  # of the new worker


def test_stacks_on_each_python(start: Start, each_venv: Venv) -> None:
    server = start("--timeout", "1", threads=2, venv=each_venv)
    old = get(server, "/who").json()
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(get, server, path) for path in ("/sleep?s=3600", "/spin")]
        assert [answer.result().status_code for answer in answers] == [504, 504]
    replaced(server, old)
    stacks = "".join(re.findall(r"^  \|.*\n", server.stderr, re.MULTILINE))
    assert "in sleep\n" in stacks
    assert "in spin\n" in stacks
    assert server.stop() == 0


def test_workers_of_a_configuration_file(start: Start, tmp_path: Path, each_venv: Venv) -> None:
    """They are forked from a process that has Python already; its hook runs."""
    conf = tmp_path / "conf.py"
    conf.write_text(
        "import sys\n"
        "preload_app = True\n"
        "timeout = 1\n"
        "stuck_timeout = 2\n"
        "def worker_abort(worker):\n"
        "    print('worker_abort', worker.pid, file=sys.stderr, flush=True)\n"
    )
    server = start("-c", str(conf), "--threads", "2", venv=each_venv)
    old = get(server, "/who").json()
    assert get(server, "/sleep?s=3600").status_code == 504
    new = replaced(server, old)
    assert "in sleep\n" in entry(server)
    assert re.findall(r"^worker_abort (\d+)$", server.stderr, re.MULTILINE) == [str(old)]
    get(server, "/deadlock")
    replaced(server, new, errors=True)
    assert "in deadlock\n" in entry(server, r"\[ERROR\] +gowsgi: Python is stuck")
    assert server.stop() == 0


def test_several_at_the_same_time(start: Start) -> None:
    server = start("--timeout", "1", threads=4)
    old = get(server, "/who").json()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: get(server, "/sleep?s=3600"), range(4)))
    assert [answer.status_code for answer in answers] == [504] * 4
    replaced(server, old)
    assert len(re.findall(TOLD, server.stderr)) == 4
    assert server.stderr.count("replacing a worker that had a request that took too long") == 1


def test_more_than_can_be_replaced(start: Start) -> None:
    """One thread, one in its place; then nothing can be served, and the worker ends by itself."""
    server = start("--timeout", "1")
    old = get(server, "/who").json()
    os.kill(server.pid, signal.SIGSTOP)  # so that nobody replaces it
    try:
        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(get, server, "/sleep?s=3600") for _ in range(3)]
            assert sorted(answer.result().status_code for answer in answers) == [503, 504, 504]
        proc.wait_for(lambda: not proc.alive(old), 5, "the worker to end")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    replaced(server, old)
    assert len(re.findall(TOLD, server.stderr)) == 2
    assert server.stop() == 0


def test_an_answer_that_stops_midway(start: Start) -> None:
    server = start("--timeout", "1")
    old = get(server, "/who").json()
    with Wire(server.port) as wire:
        wire.get("/stall-midway")
        assert wire.head().status == 200
        assert wire.chunk() == b"the beginning"
        with pytest.raises(Truncated):
            wire.chunk()
    replaced(server, old)
    assert "client=cut" in entry(server)
    assert "in stall_midway\n" in entry(server)


def test_an_answer_whose_close_does_not_end(start: Start) -> None:
    server = start("--timeout", "1")
    old = get(server, "/who").json()
    assert get(server, "/stall-close").text == "whole"
    replaced(server, old)
    assert "client=answered" in entry(server)
    assert "in close\n" in entry(server)


def test_a_client_that_does_not_wait(start: Start) -> None:
    server = start("--timeout", "1")
    old = get(server, "/who").json()
    with Wire(server.port) as wire:
        wire.get("/sleep?s=3600")
        server.wait_log("^sleeping ")
    replaced(server, old)
    entry(server)


def test_events_that_keep_coming(start: Start) -> None:
    """In all much longer than the limit."""
    server = start("--timeout", "1", threads=2)
    with Wire(server.port) as events, Wire(server.port) as write:
        events.get("/events?n=12&pause=0.25")
        write.get("/write?n=12&pause=0.25&size=10")
        assert len(events.answer().chunks) == 12
        assert write.answer().body == b"x" * 120
    assert "too long" not in server.stderr


@pytest.mark.parametrize("path", ["/write?n=400&pause=0&size=100000", "/large?mb=40"])
def test_a_slow_client_is_not_the_applications_fault(start: Start, path: str) -> None:
    server = start("--timeout", "1")
    with Wire(server.port) as wire:
        wire.get(path)
        assert wire.head().status == 200
        time.sleep(3)
        assert sum(len(chunk) for chunk in iter(wire.chunk, b"")) >= 40_000_000
    assert "too long" not in server.stderr


def test_waiting_for_a_thread_does_not_count(start: Start) -> None:
    server = start("--timeout", "1")
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: get(server, "/sleep?s=0.6"), range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert "too long" not in server.stderr


def test_a_process_that_was_stopped(start: Start) -> None:
    """As by a debugger: the time in which nothing could run does not count."""
    server = start("--timeout", "2", "--stuck-timeout", "2")
    pid = get(server, "/who").json()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, server, "/sleep?s=4")
        server.wait_log("^sleeping ")
        time.sleep(0.2)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3.5)
        os.kill(pid, signal.SIGCONT)
        assert answer.result().status_code == 200
    assert "too long" not in server.stderr
    assert "stuck" not in server.stderr


def test_no_limit(start: Start) -> None:
    server = start("--timeout", "0", "--stuck-timeout", "0")
    assert get(server, "/sleep?s=2").status_code == 200
    assert server.stop() == 0


def test_a_stop_does_not_wait_for_it(start: Start) -> None:
    server = start("--timeout", "2", "--graceful-timeout", "30", threads=2)
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(get, server, "/sleep?s=3600")
        server.wait_log("^sleeping ")
        server.signal(signal.SIGTERM)
        begun = time.monotonic()
        assert server.wait() == 0
        assert stuck.result().status_code == 504
    assert time.monotonic() - begun < 4
    assert "in sleep\n" in entry(server)


# The interpreter ----------------------------------------------------------------


def test_a_stuck_interpreter(start: Start, each_venv: Venv) -> None:
    server = start("--timeout", "0", "--stuck-timeout", "2", threads=2, venv=each_venv)
    old = get(server, "/who").json()
    with ThreadPoolExecutor(3) as pool:
        begun = time.monotonic()
        answers = [pool.submit(get, server, "/deadlock") for _ in range(3)]
        assert [answer.result().status_code for answer in answers] == [503] * 3
        assert 2 <= time.monotonic() - begun < 5
    replaced(server, old)
    told_of = entry(server, r"\[ERROR\] +gowsgi: Python is stuck")
    for wanted in ("in deadlock\n", "/deadlock", " state=S ", "python=MainThread", "python=gowsgi-watch"):
        assert wanted in told_of
    assert server.stop() == 0


def test_a_stuck_interpreter_and_a_timeout(start: Start) -> None:
    """The client gets its answer in time although no stack can be had."""
    server = start("--timeout", "1", "--stuck-timeout", "3", threads=2)
    old = get(server, "/who").json()
    begun = time.monotonic()
    assert get(server, "/deadlock").status_code == 504
    assert time.monotonic() - begun < 2
    replaced(server, old, errors=True)
    server.wait_log(TOLD + ".* uri=/deadlock.*cannot be had within 5s: C code keeps the GIL")
    assert "in deadlock\n" in entry(server, r"\[ERROR\] +gowsgi: Python is stuck")
    assert server.stop() == 0


def test_a_stop_of_a_stuck_interpreter(start: Start) -> None:
    server = start("--timeout", "0", "--stuck-timeout", "2", threads=2)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, server, "/deadlock")
        time.sleep(0.5)
        server.signal(signal.SIGTERM)
        begun = time.monotonic()
        assert server.wait() == 0
        assert answer.result().status_code == 503
    assert time.monotonic() - begun < 4
    assert "in deadlock\n" in entry(server, r"\[ERROR\] +gowsgi: Python is stuck")


def test_c_code_that_keeps_the_gil_for_a_while(start: Start) -> None:
    server = start("--stuck-timeout", "2")
    for _ in range(3):
        assert get(server, "/keep-gil?s=1").status_code == 200
    assert "stuck" not in server.stderr
    assert server.stop() == 0


# Size and age -------------------------------------------------------------------


def test_a_worker_that_grows(start: Start) -> None:
    server = start("--max-rss", str(150 << 20))
    old = get(server, "/who").json()
    assert get(server, "/grow?mb=10").json() == old
    time.sleep(2.2)
    assert get(server, "/grow?mb=140").json() == old
    new = replaced(server, old)
    assert len(re.findall(r"holds \d+ MB of memory, more than 150 MB", server.stderr)) == 1
    time.sleep(2.2)
    assert get(server, "/who").json() == new
    assert server.stderr.count("\natexit\n") == 1  # it ended as always


def test_a_worker_that_is_old(start: Start) -> None:
    server = start("--max-lifetime", "2")
    old = get(server, "/who").json()
    begun = time.monotonic()
    new = replaced(server, old)
    assert time.monotonic() - begun < 5
    assert "has served for 2 s (--max-lifetime)" in server.stderr
    replaced(server, new)
    assert server.stop() == 0
