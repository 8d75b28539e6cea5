"""The master and its workers: started, spread over, replaced, reloaded and ended."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.load import Load
from support.server import APPS, HOST, finish, free_port
from support.wire import Wire

if TYPE_CHECKING:
    from typing import Protocol

    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Server

    class Start(Protocol):
        """Starts workers.app."""

        def __call__(self, *options: str, **how: object) -> Server:
            """Start it with further options."""


FORKED = pytest.mark.parametrize("forked", [[], ["--preload"]], ids=["plain", "preload"])
LOAD_SECONDS = float(os.environ.get("GOWSGI_TEST_LOAD", "6"))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The file that says which release the application is."""
    file = tmp_path / "release"
    file.write_text("1")
    return file


@pytest.fixture
def start(serve: Serve, release: Path) -> Start:
    """Start workers.app and wait until it is served."""

    def start(*options: str, **how: object) -> Server:
        env = {"E2E_RELEASE": str(release)}
        server = serve("workers:app", *options, env=env, ready=False, **how)
        server.wait_log("serving workers:app", 20)
        return server

    return start


def who(server: Server) -> dict[str, object]:
    """Ask on a new connection who answers."""
    return requests.get(f"{server.url}/who", timeout=10, headers={"Connection": "close"}).json()


def workers(server: Server, count: int) -> list[int]:
    """Return the workers' pids once there are that many."""

    def there() -> list[int] | None:
        pids = server.workers
        return pids if len(pids) == count else None

    return proc.wait_for(there, 15, f"{count} workers")


def all_gone(pids: list[int], timeout: float) -> None:
    """Wait until none of the processes is there."""
    proc.wait_for(lambda: not any(proc.alive(pid) for pid in pids), timeout, f"{pids} to end")


def said(server: Server, text: str, times: int) -> None:
    """Wait until the log has a text that many times."""
    proc.wait_for(lambda: server.stderr.count(text) >= times, 15, f"{text!r} {times} times")


def ask_at_once(server: Server, path: str, count: int) -> list[requests.Response]:
    """Send requests on as many connections at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: requests.get(server.url + path, timeout=20), range(count)))


# Starting -----------------------------------------------------------------------


def test_requests_are_spread(start: Start) -> None:
    server = start("--workers", "2")
    pids = workers(server, 2)
    for _ in range(20):
        answers = [r.json() for r in ask_at_once(server, "/who", 20)]
        assert all(a["multiprocess"] is True for a in answers)
        if {a["pid"] for a in answers} == set(pids):
            break
    else:
        pytest.fail("one worker got everything")


@pytest.mark.parametrize("count", [1, 2])
def test_the_master_has_no_python(start: Start, count: int) -> None:
    server = start("-w", str(count))
    assert "libpython" not in Path(f"/proc/{server.pid}/maps").read_text()
    assert all("libpython" in Path(f"/proc/{pid}/maps").read_text() for pid in workers(server, count))


def test_one_worker(start: Start) -> None:
    server = start()
    assert who(server) == {"pid": workers(server, 1)[0], "release": "1", "multiprocess": False, "n": None}


def test_web_concurrency(serve: Serve, release: Path) -> None:
    server = serve("workers:app", env={"E2E_RELEASE": str(release), "WEB_CONCURRENCY": "3"})
    workers(server, 3)


def test_start_line(start: Start) -> None:
    server = start("-w", "2")
    line = server.wait_log("^.*serving workers:app.*$")[0]
    for wanted in (f"http://{HOST}:{server.port}", "python=3.", "workers=2", f"pid={server.pid}"):
        assert wanted in line


def test_options_reach_the_workers(serve: Serve, release: Path) -> None:
    """What --env sets is the application's, and does not change how a worker reads its options."""
    server = serve("workers:app", "-w2", "--env", f"E2E_RELEASE={release}", "--env", "WEB_CONCURRENCY=odd")
    assert requests.get(server.url, timeout=10).json()["env"] == {"E2E_RELEASE": str(release)}


