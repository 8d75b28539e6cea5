"""Connections: persistence, pipelining, Expect, and clients that are slow, rude or gone."""

from __future__ import annotations

from ..checks import (
    Check,
    body,
    both,
    brief,
    calls,
    clean,
    closes,
    either,
    error500,
    hides,
    interim,
    noted,
    readable,
    responses,
    single,
    size,
    status,
    stays,
    uncalled,
    whole,
)
from . import Await, Half, Mark, Pieces, Reset, chunked, get, post, spec, table

KEEP = "RFC 9112 9.3"
LAST = get("/ok", "Connection: close")
GG = {"methods": ("GET", "GET")}
PG = {"methods": ("POST", "GET")}
GGG = {"methods": ("GET", "GET", "GET")}


def connection(*values: str, minor: int = 1) -> bytes:
    """A request with these Connection fields, and another after it."""
    return get("/ok", *[f"Connection: {v}" for v in values], minor=minor) + get("/env")


CASES = table(
    KEEP,
    ("connection.1.1-stays", get("/ok"), body(b"ok"), stays),
    (
        "connection.1.1-second-request",
        (get("/ok"), Await(1), get("/env")),
        responses(2),
        calls("GET /ok", "GET /env"),
        GG,
    ),
    ("connection.1.0-closes", get("/ok", minor=0), body(b"ok"), closes),
    (
        "connection.1.0-second-not-served",
        (get("/ok", minor=0) + get("/env"),),
        body(b"ok"),
        calls("GET /ok"),
        closes,
        GG,
    ),
    (
        "connection.1.0-keep-alive",
        get("/ok", "Connection: keep-alive", minor=0),
        body(b"ok"),
        either(
            both(
                stays,
                Check(
                    "Connection: keep-alive in the answer",
                    lambda t: "" if t.first and "keep-alive" in t.first.tokens("connection") else brief(t),
                ),
            ),
            closes,
        ),
    ),
    (
        "SHOULD RFC 9112 9.3",
        "connection.1.0-keep-alive-stays",
        get("/ok", "Connection: keep-alive", minor=0),
        body(b"ok"),
        stays,
    ),
    ("connection.1.0-keep-alive-upper", get("/ok", "Connection: Keep-Alive", minor=0), body(b"ok"), whole),
    ("connection.1.0-close-wins", get("/ok", "Connection: keep-alive, close", minor=0), body(b"ok"), closes),
    (
        "RFC 9112 9.6",
        "connection.close-after-many",
        (get("/ok"), Await(1), get("/ok"), Await(2), LAST),
        responses(3),
        closes,
        GGG,
    ),
    ("RFC 9112 9.6", "connection.close-post", post("/echo", b"x", "Connection: close"), body(b"x"), closes),
    (
        "RFC 9112 9.6",
        "connection.close-stream",
        spec(iter=[("yield", b"a"), ("yield", b"b")], fields=("Connection: close",)),
        body(b"ab"),
        closes,
    ),
    (
        "RFC 9112 9.6",
        "connection.close-announced",
        LAST,
        Check(
            "Connection: close in the answer",
            lambda t: "" if t.first and "close" in t.first.tokens("connection") else brief(t),
        ),
    ),
    ("RFC 9112 9.6", "connection.close-head", get("/ok", "Connection: close", method="HEAD"), status(200), closes),
    ("RFC 9110 7.6.1", "connection.unknown-option-stays", get("/ok", "Connection: x-foo"), body(b"ok"), stays),
    ("RFC 9110 7.6.1", "connection.contains-close-as-part", get("/ok", "Connection: not-close"), body(b"ok"), stays),
    ("RFC 9110 7.6.1", "connection.empty-value-stays", get("/ok", "Connection:"), body(b"ok"), stays),
    ("RFC 9112 9.3", "connection.keep-alive-1.1-stays", get("/ok", "Connection: keep-alive"), body(b"ok"), stays),
    ("RFC 9110 7.6.1", "connection.names-a-header", get("/ok", "Connection: X-T"), status(200), body(b"ok")),
)
CLOSERS = (
    ("close", ("close",)),
    ("upper", ("CLOSE",)),
    ("mixed", ("Close",)),
    ("in-list", ("foo, close",)),
    ("in-list-mixed", ("foo, Close",)),
    ("first-in-list", ("close, foo",)),
    ("no-space-list", ("foo,close",)),
    ("tab-list", ("foo,\tclose",)),
    ("with-keep-alive", ("keep-alive, close",)),
    ("empty-members", (", ,close,",)),
    ("two-fields", ("foo", "close")),
    ("two-fields-first", ("close", "foo")),
)
CASES += table(
    "RFC 9112 9.6",
    *[
        (f"connection.close-{name}", connection(*values), body(b"ok"), closes, calls("GET /ok"), GG)
        for name, values in CLOSERS
    ],
)

