"""Signals: what runs is finished, what comes is refused, and it ends in time."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import HOST
from support.wire import Wire

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server


class Pending:
    """A request that is under way in a thread."""

    def __init__(self, server: Server, path: str) -> None:
        """Send it."""
        self.answer: requests.Response | None = None
        self.error: Exception | None = None
        self._url = server.url + path
        self._thread = threading.Thread(target=self._get, daemon=True)
        self._thread.start()

    def wait(self, timeout: float = 15.0) -> requests.Response | None:
        """Return the answer, None where there was none."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"no end of {self._url} after {timeout} s"
        return self.answer

    def _get(self) -> None:
        try:
            self.answer = requests.get(self._url, timeout=20)
        except requests.RequestException as error:
            self.error = error


def busy(server: Server, seconds: float) -> Pending:
    """Return a request that the application is working on."""
    pending = Pending(server, f"/sleep?s={seconds}")
    server.wait_log("^sleeping ")
    return pending


@pytest.mark.parametrize("threads", [1, 4])
def test_a_running_request_is_completed(serve: Serve, threads: int) -> None:
    server = serve("raw:app", threads=threads)
    started = time.monotonic()
    pending = busy(server, 3)
    server.signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        requests.get(f"{server.url}/", timeout=0.5)
    answer = pending.wait()
    assert answer is not None, pending.error
    assert (answer.status_code, answer.json()) == (200, {"slept": 3.0})
    assert server.wait() == 0
    assert 2.9 < time.monotonic() - started < 5


def test_a_running_stream_is_completed(serve: Serve) -> None:
    server = serve("raw:app")
    pending = Pending(server, "/stream?n=10&pause=0.1")
    time.sleep(0.4)
    server.signal(signal.SIGTERM)
    answer = pending.wait()
    assert answer is not None, pending.error
    assert answer.text.splitlines()[-1] == "line 9"
    assert server.wait() == 0


def test_queued_requests_are_answered(serve: Serve) -> None:
    """With one thread: one request runs and two wait when the signal comes."""
    server = serve("raw:app", threads=1)
    pending = [busy(server, 0.7)]
    pending += [Pending(server, "/sleep?s=0.2") for _ in range(2)]
    time.sleep(0.3)
    server.signal(signal.SIGTERM)
    answers = [each.wait() for each in pending]
    assert [answer and answer.status_code for answer in answers] == [200, 200, 200]
    assert server.wait() == 0


def test_the_last_answer_of_a_kept_connection_says_close(serve: Serve) -> None:
    server = serve("raw:app")
    with Wire(server.port) as wire:
        wire.get("/stream?n=1")
        assert wire.answer().header("Connection") is None
        wire.get("/sleep?s=1")
        server.wait_log("^sleeping ")
        server.signal(signal.SIGTERM)
        answer = wire.answer()
        assert answer.status == 200
        assert (answer.header("Connection") or "").lower() == "close"
        assert wire.closed()
    assert server.wait() == 0


def test_idle_connections_do_not_hold_the_stop(serve: Serve) -> None:
    server = serve("raw:app")
    wires = [Wire(server.port) for _ in range(5)]
    for wire in wires[:3]:
        wire.get("/stream?n=1")
        assert wire.answer().status == 200
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 3
    for wire in wires:
        wire.close()


def test_a_second_term_ends_a_running_request(serve: Serve) -> None:
    server = serve("raw:app")
    pending = busy(server, 20)
    server.signal(signal.SIGTERM)
    time.sleep(0.5)
    assert server.running
    server.signal(signal.SIGTERM)
    started = time.monotonic()
    server.wait(5)
    assert time.monotonic() - started < 2
    assert pending.wait(5) is None


def test_graceful_timeout_ends_a_running_request(serve: Serve) -> None:
    server = serve("raw:app", "--graceful-timeout", "1")
    pending = busy(server, 20)
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    server.wait(8)
    assert 0.8 < time.monotonic() - started < 4
    assert pending.wait(5) is None


def test_graceful_timeout_ends_a_loop_that_keeps_the_gil(serve: Serve) -> None:
    """A request that never yields to another thread cannot hold the stop either."""
    server = serve("raw:app", "--graceful-timeout", "1")
    pending = Pending(server, "/spin")
    server.wait_log("^spinning$")
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    server.wait(8)
    assert time.monotonic() - started < 4
    pending.wait(5)


def test_a_term_while_the_application_loads_ends_it(serve: Serve) -> None:
    server = serve("slow_import:app", ready=False)
    server.wait_log("^importing$")
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    time.sleep(0.3)
    server.signal(signal.SIGTERM)
    server.wait(10)
    assert time.monotonic() - started < 5


def test_requests_wait_for_the_application_to_load(serve: Serve) -> None:
    server = serve("slow_import:app")
    assert requests.get(server.url, timeout=20).text == "slow 0"


def test_no_process_and_no_port_stays(serve: Serve) -> None:
    server = serve("raw:app", threads=2)
    pids = proc.tree(server.pid)
    requests.get(f"{server.url}/", timeout=10)
    assert server.stop() == 0
    assert [pid for pid in pids if proc.alive(pid)] == []
    with socket.socket() as probe:
        probe.bind((HOST, server.port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_atexit_handlers_run(serve: Serve, number: signal.Signals) -> None:
    server = serve("atexit_app:app")
    assert requests.get(server.url, timeout=10).status_code == 200
    server.signal(number)
    assert server.wait() == 0
    server.wait_log("goodbye from atexit")


@pytest.mark.parametrize("ways", ["SIGTERM SIGINT", "exit-on-term", "SIGALRM", "faulthandler"])
def test_an_application_that_takes_signals_can_still_be_stopped(serve: Serve, ways: str) -> None:
    server = serve("signals:app", env={"E2E_SIGNALS": ways})
    assert requests.get(server.url, timeout=10).json() == []
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 5


def test_the_applications_alarm_arrives(serve: Serve) -> None:
    server = serve("signals:app", env={"E2E_SIGNALS": "SIGALRM"})
    for count in range(1, 6):
        assert requests.get(f"{server.url}/alarm", timeout=10).json() == "asked"
        time.sleep(0.2)
        requests.get(server.url, timeout=10)
        assert requests.get(server.url, timeout=10).json() == [signal.SIGALRM] * count


def test_faulthandler_writes_tracebacks(serve: Serve) -> None:
    server = serve("signals:app", threads=2, env={"E2E_SIGNALS": "faulthandler"})
    assert requests.get(f"{server.url}/dump", timeout=10).json() == "asked"
    server.wait_log(r"^Timeout \(")
    server.wait_log("most recent call first")
    assert requests.get(server.url, timeout=10).json() == []


def test_stray_signals_do_no_harm(serve: Serve) -> None:
    """SIGPIPE, SIGCHLD, SIGWINCH and SIGURG reach every server now and then, SIGUSR1 when logs are rotated."""
    server = serve("raw:app")
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG, signal.SIGUSR1):
        server.signal(number)
        time.sleep(0.05)
        assert requests.get(f"{server.url}/stream?n=1", timeout=10).status_code == 200
    assert not re.search("panic|fatal|SIGSEGV|a worker died", server.stderr)