def test_programs_inherit_nothing(start: Start) -> None:
    """Listeners and the line to the master are the workers' alone."""
    count, *environment = requests.get(f"{start().url}/descriptors", timeout=10).json().splitlines()
    assert count == "4"  # 0, 1, 2, and that of the folder that ls reads
    assert not any(re.match("GOWSGI_(?!TEST_)", line) for line in environment)


@pytest.mark.parametrize("count", ["1", "4"])
@pytest.mark.parametrize(
    ("app", "code", "said"),
    [
        ("broken_raise:app", 3, "RuntimeError: no database at import"),
        ("rwa:app", 3, "No module named 'rwa'"),
        ("raw:nosuch", 4, "nosuch"),
    ],
)
def test_an_application_that_fails_to_load(venv: Venv, count: str, app: str, code: int, said: str) -> None:
    bind = f"{HOST}:{free_port()}"
    end = finish(["run", "-w", count, "--bind", bind, "--chdir", str(APPS), "--python", str(venv.python), app])
    assert end.code == code, end.stderr
    assert end.stderr.count("cannot load the application") == 1, end.stderr
    assert end.stderr.count("Traceback (most recent call last)") <= 1, end.stderr
    assert said in end.stderr
    assert end.seconds < 3


def test_no_python() -> None:
    end = finish(["run", "-w2", "--bind", f"{HOST}:{free_port()}", "--python", "/nonexistent/python", "raw:app"])
    assert end.code == 1
    assert end.stderr.count("no Python found") == 1, end.stderr


def test_workers_that_die_without_a_word(venv: Venv, release: Path) -> None:
    release.write_text("deadly")
    where = ["--bind", f"{HOST}:{free_port()}", "--chdir", str(APPS), "--python", str(venv.python)]
    end = finish(["run", "-w2", *where, "--env", f"E2E_RELEASE={release}", "workers:app"])
    assert end.code == 3, end.stderr
    assert end.stderr.splitlines()[-1].endswith("died before it could serve: signal killed"), end.stderr


# Replacing ----------------------------------------------------------------------


@FORKED
def test_hup_loses_no_request(start: Start, release: Path, forked: list[str]) -> None:
    server = start("-w2", "--threads", "2", *forked)
    first = set(workers(server, 2))
    count = 0
    with Load(server.port) as load:
        until = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < until:
            count += 1
            release.write_text(str(count + 1))
            server.signal(signal.SIGHUP)
            said(server, "reloaded", count)
            time.sleep(0.5)
    print(f"{count} reloads: {load}")
    assert load.failures == []
    assert load.answers > 100
    assert load.releases[str(count + 1)] > 0
    assert not first & set(workers(server, 2))
    assert who(server)["release"] == str(count + 1)
    assert server.stop() == 0


def test_hup_while_the_application_loads(serve: Serve) -> None:
    """What was imported may be older than the HUP: a reload follows."""
    server = serve("slow_import:app", "-w2", ready=False)
    server.wait_log("^importing$")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    assert requests.get(server.url, timeout=10).text == "slow 0"
    assert server.stop() == 0


def test_a_kept_connection_is_told_at_its_last_answer(start: Start) -> None:
    server = start("-w2")
    with Wire(server.port) as wire:
        wire.get("/sleep?s=5")
        server.wait_log("^sleeping ")
        server.signal(signal.SIGHUP)
        answer = wire.answer()
        assert answer.status == 200
        assert answer.header("Connection") == "close"
    server.wait_log("reloaded")


def test_hup_with_code_that_does_not_load(start: Start, release: Path) -> None:
    server = start("-w2")
    old = workers(server, 2)
    release.write_text("broken")
    with Load(server.port) as load:
        server.signal(signal.SIGHUP)
        server.wait_log("the reload failed", 10)
        server.wait_log("this release does not work")
        time.sleep(1)
    assert load.failures == []
    assert set(load.releases) == {"1"}
    assert sorted(workers(server, 2)) == sorted(old)
    assert server.stderr.count("the reload failed") == 1
    release.write_text("2")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 10)
    all_gone(old, 5)
    assert who(server)["release"] == "2"
    assert server.stop() == 0


