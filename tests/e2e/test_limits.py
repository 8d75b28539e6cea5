"""What is refused: the status, one line in the log, an answer that can be read, the end."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Serve
    from support.server import Server

HOST = b"Host: test\r\n"
GET = b"GET /status?code=200 HTTP/1.1\r\n" + HOST
POST = b"POST /echo HTTP/1.1\r\n" + HOST
LIMITS = (
    ("--limit-request-line", "100"),
    ("--limit-request-fields", "5"),
    ("--limit-request-field_size", "200"),
    ("--max-body", "1000"),
)


@dataclass(frozen=True)
class Refusal:
    """Bytes that are refused, with which status, and the cause that the log names."""

    name: str
    sent: bytes
    status: int
    cause: str


def chunks(*sizes: int) -> bytes:
    """Return a chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes) + b"0\r\n\r\n"


REFUSALS = [
    Refusal("body-by-length", POST + b"Content-Length: 1001\r\n\r\n", 413, "body is larger"),
    Refusal(
        "body-by-length-that-is-huge", POST + b"Content-Length: 9223372036854775807\r\n\r\n", 413, "body is larger"
    ),
    Refusal("length-past-63-bits", POST + b"Content-Length: 9223372036854775808\r\n\r\n", 413, "past 63 bits"),
    Refusal("body-that-waits", POST + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413, "body is larger"),
    Refusal("chunked-body", POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(1001), 413, "body is larger"),
    Refusal(
        "chunks-together", POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(400, 400, 400), 413, "body is larger"
    ),
    Refusal("request-line", b"GET /" + b"x" * 100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "request line too long"),
    Refusal("request-line-without-end", b"GET /" + b"x" * 200, 414, "request line too long"),
    Refusal("fields", GET + b"".join(b"X-%d: 1\r\n" % n for n in range(5)) + b"\r\n", 431, "too many field lines"),
    Refusal("field-size", GET + b"X-A: " + b"x" * 200 + b"\r\n\r\n", 431, "field line too long"),
    Refusal("field-without-end", GET + b"X-A: " + b"x" * 300, 431, "field line too long"),
    Refusal("expectation", GET + b"Expect: 200-ok\r\n\r\n", 417, "expectation other than"),
    Refusal("connect", b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n", 501, "CONNECT"),
    Refusal("coding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer coding other than"),
    Refusal("version-2", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505, "version other than"),
    Refusal("version-0.9", b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505, "version other than"),
    Refusal("no-host", b"GET / HTTP/1.1\r\n\r\n", 400, "without Host"),
    Refusal("two-framings", POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "together with"),
    Refusal("garbage", b"\x16\x03\x01\x00\xa5", 400, "TLS"),
]


def refusals(server: Server) -> list[str]:
    """Return the lines about refusals in a server's log."""
    return [line for line in server.stderr.splitlines() if "refused" in line]


def new_refusal(server: Server, before: int) -> str:
    """Return the one line about a refusal that came after the first `before` ones."""
    server.wait_log(rf"(?s)(refused.*){{{before + 1}}}")
    lines = refusals(server)[before:]
    assert len(lines) == 1, lines
    return lines[0]


def read_refusal(wire: Wire, status: int) -> Answer:
    """Read an answer that refuses: short, without a version, the connection's last."""
    answer = wire.answer()
    assert answer.status == status
    assert (answer.header("Connection") or "").lower() == "close"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.body.startswith(b"%d " % status)
    assert len(answer.body) < 200
    assert not re.search(rb"\d\.\d\.\d|\.go|Traceback", answer.body)
    assert wire.closed()
    return answer


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The raw application behind small limits."""
    return module_serve("raw:app", *[word for pair in LIMITS for word in pair])


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refusals(server: Server, case: Refusal) -> None:
    before = len(refusals(server))
    with Wire(server.port) as wire:
        wire.send(case.sent)
        read_refusal(wire, case.status)
    line = new_refusal(server, before)
    assert "[WARN]" in line
    assert "peer=127.0.0.1" in line
    assert f"status={case.status}" in line
    assert case.cause in line


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(400, 600),
        GET + b"X-1: 1\r\nX-2: 2\r\nX-3: 3\r\nX-4: " + b"x" * 190 + b"\r\n\r\n",
        b"GET /" + b"x" * 86 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=["body", "chunked-body", "fields", "request-line"],
)
def test_at_the_limit(server: Server, sent: bytes) -> None:
    """What is as large as allowed is served, and the connection goes on."""
    with Wire(server.port) as wire:
        for _ in range(2):
            wire.send(sent)
            assert wire.answer().status in (200, 404)


def test_too_large_a_body_is_not_waited_for(server: Server) -> None:
    """A client that asks first gets no 100, and any client its answer before the body."""
    with Wire(server.port) as wire:
        wire.send(POST + b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
        assert wire.head().status == 413


@pytest.mark.parametrize("name", ["body-by-length", "chunked-body", "request-line", "field-size", "expectation"])
def test_the_answer_can_be_read_by_a_client_that_goes_on_sending(server: Server, name: str) -> None:
    """Closing with unread bytes would reset the connection and destroy the answer."""
    case = next(case for case in REFUSALS if case.name == name)
    with Wire(server.port) as wire:
        wire.send(case.sent)
        for _ in range(200):
            wire.send(b"x" * 32768)
            time.sleep(0.001)
        read_refusal(wire, case.status)


@pytest.mark.parametrize("name", ["body-by-length", "request-line", "no-host"])
def test_head_gets_no_body(server: Server, name: str) -> None:
    case = next(case for case in REFUSALS if case.name == name)
    method, _, rest = case.sent.partition(b" ")
    with Wire(server.port) as wire:
        wire.send(b"HEAD " + rest)
        answer = wire.answer(head_only=True)
        assert answer.status == case.status, method
        assert wire.closed()


def test_json_for_programs(server: Server) -> None:
    with Wire(server.port) as wire:
        wire.send(POST + b"Accept: application/json\r\nContent-Length: 1001\r\n\r\n")
        answer = wire.answer()
    assert answer.header("Content-Type") == "application/json"
    assert json.loads(answer.body)["status"] == 413


def test_requests_before_a_refused_one_are_answered(server: Server) -> None:
    with Wire(server.port) as wire:
        wire.send(GET + b"\r\n" + GET + b"\r\n" + b"nonsense\r\n\r\n" + GET + b"\r\n")
        assert [wire.answer().status for _ in range(2)] == [200, 200]
        read_refusal(wire, 400)


def test_the_access_log_has_refusals(serve: Serve) -> None:
    server = serve("raw:app", "--access-logfile", "-")
    with Wire(server.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        wire.answer()
    assert server.wait_stdout(r'^127\.0\.0\.1 .*" 400 ')


# Time ------------------------------------------------------------------------------


def trickle(wire: Wire, first: bytes, each: bytes, pause: float, ends: Callable[[], bool]) -> None:
    """Send `first`, then `each` again and again until `ends`."""
    wire.send(first)
    while not ends():
        wire.send(each)
        time.sleep(pause)


@pytest.mark.parametrize(
    ("option", "begin", "each"),
    [
        ("--header-timeout=0.5", GET, b"X"),
        ("--header-timeout=0.5", b"G", b"E"),
        ("--read-timeout=0.5", POST + b"Content-Length: 1000\r\n\r\nx", b""),
        ("--read-timeout=0.5", POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\nx", b""),
        ("--min-body-rate=200", POST + b"Content-Length: 1000\r\n\r\n", b"x"),
        ("--min-body-rate=200", POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n", b"x"),
    ],
    ids=["head", "method", "body", "chunked-body", "body-rate", "chunked-body-rate"],
)
def test_requests_that_do_not_arrive_in_time(serve: Serve, option: str, begin: bytes, each: bytes) -> None:
    """A byte every 50 ms keeps none of the limits from being reached."""
    extra = ["--read-timeout=0.5"] if "rate" in option else []
    server = serve("raw:app", option, *extra)
    started = time.monotonic()
    with Wire(server.port) as wire:
        stop = threading.Event()
        sender = threading.Thread(target=trickle, args=(wire, begin, each, 0.05, stop.is_set))
        sender.start()
        try:
            answer = wire.answer()
            assert answer.status == 408
            assert answer.header("Connection") == "close"
            assert time.monotonic() - started > 0.4
        finally:
            stop.set()
            sender.join()
        assert wire.closed()
    line = new_refusal(server, 0)
    assert 'peer=127.0.0.1 status=408 cause="the request did not arrive in time"' in line


def test_a_body_that_is_fast_enough(serve: Serve) -> None:
    server = serve("raw:app", "--read-timeout=0.5", "--min-body-rate=200")
    with Wire(server.port) as wire:
        wire.send(POST + b"Content-Length: 800\r\n\r\n")
        for _ in range(20):
            wire.send(b"x" * 40)
            time.sleep(0.05)
        assert wire.answer().body == b"x" * 800


def test_silent_connections_end_without_an_answer(serve: Serve) -> None:
    """Browsers connect ahead; a 408 there would be taken for an answer."""
    server = serve("raw:app", "--header-timeout=0.5", "--keep-alive=0.5")
    with Wire(server.port) as fresh, Wire(server.port) as kept:
        kept.get("/status?code=200")
        kept.answer()
        assert fresh.closed()
        assert kept.closed()
    assert refusals(server) == []


def test_keep_alive_and_header_timeout_are_separate(serve: Serve) -> None:
    server = serve("raw:app", "--header-timeout=0.4", "--keep-alive=10")
    with Wire(server.port) as wire:
        for _ in range(2):
            wire.get("/status?code=200")
            assert wire.answer().status == 200
            time.sleep(0.8)


# The queue -------------------------------------------------------------------------


def sleeping(server: Server, seconds: float) -> Wire:
    """Return a connection whose request occupies the thread for that long."""
    wire = Wire(server.port)
    wire.get(f"/sleep?s={seconds}")
    server.wait_log(r"sleeping")
    return wire


def read_busy(wire: Wire) -> None:
    answer = wire.answer()
    assert answer.status == 503
    assert int(answer.header("Retry-After") or "") > 0
    assert answer.body == b"503 Service Unavailable\n"


def test_queue_full(serve: Serve) -> None:
    server = serve("raw:app", "--queue-size=1")
    with sleeping(server, 1.5) as running, Wire(server.port) as waiting, Wire(server.port) as refused:
        waiting.get("/status?code=200")
        time.sleep(0.3)
        started = time.monotonic()
        refused.get("/status?code=200")
        read_busy(refused)
        assert time.monotonic() - started < 1
        assert running.answer().status == 200
        assert waiting.answer().status == 200
        refused.get("/status?code=200")
        assert refused.answer().status == 200, "the connection is as good as before"
    line = new_refusal(server, 0)
    assert "peer=127.0.0.1 status=503 cause=" in line
    assert "queue" in line


def test_queue_timeout(serve: Serve) -> None:
    server = serve("raw:app", "--queue-timeout=0.3")
    with sleeping(server, 2) as running, Wire(server.port) as waiting:
        started = time.monotonic()
        waiting.get("/status?code=200", "Accept: application/json")
        answer = waiting.answer()
        assert 0.2 < time.monotonic() - started < 1.5
        assert (answer.status, json.loads(answer.body)["status"]) == (503, 503)
        assert answer.header("Retry-After")
        assert running.answer().status == 200
    assert "peer=127.0.0.1 status=503 cause=" in new_refusal(server, 0)


# Errors of the application ---------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/html,*/*", "application/json"])
def test_no_traceback_for_clients(serve: Serve, accept: str) -> None:
    server = serve("raw:app")
    with Wire(server.port) as wire:
        wire.get("/raise", f"Accept: {accept}")
        answer = wire.answer()
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    if "json" in accept:
        assert json.loads(answer.body) == {"status": 500, "error": "Internal Server Error"}
    else:
        assert answer.body == b"500 Internal Server Error\n"
    assert server.wait_log("secret of the traceback")


@pytest.mark.parametrize("accept", ["text/html,*/*", "application/json"])
def test_debug_errors_show_it(serve: Serve, accept: str) -> None:
    server = serve("raw:app", "--debug-errors")
    with Wire(server.port) as wire:
        wire.get("/raise", f"Accept: {accept}")
        answer = wire.answer()
        assert answer.status == 500
        text = json.loads(answer.body)["cause"] if "json" in accept else answer.body.decode()
        assert "Traceback (most recent call last):" in text
        assert "ValueError: secret of the traceback" in text
        assert "raw.py" in text
        wire.get("/raise", method="HEAD")
        assert wire.answer(head_only=True).status == 500
        wire.get("/status?code=200")
        assert wire.answer().status == 200
    assert server.wait_log("secret of the traceback")


def test_debug_errors_leave_a_begun_answer_alone(serve: Serve) -> None:
    server = serve("raw:app", "--debug-errors")
    with Wire(server.port) as wire:
        wire.get("/raise-midway")
        assert b"Traceback" not in wire.rest()


# Early hints -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def hints(module_serve: Serve) -> Server:
    """The application that gives hints."""
    return module_serve("hints:app", threads=2)


def test_hints_are_sent_at_once(hints: Server) -> None:
    """The application waits two seconds after it gave them."""
    with Wire(hints.port) as wire:
        started = time.monotonic()
        wire.get("/early?s=2")
        interim = wire.head()
        assert time.monotonic() - started < 1.5
        assert (interim.version, interim.status, interim.reason) == ("HTTP/1.1", 103, "Early Hints")
        assert interim.headers == [("Link", "</style.css>; rel=preload; as=style"), ("X-Second", "caf\u00e9")]
        answer = wire.answer()
        assert time.monotonic() - started >= 2
        assert (answer.status, answer.body, answer.header("Link")) == (200, b"done", None)
        wire.get("/empty")
        assert wire.answer().body == b"done"


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/twice", ["</style.css>; rel=preload; as=style", "</b>"]),
        ("/empty", []),
        ("/before-the-head-is-out", ["</style.css>; rel=preload; as=style"]),
    ],
)
def test_hints_by_moment(hints: Server, path: str, links: list[str]) -> None:
    with Wire(hints.port) as wire:
        wire.get(path)
        heads = [wire.head()]
        while heads[-1].status < 200:
            heads.append(wire.head())
        assert [head.status for head in heads] == [103] * len(links) + [200]
        assert [head.header("Link") for head in heads[:-1]] == links
        assert wire.exactly(4) == b"done"


@pytest.mark.parametrize("path", ["/after-write", "/after-a-chunk"])
def test_hints_after_the_head_are_ignored(hints: Server, path: str) -> None:
    with Wire(hints.port) as wire:
        wire.get(path)
        assert wire.head().status == 200
        assert wire.exactly(8) == b"donemore"
        wire.get("/empty")
        assert wire.head().status == 200


def test_hints_to_a_head_request(hints: Server) -> None:
    with Wire(hints.port) as wire:
        wire.get("/early", method="HEAD")
        assert [wire.head().status for _ in range(2)] == [103, 200]


def test_no_hints_for_http_1_0(hints: Server) -> None:
    with Wire(hints.port) as wire:
        wire.get("/early?s=0.1", version="1.0")
        assert wire.head().status == 200
        assert wire.rest() == b"done"


ILLEGAL = {
    "none": "TypeError",
    "a-number": "TypeError",
    "a-pair-not-in-a-list": "TypeError",
    "lists": "TypeError",
    "three": "TypeError",
    "bytes": "TypeError",
    "a-number-for-a-value": "TypeError",
    "line-end": "ValueError",
    "line-feed": "ValueError",
    "nul": "ValueError",
    "line-end-in-name": "ValueError",
    "space-in-name": "ValueError",
    "colon-in-name": "ValueError",
    "empty-name": "ValueError",
    "beyond-latin-1": "ValueError",
    "hop-by-hop": "AssertionError",
    "coding": "AssertionError",
    "behind-a-legal-one": "ValueError",
}


@pytest.mark.parametrize("what", ILLEGAL)
def test_illegal_hints_raise(hints: Server, what: str) -> None:
    """In the application, and nothing of them is sent."""
    with Wire(hints.port) as wire:
        wire.get(f"/illegal?what={what}", "Connection: close")
        assert wire.head().status == 200
        assert wire.rest().decode().startswith(f"{ILLEGAL[what]}: ")


def test_hints_from_a_generator_that_fails(hints: Server) -> None:
    with Wire(hints.port) as wire:
        wire.get("/raising-iterator", "Connection: close")
        assert wire.head().status == 200
        assert wire.rest() == b"from the generator"


def test_hints_before_a_failure(hints: Server) -> None:
    with Wire(hints.port) as wire:
        wire.get("/then-raise")
        assert wire.head().status == 103
        answer = wire.answer()
        assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")


def test_hints_of_a_request_that_is_over(hints: Server) -> None:
    with Wire(hints.port) as wire:
        wire.get("/keep")
        assert wire.answer().body == b"kept"
        wire.get("/late", "Connection: close")
        assert wire.head().status == 200
        assert b"wsgi.early_hints was called after its request had ended" in wire.rest()