CASES += table(
    "RFC 9112 9.3.2",
    (
        "pipeline.three",
        (get("/env/a") + get("/env/b") + get("/env/c"),),
        responses(3),
        calls("GET /env/a", "GET /env/b", "GET /env/c"),
        GGG,
    ),
    (
        "pipeline.answers-in-order",
        (
            spec(iter=[("sleep", 0.2), ("yield", b"slow")], kind="list", app=[("start", "200 OK", []), ("sleep", 0.2)])
            + get("/ok"),
        ),
        body(b"slow"),
        body(b"ok", nth=1),
        GG,
    ),
    ("pipeline.ten", (get("/ok") * 10,), responses(10), {"methods": ("GET",) * 10}),
    ("pipeline.hundred", (get("/ok") * 100,), responses(100), {"methods": ("GET",) * 100}),
    ("pipeline.post-then-get", (post("/echo", b"hello") + get("/ok"),), body(b"hello"), body(b"ok", nth=1), PG),
    (
        "pipeline.post-post",
        (post("/echo", b"one") + post("/echo", b"two"),),
        body(b"one"),
        body(b"two", nth=1),
        {"methods": ("POST", "POST")},
    ),
    (
        "pipeline.chunked-then-get",
        (chunked("/echo", b"3\r\nabc\r\n0\r\n\r\n") + get("/ok"),),
        body(b"abc"),
        body(b"ok", nth=1),
        PG,
    ),
    (
        "pipeline.get-chunked-get",
        (get("/ok") + chunked("/echo", b"3\r\nabc\r\n0\r\n\r\n") + get("/ok"),),
        responses(3),
        body(b"abc", nth=1),
        {"methods": ("GET", "POST", "GET")},
    ),
    (
        "pipeline.head-then-get",
        (get("/ok", method="HEAD") + get("/ok"),),
        body(b"ok", nth=1),
        {"methods": ("HEAD", "GET")},
    ),
    (
        "pipeline.split-in-second",
        (get("/ok") + get("/env/x")[:9], 0.1, get("/env/x")[9:]),
        responses(2),
        calls("GET /ok", "GET /env/x"),
        GG,
    ),
    ("pipeline.byte-by-byte", (Pieces(get("/ok") + get("/ok")),), responses(2), GG),
    (
        "pipeline.after-bad-nothing",
        (get("/ok") + b"BAD\r\n\r\n" + get("/env"),),
        body(b"ok"),
        calls("GET /ok"),
        closes,
        {"methods": ("GET", "BAD", "GET")},
    ),
    (
        "pipeline.bad-second-is-answered",
        (get("/ok") + get("/env", "X A: b") + get("/env"),),
        body(b"ok"),
        status(400, nth=1),
        calls("GET /ok"),
        closes,
        GGG,
    ),
    (
        "pipeline.close-in-the-middle",
        (get("/ok") + LAST + get("/env"),),
        responses(2),
        calls("GET /ok", "GET /ok"),
        closes,
        GGG,
    ),
    (
        "pipeline.no-mixing",
        (get("/env?a", "X-A: 1") + get("/env?b") + get("/env?c", "X-C: 3"),),
        responses(3),
        Check(
            "each request has its own headers and query",
            lambda t: (
                ""
                if all(
                    b'"QUERY_STRING": "%s"' % q in r.body
                    and (b"HTTP_X_A" in r.body) == (q == b"a")
                    and (b"HTTP_X_C" in r.body) == (q == b"c")
                    for q, r in zip((b"a", b"b", b"c"), t.responses, strict=False)
                )
                else brief(t)
            ),
        ),
        GGG,
    ),
    ("pipeline.half-closed", (get("/ok") + get("/ok"), Half()), responses(2), GG),
    (
        "pipeline.large-answers",
        (get("/big?bytes=300000") + get("/big?bytes=300000"),),
        either(both(size(300_000), responses(2)), both(size(300_000), closes)),
        GG,
    ),
    (
        "pipeline.after-500",
        (spec(app=[("raise", "ValueError")]) + get("/ok"),),
        status(500),
        either(body(b"ok", nth=1), closes),
        GG,
    ),
)