@FORKED
def test_a_slow_request_holds_up_no_new_connection(start: Start, forked: list[str]) -> None:
    """Who connects while a worker is busy for long is answered by the other one."""
    server = start("-w2", *forked)
    slow = threading.Thread(target=ask_at_once, args=(server, "/sleep?s=4", 1))
    slow.start()
    server.wait_log("^sleeping ")
    time.sleep(0.3)
    took = []

    def ask() -> None:
        begin = time.monotonic()
        who(server)
        took.append(time.monotonic() - begin)

    for _ in range(60):
        threading.Thread(target=ask).start()
        time.sleep(0.03)
    slow.join()
    proc.wait_for(lambda: len(took) == 60, 10, "all answers")
    late = [seconds for seconds in took if seconds > 0.8]
    assert len(late) <= 3, late  # of a worker that gets no core for a while, some are taken away


def test_a_worker_that_is_replaced_finishes_a_slow_request(start: Start) -> None:
    server = start("-w2")
    old = workers(server, 2)
    slow = threading.Thread(target=ask_at_once, args=(server, "/sleep?s=6", 1))
    slow.start()
    server.wait_log("^sleeping ")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 10)
    workers(server, 3)
    assert who(server)["pid"] not in old
    slow.join()
    all_gone(old, 5)


@FORKED
def test_a_killed_worker_takes_only_its_requests(start: Start, forked: list[str]) -> None:
    server = start("-w2", *forked)
    kills = 0
    with Load(server.port, keeping=3, new=3) as load:
        until = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < until:
            time.sleep(0.7)
            os.kill(who(server)["pid"], signal.SIGKILL)
            kills += 1
            said(server, "a worker died", kills)
    print(f"{kills} kills: {load}")
    assert len(load.failures) <= kills * 6  # each client has one request under way
    assert all("Connection" in failure for failure in load.failures), load.failures
    workers(server, 2)
    assert server.stop() == 0


@FORKED
def test_max_requests_loses_no_request(start: Start, forked: list[str]) -> None:
    server = start("-w2", "--max-requests", "100", "--max-requests-jitter", "50", *forked)
    with Load(server.port) as load:
        time.sleep(LOAD_SECONDS)
    print(load)
    assert load.failures == []
    assert len(load.pids) >= 4
    assert load.answers > 200
    workers(server, 2)
    assert server.stop() == 0


def test_max_requests_of_one_worker(start: Start) -> None:
    server = start("--max-requests", "5")
    pids = [who(server)["pid"] for _ in range(5)]
    assert len(set(pids)) == 1
    proc.wait_for(lambda: who(server)["pid"] != pids[0], 10, "another worker")


def test_a_killed_zygote_is_replaced(start: Start) -> None:
    """Its workers serve on; when one is missing, a reload makes a new one."""
    server = start("-w2", "--preload")
    first, second = workers(server, 2)
    (zygote,) = set(proc.children(server.pid)) - {first, second}
    os.kill(zygote, signal.SIGKILL)
    assert who(server)["pid"] in (first, second)
    with Load(server.port, new=0) as load:
        os.kill(first, signal.SIGKILL)
        server.wait_log("reloaded", 15)
        assert not {first, second, zygote} & set(workers(server, 2))
    assert len(load.failures) <= 3  # of the one that was killed
    assert server.stop() == 0


def test_a_stuck_worker_is_replaced(start: Start) -> None:
    """One that does not even say that it lives; Python's own hanging is another matter."""
    server = start("-w2", "--timeout", "1")
    first, second = workers(server, 2)
    os.kill(first, signal.SIGSTOP)
    server.wait_log(f"a worker is stuck: .*worker={first}", 10)
    server.wait_log(f"a worker died; .*worker={first}", 5)
    assert second in workers(server, 2)
    assert who(server)["pid"] in workers(server, 2)
    assert server.stop() == 0


