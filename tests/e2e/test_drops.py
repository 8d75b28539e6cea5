"""Clients that leave: close() runs once for each, and nothing stays behind."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Serve
    from support.server import Server

# 10,000 is the full proof; what a run has time for is less.
DROPS = int(os.environ.get("GOWSGI_TEST_DROPS", "300"))
WARM_UP = 60
AT_ONCE = 8
# Allocators keep some pages; 10,000 leaks of 2 kB are more than this.
GROWTH_KB = 16 << 10
# Here each client has a megabyte in memory, so AT_ONCE of them and as much garbage.
GROWTH_LARGE_KB = GROWTH_KB + 2 * AT_ONCE * 1024
SETTLE = 15.0


def leave(wire: Wire, number: int) -> None:
    """Close, every second time with a reset."""
    if number % 2:
        wire.reset()
    else:
        wire.close()


def drop_download(port: int, number: int) -> None:
    """Leave while a large answer is on its way."""
    wire = Wire(port)
    wire.get("/watched/download")
    assert wire.head().status == 200
    wire.exactly(1000)
    leave(wire, number)


def drop_stream(port: int, number: int) -> None:
    """Leave a stream after some of its chunks."""
    wire = Wire(port)
    wire.get("/watched/stream")
    assert wire.head().status == 200
    wire.exactly(20)
    leave(wire, number)


def drop_before_answer(port: int, number: int) -> None:
    """Leave before the answer."""
    wire = Wire(port)
    wire.get("/watched/late")
    leave(wire, number)


def drop_small_upload(port: int, number: int) -> None:
    """Leave in the middle of a body that is kept in memory."""
    wire = Wire(port)
    wire.send(b"POST /watched/upload HTTP/1.1\r\nHost: t\r\nContent-Length: 9000\r\n\r\nsome")
    leave(wire, number)


def drop_large_upload(port: int, number: int) -> None:
    """Leave in the middle of a body that has reached its temporary file."""
    wire = Wire(port)
    head = b"POST /watched/upload HTTP/1.1\r\nHost: t\r\nContent-Length: 4000000\r\n\r\n"
    wire.send(head + b"u" * 2_000_000)
    leave(wire, number)


def drop_chunked_upload(port: int, number: int) -> None:
    """Leave in the middle of a chunk."""
    wire = Wire(port)
    head = b"POST /watched/upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head + b"5\r\nwhole\r\n10\r\npart")
    leave(wire, number)


def drop_in_head(port: int, number: int) -> None:
    """Leave in the middle of a request head."""
    wire = Wire(port)
    wire.send(b"GET /watched/stream HTTP/1.1\r\nHost: t\r\nX-")
    leave(wire, number)


def drop_idle(port: int, number: int) -> None:
    """Leave a kept connection after an answer."""
    wire = Wire(port)
    wire.get("/stream?n=1")
    assert wire.answer().body == b"line 0\n"
    leave(wire, number)


def drop_all(server: Server, drop: Callable[[int, int], None], times: int) -> None:
    """Drop that often, AT_ONCE clients at once.

    The server has noticed all of them before the next ones come: what it holds afterwards
    is then what stays, not what it held for a crowd that came faster than it could leave.
    """
    idle = proc.counts(server.pid).fds
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(0, times, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, times))
            list(pool.map(lambda number: drop(server.port, number), numbers))
            proc.wait_for(
                lambda: proc.counts(server.pid).fds <= idle,
                SETTLE,
                f"the connections to be closed: {idle} descriptors before",
                every=0.001,
            )


def all_closed(server: Server) -> dict[str, int] | None:
    """Return the application's counts once every response that was opened is closed."""
    seen = requests.get(f"{server.url}/watched", headers={"Connection": "close"}, timeout=20)
    counts: dict[str, int] = seen.json()
    return counts if counts["opened"] == counts["closed"] else None


def settled(server: Server) -> proc.Counts:
    """Return what the server holds, once that does not change any more."""
    proc.wait_for(lambda: all_closed(server), SETTLE, "all responses to be closed", every=0.1)
    last, since = proc.counts(server.pid), time.monotonic()
    until = since + SETTLE
    while time.monotonic() < min(since + 0.7, until):
        time.sleep(0.1)
        now = proc.counts(server.pid)
        if (now.fds, now.threads) != (last.fds, last.threads):
            since = time.monotonic()
        last = now
    return last


@pytest.mark.timeout(120 + DROPS // 5)
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("drop", "reaches_app"),
    [
        (drop_download, True),
        (drop_stream, True),
        (drop_before_answer, True),
        (drop_small_upload, False),
        (drop_large_upload, False),
        (drop_chunked_upload, False),
        (drop_in_head, False),
        (drop_idle, False),
    ],
)
def test_nothing_stays_behind(serve: Serve, drop: Callable[[int, int], None], reaches_app: bool, threads: int) -> None:
    server = serve("raw:app", threads=threads)
    settled(server)  # a thread that has just started still opens its descriptors
    drop_all(server, drop, WARM_UP)
    before, held, warm = settled(server), proc.descriptors(server.pid), all_closed(server)
    drop_all(server, drop, DROPS)
    after = settled(server)
    print(f"{drop.__name__}, {threads} threads, {DROPS} times")
    print(f"  before: {before}\n  after:  {after}")

    counts = all_closed(server)
    assert counts is not None
    assert warm is not None
    assert counts["most"] <= 1, "close() was called more than once for one response"
    if not reaches_app:
        assert counts["opened"] == 0, "an incomplete request reached the application"
    elif drop is not drop_before_answer:
        assert counts["opened"] == WARM_UP + DROPS
    assert after.fds == before.fds, (held, proc.descriptors(server.pid))
    assert after.processes == before.processes
    assert counts["threads"] == warm["threads"], "Python has more threads than before"
    # Go's runtime starts a thread where others are blocked in system calls, as when they
    # write a body to its file, and keeps it: at most one for each client there at once.
    assert after.threads <= before.threads + AT_ONCE
    assert after.rss_kb - before.rss_kb < (GROWTH_LARGE_KB if drop is drop_large_upload else GROWTH_KB)
    assert requests.get(f"{server.url}/stream?n=2", timeout=10).text == "line 0\nline 1\n"
    assert server.stop() == 0
