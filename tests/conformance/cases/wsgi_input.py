"""wsgi.input: a file whose end is the end of the body."""

from __future__ import annotations

from ..checks import Any, Check, body, both, calls, either, not_ok, noted, says, size, status, uncalled
from . import Half, Pieces, Reset, chunked, get, post, table

STREAM = "PEP 3333 Input and Error Streams"
CODED = "RFC 9112 7.1"
LINES = b"one\ntwo\r\n\nlast"


UNREAD = (noted("read", times=0), not_ok, {"limit": 2.0})


def ops(*steps: tuple, data: bytes = b"hello world", split: bool = False) -> bytes:
    """Sends data and has the probe run steps on wsgi.input."""
    fields = ("X-Ops: " + ascii(list(steps)),)
    if split:
        return chunked(
            "/input",
            b"".join(b"%x\r\n%s\r\n" % (len(data[i : i + 3]), data[i : i + 3]) for i in range(0, len(data), 3))
            + b"0\r\n\r\n",
            *fields,
        )
    return post("/input", data, *fields)


def gives(*results: object) -> Check:
    """The results of the steps."""
    return both(*(says(f"results/{i}", r) for i, r in enumerate(results)))


ROWS = (
    ("read-all", ops(("read",)), gives("hello world")),
    ("read-minus-one", ops(("read", -1)), gives("hello world")),
    ("read-none", ops(("read", None)), gives(Any("hello world", "raised TypeError"))),
    ("read-exact", ops(("read", 11), ("read", 1)), gives("hello world", "")),
    ("read-more-than-there-is", ops(("read", 1000)), gives("hello world")),
    ("read-huge", ops(("read", 2**31)), gives("hello world")),
    ("read-part", ops(("read", 5), ("read", 1), ("read", 100)), gives("hello", " ", "world")),
    ("read-zero", ops(("read", 0), ("read",)), gives("", "hello world")),
    ("read-past-end", ops(("read",), ("read",), ("read", 5), ("readline",)), gives("hello world", "", "", "")),
    ("read-zero-past-end", ops(("read",), ("read", 0)), gives("hello world", "")),
    (
        "readline",
        ops(("readline",), ("readline",), ("readline",), ("readline",), ("readline",), data=LINES),
        gives("one\n", "two\r\n", "\n", "last", ""),
    ),
    ("readline-no-newline", ops(("readline",), data=b"abc"), gives("abc")),
    (
        "readline-limit",
        ops(("readline", 2), ("readline", 2), ("readline", 50), data=LINES),
        gives("on", "e\n", "two\r\n"),
    ),
    ("readline-limit-exact", ops(("readline", 4), ("readline", 4), data=LINES), gives("one\n", "two\r")),
    ("readline-zero", ops(("readline", 0), ("read",), data=LINES), gives("", LINES.decode())),
    ("readline-minus-one", ops(("readline", -1), data=LINES), gives("one\n")),
    (
        "readline-long",
        ops(("readline",), ("readline",), data=b"x" * 100_000 + b"\ny"),
        gives("x" * 100_000 + "\n", "y"),
    ),
    ("readline-after-read", ops(("read", 2), ("readline",), ("read", 3), data=LINES), gives("on", "e\n", "two")),
    ("readlines", ops(("readlines",), data=LINES), gives(["one\n", "two\r\n", "\n", "last"])),
    (
        "readlines-hint",
        ops(("readlines", 1), ("read",), data=LINES),
        either(gives(["one\n"], "two\r\n\nlast"), gives(["one\n", "two\r\n", "\n", "last"], "")),
    ),
    ("readlines-hint-zero", ops(("readlines", 0), data=LINES), gives(["one\n", "two\r\n", "\n", "last"])),
    ("readlines-past-end", ops(("read",), ("readlines",)), gives("hello world", [])),
    ("readlines-trailing-newline", ops(("readlines",), data=b"a\nb\n"), gives(["a\n", "b\n"])),
    ("iterate", ops(("iter",), data=LINES), gives(["one\n", "two\r\n", "\n", "last"])),
    ("iterate-one", ops(("next",), ("read",), data=LINES), gives("one\n", "two\r\n\nlast")),
    ("iterate-past-end", ops(("read",), ("iter",)), gives("hello world", [])),
    ("binary", ops(("read",), data=bytes(range(256))), gives(bytes(range(256)).decode("latin-1"))),
    ("cr-is-no-line-end", ops(("readline",), data=b"a\rb\nc"), gives("a\rb\n")),
    ("results-are-bytes", ops(("read", 1), ("readline", 1)), gives("h", "e")),
)
CASES = table(STREAM, *((f"input.{name}", *rest) for name, *rest in ROWS))
CASES += table(
    STREAM,
    ("input.empty-body", ops(("read",), ("readline",), ("readlines",), ("iter",), data=b""), gives("", "", [], [])),
    ("input.get-without-body", get("/input", "X-Ops: [('read',), ('readline',), ('iter',)]"), gives("", "", [])),
    ("input.get-read-n", get("/input", "X-Ops: [('read', 10)]"), gives("")),
    ("input.get-with-body", post("/echo", b"hello", method="GET"), body(b"hello")),
    (
        "input.does-not-eat-next-request",
        (ops(("read", 1000), data=b"abc") + get("/ok", "Connection: close"),),
        gives("abc"),
        calls("POST /input", "GET /ok"),
        {"methods": ("POST", "GET")},
    ),
    (
        "input.unread-is-skipped",
        (post("/ok", b"GET /bad HTTP/1.1\r\n\r\n") + get("/ok", "Connection: close"),),
        uncalled("/bad"),
        either(calls("POST /ok", "GET /ok"), calls("POST /ok")),
        {"methods": ("POST", "GET")},
    ),
    (
        "input.half-read-is-skipped",
        (ops(("read", 3), data=b"abcGET /bad HTTP/1.1\r\n\r\n") + get("/ok", "Connection: close"),),
        gives("abc"),
        uncalled("/bad"),
        either(calls("POST /input", "GET /ok"), calls("POST /input")),
        {"methods": ("POST", "GET")},
    ),
    ("input.body-in-pieces", (post("/echo", b"hello world")[:-6], 0.1, b" wo", 0.1, b"rld"), body(b"hello world")),
    ("input.body-byte-by-byte", (post("/echo", b"hello world")[:-11], Pieces(b"hello world")), body(b"hello world")),
    ("input.body-after-head", (post("/echo", b"hello")[:-5], 0.2, b"hello"), body(b"hello")),
    ("input.body-one-megabyte", post("/echo", b"x" * 1_000_000), size(1_000_000), {"limit": 10.0}),
    (
        "input.body-larger-than-buffers",
        post("/input", b"x" * 300_000, "X-Ops: [('read', 1), ('readline', 70000), ('read', 5)]"),
        gives("x", "x" * 70000, "xxxxx"),
    ),
    ("input.lines-over-buffers", ops(("readlines",), data=(b"y" * 99 + b"\n") * 900), gives(["y" * 99 + "\n"] * 900)),
    ("input.half-closed-after-body", (post("/echo", b"hello"), Half()), body(b"hello")),
    ("RFC 9112 6.3", "input.short-body-is-not-whole", (post("/echo", b"hello world")[:-6], Half()), *UNREAD),
    ("RFC 9112 6.3", "input.no-body-at-all", (post("/echo", b"hello")[:-5], Half()), *UNREAD),
    (
        "RFC 9112 6.3",
        "input.short-body-then-reset",
        (post("/echo", b"hello world")[:-6], 0.1, Reset(), 0.1),
        noted("read", times=0),
    ),
)
CASES += table(
    CODED,
    ("input.chunked-read-all", ops(("read",), split=True), gives("hello world")),
    ("input.chunked-read-part", ops(("read", 4), ("read", 100), split=True), gives("hell", "o world")),
    (
        "input.chunked-readline",
        ops(("readline",), ("readline",), ("read",), data=LINES, split=True),
        gives("one\n", "two\r\n", "\nlast"),
    ),
    ("input.chunked-readlines", ops(("readlines",), data=LINES, split=True), gives(["one\n", "two\r\n", "\n", "last"])),
    ("input.chunked-iterate", ops(("iter",), data=LINES, split=True), gives(["one\n", "two\r\n", "\n", "last"])),
    ("input.chunked-past-end", ops(("read",), ("read", 1), ("readline",), split=True), gives("hello world", "", "")),
    ("input.chunked-empty", ops(("read",), data=b"", split=True), gives("")),
    ("RFC 9112 7.1.3", "input.chunked-no-transfer-encoding", ops(("read",), split=True), says("te", "absent")),
    (
        "input.chunked-terminated-or-length",
        ops(("read",), split=True),
        either(says("terminated", True), says("length", "11")),
    ),
    ("SHOULD RFC 9112 7.1.3", "input.chunked-content-length", ops(("read",), split=True), says("length", "11")),
    (
        "input.chunked-unread-is-skipped",
        (chunked("/ok", b"10\r\nGET /bad HTTP/1.\r\n0\r\n\r\n") + get("/ok", "Connection: close"),),
        uncalled("/bad"),
        status(200),
        {"methods": ("POST", "GET")},
    ),
    (
        "input.chunked-then-next",
        (chunked("/echo", b"3\r\nabc\r\n0\r\n\r\n") + get("/ok", "Connection: close"),),
        body(b"abc"),
        calls("POST /echo", "GET /ok"),
        {"methods": ("POST", "GET")},
    ),
    (
        "input.chunked-large-chunks",
        chunked("/echo", (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 6 + b"0\r\n\r\n"),
        size(6 * 65536),
    ),
    ("input.chunked-many-chunks", chunked("/echo", b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"), size(5000)),
)
