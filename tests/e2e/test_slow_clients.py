"""Clients that are slow do not hold the only thread."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from support.wire import Wire

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server

CLIENTS = 100
SECONDS = 6
BOUND = 0.1  # Seconds a normal client may be delayed by.

HEAD = b"GET /watched HTTP/1.1\r\nHost: test\r\nX-Slow: " + b"x" * 1000
UPLOAD = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"


class SlowClients:
    """Connections that send one byte a second each, after what they begin with."""

    def __init__(self, port: int, begin: bytes, each: bytes) -> None:
        """Connect them all and send the beginning."""
        self._wires = [Wire(port) for _ in range(CLIENTS)]
        self._each = each
        self._ended = threading.Event()
        self.sent = 0
        for wire in self._wires:
            if begin:
                wire.send(begin)
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def end(self) -> None:
        """Disconnect."""
        self._ended.set()
        self._thread.join(10)
        for wire in self._wires:
            wire.close()

    def _send(self) -> None:
        for index in range(len(self._each)):
            for wire in self._wires:
                wire.send(self._each[index : index + 1])
                self.sent += 1
                if self._ended.wait(1 / CLIENTS):
                    return


def latencies(server: Server, seconds: float) -> list[float]:
    """Return how long requests take that are made one after the other."""
    taken = []
    until = time.monotonic() + seconds
    with requests.Session() as client:
        while time.monotonic() < until:
            started = time.monotonic()
            assert client.get(f"{server.url}/stream?n=1", timeout=10).content == b"line 0\n"
            taken.append(time.monotonic() - started)
            time.sleep(0.05)
    return taken


@pytest.mark.parametrize(
    ("begin", "each"),
    [(b"", HEAD), (UPLOAD, b"u" * 1000), (CHUNKED, b"c" * 1000)],
    ids=["head", "body", "chunked-body"],
)
def test_slow_senders_do_not_delay_others(serve: Serve, begin: bytes, each: bytes) -> None:
    """The worst request counts, of the best of three windows: a machine may stall once."""
    server = serve("raw:app", threads=1)
    alone = statistics.median(latencies(server, 1))
    slow = SlowClients(server.port, begin, each)
    delays: list[float] = []
    try:
        while len(delays) < 3 and (not delays or delays[-1] >= BOUND):
            beside = latencies(server, SECONDS)
            delays.append(max(beside) - alone)
            print(f"{len(beside)} requests beside {CLIENTS} slow clients: at most {delays[-1]:.4f} s later")
        assert slow.sent > CLIENTS * SECONDS * 0.5, f"only {slow.sent} bytes were sent"
    finally:
        slow.end()
    assert delays[-1] < BOUND, delays


def test_slow_readers_do_not_delay_others(serve: Serve) -> None:
    """Answers of 256 kB that clients do not read are the front's business."""
    server = serve("raw:app", threads=1)
    alone = latencies(server, 1)
    wires = [Wire(server.port) for _ in range(20)]
    try:
        body = b"r" * (256 << 10)
        for wire in wires:
            wire.post("/echo", body)
        beside = latencies(server, 2)
        for wire in wires:
            assert wire.answer().body == body
    finally:
        for wire in wires:
            wire.close()
    delay = statistics.median(beside) - statistics.median(alone)
    assert delay < BOUND, f"{delay:.3f} s; sorted: {sorted(beside)[-5:]}"
