"""Request bodies: what the application reads from wsgi.input."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from support import proc
from support.server import Server
from support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Serve

TEXT = b"one\ntwo\r\n\nfour without an end"
LINES = ["one\n", "two\r\n", "\n", "four without an end"]


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The raw application."""
    return module_serve("raw:app")


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A connection to it."""
    with Wire(server.port) as wire:
        yield wire


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def post_chunked(wire: Wire, path: str, body: bytes) -> None:
    """Send a POST with a body that is chunked already."""
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head.encode() + body)


def body_seen(wire: Wire) -> Any:
    """Return what the application says it has read."""
    answer = wire.answer()
    assert answer.status == 200
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("query", "pieces", "rest"),
    [
        ("how=read", ["".join(LINES)], ""),
        ("how=read&size=0", [""], "".join(LINES)),
        ("how=read&size=5", ["one\nt"], "".join(LINES)[5:]),
        ("how=read&size=1000", ["".join(LINES)], ""),
        ("how=read-in-pieces&size=12", ["one\ntwo\r\n\nfo", "ur without a", "n end"], ""),
        ("how=readline-plain", LINES, ""),
        ("how=readline", LINES, ""),
        ("how=readline&size=4", ["one\n", "two\r", "\n", "\n", *"four| wit|hout| an |end".split("|")], ""),
        ("how=readline&size=100", LINES, ""),
        ("how=readlines", LINES, ""),
        ("how=iterate", LINES, ""),
        ("how=nothing", [], "".join(LINES)),
    ],
)
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_ways_to_read(wire: Wire, coding: str, query: str, pieces: list[str], rest: str) -> None:
    if coding == "chunked":
        post_chunked(wire, f"/body?{query}", chunked(TEXT[:2], TEXT[2:3], TEXT[3:]))
    else:
        wire.post(f"/body?{query}", TEXT)
    seen = body_seen(wire)
    assert (seen["pieces"], seen["rest"], seen["again"]) == (pieces, rest, "")
    assert seen["length"] == str(len(TEXT))
    assert seen["coding"] is None
    assert seen["terminated"] is True


@pytest.mark.parametrize("headers", [(), ("Content-Length: 0",)])
def test_no_body(wire: Wire, headers: tuple[str, ...]) -> None:
    wire.get("/body?how=read", *headers)
    seen = body_seen(wire)
    assert (seen["pieces"], seen["rest"]) == ([""], "")


@pytest.mark.parametrize("size", [0, 1, 8191, 65536, 65537, 1 << 20, 5 << 20])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_echo(wire: Wire, coding: str, size: int) -> None:
    """Bodies of all sizes, among them some that go to a temporary file."""
    body = random.Random(size).randbytes(size)
    for _ in range(2):
        if coding == "chunked":
            step = max(1, size // 7)
            parts = [body[at : at + step] for at in range(0, size, step)]
            post_chunked(wire, "/echo", chunked(*parts))
        else:
            wire.post("/echo", body)
        answer = wire.answer()
        assert answer.header("X-Sha256") == hashlib.sha256(body).hexdigest()
        assert answer.body == body


def test_chunks_with_extensions_and_trailers(wire: Wire) -> None:
    post_chunked(wire, "/echo", b'3;name="v"\r\nabc\r\n003\r\ndef\r\n0\r\nX-Trailer: t\r\n\r\n')
    assert wire.answer().body == b"abcdef"
    wire.get("/stream?n=1")
    assert wire.answer().body == b"line 0\n"


def test_a_body_that_nobody_reads_does_not_disturb(wire: Wire) -> None:
    """The next request on the connection begins where the body ends."""
    for size in (10, 2 << 20):
        wire.post("/stream?n=1", b"GET /raise HTTP/1.1\r\n\r\n" * (size // 10))
        assert wire.answer().body == b"line 0\n"


def test_a_large_body_leaves_no_file(server: Server) -> None:
    before = len(proc.descriptors(server.pid))
    for _ in range(3):
        with Wire(server.port) as wire:
            wire.post("/echo", b"x" * (3 << 20))
            assert wire.answer().status == 200
    proc.wait_for(lambda: len(proc.descriptors(server.pid)) <= before, 5, "the descriptors to be closed")


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"Content-Length: 100", b"only this"),
        (b"Content-Length: 3000000", b"x" * 2_000_000),
        (b"Transfer-Encoding: chunked", b"5\r\nwhole\r\n64\r\nonly this"),
        (b"Transfer-Encoding: chunked", b"5\r\nwhole\r\n"),
    ],
)
def test_a_body_that_ends_early_never_reaches_the_application(serve: Serve, head: bytes, part: bytes) -> None:
    server = serve("raw:app")
    with Wire(server.port) as wire:
        wire.send(b"POST /watched/upload HTTP/1.1\r\nHost: t\r\n" + head + b"\r\n\r\n" + part)
        wire.socket.shutdown(1)
        rest = wire.rest()
        assert not rest.startswith(b"HTTP/1.1 2"), rest
    with Wire(server.port) as wire:
        wire.get("/watched")
        assert json.loads(wire.answer().body)["opened"] == 0
