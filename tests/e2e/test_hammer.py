"""Everything at once: what each request gets does not depend on the others."""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Serve
    from support.server import Server

SECONDS = float(os.environ.get("GOWSGI_TEST_HAMMER", "5"))


def echo(server: Server, rng: random.Random) -> None:
    """Send bodies of all sizes on one connection."""
    with Wire(server.port) as wire:
        for _ in range(3):
            body = rng.randbytes(rng.choice([0, 10, 5000, 100_000, 1_500_000]))
            wire.post("/echo", body)
            assert wire.answer().header("X-Sha256") == hashlib.sha256(body).hexdigest()


def environ(server: Server, rng: random.Random) -> None:
    """See one's own headers and query."""
    token = str(rng.random())
    answer = requests.get(f"{server.url}/environ?{token}", headers={"X-Token": token}, timeout=20)
    seen = answer.json()
    assert (seen["QUERY_STRING"], seen["HTTP_X_TOKEN"]) == (token, token)


def stream(server: Server, rng: random.Random) -> None:
    """Read a stream to its end."""
    count = rng.randrange(1, 200)
    text = requests.get(f"{server.url}/stream?n={count}", timeout=20).text
    assert text == "".join(f"line {number}\n" for number in range(count))


def leave(server: Server, rng: random.Random) -> None:
    """Leave a stream or a download."""
    with Wire(server.port) as wire:
        wire.get(rng.choice(["/watched/stream", "/watched/download"]))
        wire.exactly(rng.randrange(1, 100))


def fail(server: Server, rng: random.Random) -> None:
    """Run into an exception, at once or midway."""
    with Wire(server.port) as wire:
        if rng.random() < 0.5:
            wire.get("/raise")
            assert wire.answer().status == 500
        else:
            wire.get("/raise-midway")
            if wire.head().status == 200:  # Else the exception came before the head was sent.
                assert b"the beginning" in wire.rest()


def pipeline(server: Server, rng: random.Random) -> None:
    """Have several answers in order."""
    codes = [rng.randrange(205, 300) for _ in range(10)]
    with Wire(server.port) as wire:
        wire.send(b"".join(b"GET /status?code=%d HTTP/1.1\r\nHost: t\r\n\r\n" % code for code in codes))
        assert [wire.answer().status for _ in codes] == codes


def fork(server: Server, rng: random.Random) -> None:
    """Fork while other threads run Python."""
    path = rng.choice(["/fork-exit", "/fork-threads"])
    assert requests.get(server.url + path, timeout=20).json() == {"exit": 7, "hung": False}


def command(server: Server, rng: random.Random) -> None:
    """Run another program."""
    path, expected = rng.choice([("/subprocess-terminate", -15), ("/subprocess-preexec", "True")])
    assert requests.get(server.url + path, timeout=20).json() == expected


def context(server: Server, rng: random.Random) -> None:
    """Set a context variable, or find that nobody has."""
    if rng.random() < 0.5:
        assert requests.get(f"{server.url}/context-set?user=a", timeout=20).json() == "a"
    else:
        assert requests.get(f"{server.url}/context-get", timeout=20).json() == "nobody"


def hammer(server: Server, actions: list[Callable[[Server, random.Random], None]]) -> None:
    """Run each action again and again, two at a time of each; fail with the first error."""
    errors: list[str] = []
    counts = dict.fromkeys([action.__name__ for action in actions], 0)
    until = time.monotonic() + SECONDS

    def repeat(action: Callable[[Server, random.Random], None], seed: int) -> None:
        rng = random.Random(seed)
        while time.monotonic() < until and not errors:
            try:
                action(server, rng)
            except Exception as error:
                errors.append(f"{action.__name__}: {error!r}")
            counts[action.__name__] += 1

    threads = [threading.Thread(target=repeat, args=(action, seed)) for action in actions for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 40)
    print(counts)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors, errors
    assert all(counts.values()), counts


@pytest.mark.timeout(90 + SECONDS)
@pytest.mark.parametrize("threads", [1, 8])
def test_requests_of_all_kinds(serve: Serve, threads: int) -> None:
    server = serve("raw:app", threads=threads)
    hammer(server, [echo, environ, stream, leave, fail, pipeline])
    closed = proc.wait_for(lambda: _all_closed(server), 20, "all responses to be closed", every=0.1)
    assert closed["most"] <= 1
    assert server.stop() == 0
    assert not re.search("panic|fatal error|SIGSEGV", server.stderr)


@pytest.mark.timeout(90 + SECONDS)
def test_forks_beside_busy_threads(serve: Serve, tmp_path: Path) -> None:
    server = serve("embedded:app", threads=8, env={"E2E_LOG": str(tmp_path / "log")})
    requests.get(f"{server.url}/context-get", timeout=20)
    workers = server.workers
    hammer(server, [fork, command, context, context])
    assert proc.tree(server.pid) == [server.pid, *workers]
    assert server.stop() == 0
    assert not re.search("panic|fatal error|SIGSEGV", server.stderr)


def _all_closed(server: Server) -> dict[str, int] | None:
    counts: dict[str, int] = requests.get(f"{server.url}/watched", timeout=20).json()
    return counts if counts["opened"] == counts["closed"] else None