def test_more_workers_while_requests_wait(start: Start) -> None:
    server = start("--max-workers", "3")
    assert who(server)["multiprocess"] is True
    with ThreadPoolExecutor(8) as pool:
        until = time.monotonic() + 25
        while len(server.workers) < 3:
            assert time.monotonic() < until, server.stderr
            list(pool.map(lambda _: requests.get(f"{server.url}/sleep?s=0.3", timeout=20), range(16)))
    server.wait_log("starting more workers: workers=2")
    server.wait_log("starting more workers: workers=3")
    server.signal(signal.SIGTTIN)  # not above --max-workers
    server.wait_log("got SIGTTIN")
    server.signal(signal.SIGTTOU)
    workers(server, 2)
    assert server.stop() == 0


def test_ttin_and_ttou(start: Start) -> None:
    server = start("-w1")
    for number, count in [("TTIN", 2), ("TTIN", 3), ("TTOU", 2), ("TTOU", 1), ("TTOU", 1)]:
        server.signal(signal.Signals[f"SIG{number}"])
        workers(server, count)
        assert who(server)["release"] == "1"


def test_a_worker_that_is_told_to_go_is_replaced(start: Start) -> None:
    """A TERM to a worker itself: it drains, and another comes at once."""
    server = start("-w2")
    pids = workers(server, 2)
    slow = threading.Thread(target=ask_at_once, args=(server, "/sleep?s=2", 1))
    slow.start()
    server.wait_log("^sleeping ")
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    workers(server, 3)  # the slow one and two new ones
    slow.join()
    all_gone(pids, 5)
    assert who(server)["pid"] in workers(server, 2)


def test_orphans_are_reaped(start: Start) -> None:
    """As a container's first process does; a subreaper stands in for that."""
    script = "import ctypes,os,sys; ctypes.CDLL(None).prctl(36, 1); os.execv(sys.argv[1], sys.argv[1:])"
    server = start("-w2", launcher=["python3", "-c", script])
    pid = requests.get(f"{server.url}/orphan", timeout=10).json()
    assert Path(f"/proc/{pid}").exists()
    proc.wait_for(lambda: not Path(f"/proc/{pid}").exists(), 5, "the orphan to be reaped")
    workers(server, 2)


# Ending -------------------------------------------------------------------------


def test_term_lets_requests_finish(start: Start) -> None:
    server = start("-w2")
    pids = workers(server, 2)
    answers: list[requests.Response] = []
    slow = threading.Thread(target=lambda: answers.extend(ask_at_once(server, "/sleep?s=2", 2)))
    slow.start()
    said(server, "sleeping", 1)
    time.sleep(0.3)
    server.signal(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=0.5)
    slow.join()
    assert [a.status_code for a in answers] == [200, 200]
    assert server.wait() == 0
    assert not any(proc.alive(pid) for pid in pids)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("signals", [["TERM", "TERM"], ["INT"], ["QUIT"]])
def test_quick_ends(start: Start, count: int, signals: list[str]) -> None:
    server = start("-w", str(count))
    pids = workers(server, count)
    with Wire(server.port) as wire:
        wire.get("/sleep?s=20")
        server.wait_log("^sleeping ")
        started = time.monotonic()
        for name in signals:
            server.signal(signal.Signals[f"SIG{name}"])
            time.sleep(0.3)
        assert server.wait(5) == 0
    assert time.monotonic() - started < 3
    assert not any(proc.alive(pid) for pid in pids)


def test_graceful_timeout(start: Start) -> None:
    server = start("-w2", "--graceful-timeout", "1")
    with Wire(server.port) as wire:
        wire.get("/sleep?s=20")
        server.wait_log("^sleeping ")
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert 0.8 < time.monotonic() - started < 4


def test_term_while_the_application_loads(serve: Serve) -> None:
    server = serve("slow_import:app", "-w2", ready=False)
    server.wait_log("^importing$")
    server.signal(signal.SIGTERM)
    assert server.wait(3) == 0


def test_a_killed_master_takes_its_workers(start: Start) -> None:
    """They finish what runs, and leave."""
    server = start("-w2")
    pids = workers(server, 2)
    with Wire(server.port) as wire:
        wire.get("/sleep?s=1")
        server.wait_log("^sleeping ")
        server.signal(signal.SIGKILL)
        assert wire.answer().status == 200
    all_gone(pids, 5)
