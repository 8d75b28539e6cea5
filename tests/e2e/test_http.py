"""HTTP/1.1 on the wire: connections, bodies' ends, heads."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from support.server import Server
from support.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Serve


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The raw application."""
    return module_serve("raw:app", threads=2)


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A connection to it."""
    with Wire(server.port) as wire:
        yield wire


def still_serves(wire: Wire) -> None:
    """Assert that the connection takes another request."""
    wire.get("/stream?n=1")
    assert wire.answer().body == b"line 0\n"


def test_keep_alive(wire: Wire) -> None:
    for _ in range(20):
        still_serves(wire)


def test_connection_close(wire: Wire) -> None:
    wire.get("/stream?n=2", "Connection: close")
    answer = wire.answer()
    assert answer.body == b"line 0\nline 1\n"
    assert (answer.header("Connection") or "").lower() == "close"
    assert wire.closed()


def test_pipelining(wire: Wire) -> None:
    """Three requests in one send have three answers, in their order."""
    requests = [
        b"GET /stream?n=3 HTTP/1.1\r\nHost: t\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nsecond",
        b"GET /status?code=299 HTTP/1.1\r\nHost: t\r\n\r\n",
    ]
    wire.send(b"".join(requests))
    answers = [wire.answer() for _ in requests]
    assert [answer.status for answer in answers] == [200, 200, 299]
    assert answers[0].body == b"line 0\nline 1\nline 2\n"
    assert answers[1].body == b"second"
    assert answers[2].body == b"body of 299"
    still_serves(wire)


def test_pipelining_of_many(wire: Wire) -> None:
    wire.send(b"".join(b"GET /status?code=%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(200, 300) if n != 204))
    assert [wire.answer().status for _ in range(99)] == [n for n in range(200, 300) if n != 204]


def test_a_request_byte_by_byte(wire: Wire) -> None:
    for byte in b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc":
        wire.send(bytes([byte]))
    assert wire.answer().body == b"abc"


def test_expect_100_continue(wire: Wire) -> None:
    wire.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert wire.head().status == 100
    wire.send(b"body")
    answer = wire.answer()
    assert (answer.status, answer.body) == (200, b"body")
    still_serves(wire)


def test_expect_100_continue_with_the_body_at_once(wire: Wire) -> None:
    wire.post("/echo", b"body", "Expect: 100-continue")
    answer = wire.answer()
    assert (answer.status, answer.body) == (200, b"body")
    still_serves(wire)


@pytest.mark.parametrize("path", ["/stream?n=3", "/write", "/file", "/environ", "/length?says=7&sends=7"])
def test_head_has_no_body(wire: Wire, path: str) -> None:
    wire.get(path, method="HEAD")
    answer = wire.answer(head_only=True)
    assert answer.status == 200
    still_serves(wire)


@pytest.mark.parametrize("code", ["204", "304"])
def test_statuses_without_a_body(wire: Wire, code: str) -> None:
    wire.get(f"/status?code={code}")
    answer = wire.answer()
    assert answer.status == int(code)
    assert answer.header("Transfer-Encoding") is None
    still_serves(wire)


def test_the_reason_is_the_applications(wire: Wire) -> None:
    wire.get("/status?code=234")
    answer = wire.answer()
    assert (answer.version, answer.status, answer.reason) == ("HTTP/1.1", 234, "A Reason")


def test_every_answer_has_a_date_and_a_server(wire: Wire) -> None:
    wire.get("/status?code=200")
    answer = wire.answer()
    assert answer.header("Date")
    assert answer.header("Server")


def test_a_stream_is_chunked_as_it_is_made(wire: Wire) -> None:
    wire.get("/stream?n=4&pause=0.05")
    answer = wire.answer()
    assert answer.header("Transfer-Encoding") == "chunked"
    assert answer.chunks == [b"line %d\n" % number for number in range(4)]
    still_serves(wire)


def test_http_1_0_is_closed(wire: Wire) -> None:
    wire.get("/stream?n=3", version="1.0")
    answer = wire.answer()
    assert answer.header("Transfer-Encoding") is None
    assert answer.body == b"line 0\nline 1\nline 2\n"


def test_http_1_0_without_a_host(wire: Wire) -> None:
    wire.send(b"GET /status?code=200 HTTP/1.0\r\n\r\n")
    answer = wire.answer()
    assert (answer.status, answer.body) == (200, b"body of 200")
    assert wire.closed()


def test_http_1_0_keep_alive(wire: Wire) -> None:
    for _ in range(3):
        wire.get("/status?code=200", "Connection: keep-alive", version="1.0")
        answer = wire.answer()
        assert answer.body == b"body of 200"
        assert (answer.header("Connection") or "").lower() == "keep-alive"


def test_http_1_0_keep_alive_ends_where_the_length_is_not_known(wire: Wire) -> None:
    wire.get("/stream?n=2", "Connection: keep-alive", version="1.0")
    answer = wire.answer()
    assert answer.header("Transfer-Encoding") is None
    assert answer.body == b"line 0\nline 1\n"


def test_a_half_closed_client_has_its_answer(wire: Wire) -> None:
    wire.get("/sleep?s=0.2")
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer().body == b'{"slept": 0.2}'
    assert wire.closed()


# Lengths ------------------------------------------------------------------------


@pytest.mark.parametrize("sends", [10, 12, 1000])
def test_a_body_longer_than_its_length_is_cut(wire: Wire, sends: int) -> None:
    wire.get(f"/length?says=7&sends={sends}", "Connection: close")
    assert wire.answer().body == b"0123401"
    assert wire.closed()


@pytest.mark.parametrize("sends", [0, 5, 90])
def test_a_body_shorter_than_its_length_closes(wire: Wire, sends: int) -> None:
    wire.get(f"/length?says=100&sends={sends}")
    head = wire.head()
    if sends == 0 and head.status == 500:
        return  # Nothing was sent yet: saying so is better still.
    assert head.header("Content-Length") == "100"
    assert wire.rest() == (b"01234" * 20)[:sends]


def test_an_exception_midway_closes_without_the_last_chunk(server: Server, wire: Wire) -> None:
    wire.get("/raise-midway?pause=0.3")
    assert wire.head().status == 200
    assert wire.chunk() == b"the beginning"
    with pytest.raises((Truncated, ConnectionResetError)):
        wire.chunk()
    server.wait_log("ValueError: midway")


def test_an_exception_right_after_the_first_chunk_is_a_500_or_cuts(server: Server) -> None:
    """Either is right, as long as the head is not sent; a whole 200 never is."""
    for _ in range(30):
        with Wire(server.port) as wire:
            wire.get("/raise-midway")
            if wire.head().status == 200:
                assert wire.chunk() == b"the beginning"
                with pytest.raises((Truncated, ConnectionResetError)):
                    wire.chunk()


def test_an_exception_is_a_500_without_details(server: Server, wire: Wire) -> None:
    wire.get("/raise")
    answer = wire.answer()
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    server.wait_log("ValueError: secret of the traceback")


def test_write_comes_before_the_iterable(wire: Wire) -> None:
    wire.get("/write")
    assert wire.answer().body == b"written, written again, returned"
    still_serves(wire)


def test_file_wrapper_begins_at_the_files_position(wire: Wire) -> None:
    wire.get("/file")
    assert wire.answer().body == b"x" * 300_000
    still_serves(wire)


# What must be refused -------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nName : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nName: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nName: a\r\n folded\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: t\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: +1\r\n\r\na",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1, 2\r\n\r\na",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551619\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_faulty_requests_are_refused_and_closed(wire: Wire, request_bytes: bytes) -> None:
    wire.send(request_bytes)
    answer = wire.answer()
    assert 400 <= answer.status < 600
    assert answer.status not in (404, 500)
    assert wire.closed()


# Environ ----------------------------------------------------------------------------


def test_environ(server: Server, wire: Wire) -> None:
    import json

    wire.get(
        "/environ?a=%20b&c",
        "X-Twice: 1",
        "X-Twice: 2",
        "Cookie: a=1",
        "Cookie: b=2",
        "X_Spoofed: no",
        "X-Latin: \xe9",
        "Content-Type: text/x",
    )
    seen = json.loads(wire.answer().body)
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "a=%20b&c",
        "RAW_URI": "/environ?a=%20b&c",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": str(server.port),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "test",
        "HTTP_X_LATIN": "\xe9",
        "CONTENT_TYPE": "text/x",
        "wsgi.url_scheme": "http",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert seen["HTTP_X_TWICE"] in ("1,2", "1, 2")
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert "HTTP_X_SPOOFED" not in seen
    assert "HTTP_CONTENT_TYPE" not in seen
    assert seen["REMOTE_PORT"] == str(wire.socket.getsockname()[1])
    assert seen["SERVER_NAME"]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/%65nviron", "/environ"),
        ("http://other.example/environ", "/environ"),
        ("/environ?x=/../%2e", "/environ"),
    ],
)
def test_targets(wire: Wire, target: str, path: str) -> None:
    import json

    wire.get(target)
    answer = wire.answer()
    assert answer.status == 200
    assert json.loads(answer.body)["PATH_INFO"] == path
