"""Runs the cases against bin/gowsgi, and throws 10,000 malformed packets at it."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .cases import CASES
from .runner import run, text
from .servers import PRESETS, ROOT, Server
from .wire import HALF, framed, request, talk

MALFORMED = 10_000
SEED = 8


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Fail where there is no server to test."""
    if not (ROOT / "bin" / "gowsgi").exists():
        pytest.fail("bin/gowsgi is not built; run make")


@pytest.fixture
def server() -> Iterator[Server]:
    """One worker."""
    one = Server("gowsgi", PRESETS["gowsgi"] + " --header-timeout 3")
    one.start()
    yield one
    one.stop()


def test_no_case_fails() -> None:
    verdicts = run(Server("gowsgi", PRESETS["gowsgi"]), CASES)
    assert not any(v.failures for v in verdicts), text("gowsgi", verdicts)


def test_cases_have_names_of_their_own() -> None:
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []


def malformed(chance: random.Random) -> bytes:
    """What is no packet, or one that is broken somewhere."""
    data = bytearray(request(HTTP_X="v" * chance.randrange(300), body=b"b" * chance.randrange(3)))
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 400))
    if kind == 1:
        return bytes(data[: chance.randrange(len(data))])
    if kind == 2:
        return framed(chance.randbytes(chance.randrange(200)))
    if kind == 3:
        return framed(bytes(data[4:]), size=chance.randrange(1 << 16))
    for _ in range(chance.randrange(1, 8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if kind == 4:
        del data[chance.randrange(len(data))]
    return bytes(data)


def worker(server: Server) -> int:
    """The process that runs the application."""
    return json.loads(talk(server.port, [request()]).body)["pid"]


def test_malformed_packets(server: Server) -> None:
    """Each connection ends by itself, and the worker that was there at first serves on."""
    before = worker(server)
    ends: Counter[str] = Counter()

    def attack(number: int) -> None:
        chance = random.Random(SEED * 1_000_000 + number)
        answer = talk(server.port, [malformed(chance), HALF], limit=20)
        ends[answer.end] += 1
        ends[f"{answer.status // 100}xx"] += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attack, range(MALFORMED)))
    assert ends["open"] == 0, ends
    assert ends["4xx"] > MALFORMED / 2, ends
    assert ends["5xx"] == 0 or "Traceback" not in server.tail(), server.tail()
    assert worker(server) == before


def test_slow_packets_are_cut(server: Server) -> None:
    """Bytes that come one by one, each in time, have the header's time together."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        for byte in request():
            sock.sendall(bytes([byte]))
            if select.select([sock], [], [], 0.05)[0]:
                break
        answer = sock.recv(100)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert 2.5 < time.monotonic() - started < 8
    assert server.answers(5)