E = "Expect: 100-continue"
CASES += table(
    "RFC 9110 10.1.1",
    (
        "expect.continue-then-body",
        (post("/echo", b"hello", E)[:-5], Await(b"100"), b"hello"),
        interim(100),
        body(b"hello"),
    ),
    (
        "expect.continue-before-body",
        (post("/echo", b"hello", E)[:-5], 0.3, Mark("m"), b"hello"),
        Check("100 or a final answer before the body is sent", lambda t: "" if t.marks["m"] else "nothing"),
        body(b"hello"),
    ),
    ("expect.client-does-not-wait", (post("/echo", b"hello", E),), body(b"hello"), status(200)),
    (
        "expect.case-insensitive",
        (post("/echo", b"hello", "expect: 100-Continue")[:-5], Await(b"100"), b"hello"),
        interim(100),
        body(b"hello"),
    ),
    (
        "expect.chunked",
        (get("/echo", E, "Transfer-Encoding: chunked", method="POST"), Await(b"100"), b"5\r\nhello\r\n0\r\n\r\n"),
        interim(100),
        body(b"hello"),
    ),
    ("expect.not-with-1.0", (post("/echo", b"hello", E, minor=0)[:-5], 0.3, b"hello"), interim(), body(b"hello")),
    ("expect.without-body", (get("/ok", E),), status(200), either(interim(), interim(100)), single),
    ("expect.without-body-zero", (post("/echo", b"", E),), status(200), body(b""), single),
    (
        "expect.only-once",
        (post("/input", b"hello", E, "X-Ops: [('read', 2), ('read', 2), ('read', 9)]")[:-5], Await(b"100"), b"hello"),
        interim(100),
        status(200),
    ),
    ("expect.unread-body", (post("/ok", b"hello", E),), status(200), single),
    (
        "expect.unread-body-in-sync",
        (post("/ok", b"GET /bad HTTP/1.1\r\n\r\n", E)[:-21], Await(1), b"GET /bad HTTP/1.1\r\n\r\n", LAST),
        uncalled("/bad"),
        status(200),
        {"methods": ("POST", "GET"), "limit": 2.0},
    ),
    (
        "expect.next-request-has-none",
        (post("/echo", b"a", E)[:-1], Await(b"100"), b"a", Await(1), get("/ok")),
        interim(100),
        body(b"ok", nth=1),
        Check("no second 100", lambda t: "" if t.raw.count(b"HTTP/1.1 100") == 1 else brief(t)),
        PG,
    ),
    (
        "expect.unknown",
        (post("/echo", b"hello", "Expect: the-unexpected"),),
        either(status(417), body(b"hello")),
        single,
    ),
    ("expect.unknown-without-body", (get("/ok", "Expect: tea"),), either(status(417), body(b"ok")), single),
    ("expect.empty-value", (post("/echo", b"hello", "Expect:"),), either(status(417), body(b"hello")), single),
    ("expect.bad-request-no-100", (post("/echo", b"hello", E, "X A: b")[:-5], 0.2), interim(), status(400), closes),
    (
        "expect.bad-length-no-100",
        (get("/echo", E, "Content-Length: x", method="POST"), 0.2),
        interim(),
        status(400),
        closes,
    ),
    (
        "expect.no-host-no-100",
        (b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\nX-T: @T@\r\n\r\n", 0.2),
        interim(),
        status(400),
        closes,
    ),
    (
        "expect.body-never-comes",
        (post("/echo", b"hello", E)[:-5], Await(b"100"), Half()),
        Check("no 2xx", lambda t: brief(t) if any(r.status < 300 for r in t.responses) else ""),
        noted("read", times=0),
        {"limit": 2.0},
    ),
)

BIG = 2_000_000
CASES += table(
    "RFC 9112 9.6",
    (
        "client.unread-2-megabytes-no-reset",
        (post("/ok", b"x" * BIG), Await(1)),
        status(200),
        body(b"ok"),
        readable,
        {"limit": 6.0},
    ),
    (
        "client.unread-2-megabytes-close-no-reset",
        (post("/ok", b"x" * BIG, "Connection: close"), Await(1)),
        status(200),
        body(b"ok"),
        {"limit": 6.0},
    ),
    (
        "client.unread-2-megabytes-then-next",
        (post("/ok", b"x" * BIG) + LAST,),
        status(200),
        either(body(b"ok", nth=1), closes),
        {"methods": ("POST", "GET"), "limit": 6.0},
    ),
    (
        "client.unread-2-megabytes-500",
        (post("/spec", b"x" * BIG, "X-Spec: {'app': [('raise', 'ValueError')]}"), Await(1)),
        error500,
        {"limit": 6.0},
    ),
    (
        "client.unread-chunked-megabyte",
        (chunked("/ok", (b"8000\r\n" + b"x" * 32768 + b"\r\n") * 32 + b"0\r\n\r\n"), Await(1)),
        status(200),
        body(b"ok"),
        {"limit": 6.0},
    ),
    (
        "client.refused-with-2-megabytes",
        (get("/ok", "X A: b", f"Content-Length: {BIG}", method="POST") + b"x" * BIG, Await(1)),
        status(400),
        whole,
        {"limit": 6.0},
    ),
    ("client.refused-is-readable", (get("/ok", "X A: b"),), status(400), whole, closes, readable),
    ("RFC 9112 9.3", "client.half-closed", (get("/ok"), Half()), status(200), body(b"ok")),
    (
        "RFC 9112 9.3",
        "client.half-closed-slow-app",
        (spec(app=[("start", "200 OK", []), ("sleep", 0.3)], iter=[("yield", b"late")]), Half()),
        body(b"late"),
    ),
    (
        "RFC 9112 9.3",
        "client.half-closed-stream",
        (spec(iter=[("yield", b"a"), ("sleep", 0.3), ("yield", b"b")]), Half()),
        body(b"ab"),
    ),
    ("RFC 9112 9.3", "client.half-closed-then-closes", (get("/ok"), Half()), body(b"ok"), closes),
    (
        "RFC 9112 9.3",
        "client.half-closed-large-answer",
        (get("/big?bytes=3000000"), Half()),
        size(3_000_000),
        {"limit": 6.0},
    ),
    (
        "client.leaves-before-answer",
        (spec(app=[("sleep", 0.2), ("start", "200 OK", [])], iter=[("yield", b"x")]), Reset()),
        noted("close"),
    ),
    ("client.leaves-before-request-ends", (get("/ok")[:-2], Reset()), calls()),
    ("client.many-leave", (get("/big?bytes=3000000"), Await(b"xx"), Reset(), 0.3), noted("close")),
    ("client.head-in-one-byte-pieces", (Pieces(post("/echo", b"hello", "X-A: b")),), body(b"hello")),
    ("client.slow-head", (get("/ok")[:20], 0.6, get("/ok")[20:]), body(b"ok")),
    ("client.slow-body", (post("/echo", b"hello")[:-5], 0.3, b"he", 0.3, b"llo"), body(b"hello")),
    ("client.slow-reader", (get("/big?bytes=2000000"), 0.01, 0.5), size(2_000_000), {"limit": 6.0}),
    ("client.silent-connection", (0.3, get("/ok")), body(b"ok")),
    ("client.long-answer-then-next", (get("/big?bytes=1000000") + LAST,), size(1_000_000), clean, GG),
    ("client.large-request-and-answer", post("/echo", b"y" * 3_000_000), size(3_000_000), {"limit": 8.0}),
    (
        "client.garbage",
        (bytes(range(256)) * 4, Half()),
        either(both(status(400, 405, 501, 505), closes), both(closes, hides(b" 200 "))),
    ),
    (
        "client.nul-bytes",
        (b"\0" * 1000 + b"\r\n\r\n", Half()),
        either(both(status(400, 405, 501, 505), closes), both(closes, hides(b" 200 "))),
    ),
)
