"""The iterable an app returns: kinds, errors at each moment, close(), write(), streaming."""

from __future__ import annotations

from ..checks import (
    Check,
    body,
    both,
    brief,
    calls,
    clean,
    closes,
    cut,
    either,
    error500,
    field,
    framing,
    hides,
    lacks,
    noted,
    order,
    responses,
    size,
    starts,
    status,
    stays,
    whole,
)
from . import START, Await, Mark, Reset, get, post, restart, spec, start, table

RETURN = "PEP 3333 Specification Details"
STREAM = "PEP 3333 Buffering and Streaming"
WRITE = "PEP 3333 The write() Callable"
ERRORS = "PEP 3333 Error Handling"
AB = [("yield", b"a"), ("yield", b"b")]
LATE = [("yield", b"a"), ("sleep", 0.2), ("raise", "ValueError")]  # the client has the first chunk by then


def none_or_500(*checks: Check) -> Check:
    """Either it works or it is refused."""
    return either(both(status(200), *checks), error500)


KINDS = (
    "iter",
    "iterable",
    "gen",
    "list",
    "tuple",
    "listsub",
    "tuplesub",
    "bytessub",
    "map",
    "listiter",
    "getitem",
    "dict",
)
CASES = table(RETURN, *[(f"iterable.{kind}", spec(iter=AB, kind=kind), status(200), body(b"ab")) for kind in KINDS])
CASES += table(
    RETURN,
    *[
        (f"iterable.{kind}-one", spec(iter=AB[:1], kind=kind), status(200), body(b"a"))
        for kind in ("iter", "gen", "list", "tuple", "set", "sized")
    ],
)
CASES += table(
    RETURN,
    *[
        (f"iterable.{kind}-empty", spec(iter=[], kind=kind), status(200), body(b""))
        for kind in ("iter", "iterable", "gen", "list", "tuple", "listsub")
    ],
)
CASES += table(
    RETURN,
    *[
        (f"close.{kind}-once", spec(iter=AB, kind=kind), body(b"ab"), noted("close"))
        for kind in ("iter", "iterable", "listsub", "tuplesub")
    ],
)
CASES += table(
    RETURN, *[(f"iterable.{kind}-returned", spec(iter=AB, kind=kind), error500) for kind in ("none", "int", "object")]
)
CASES += table(
    RETURN,
    ("iterable.str-returned", spec(kind="str"), error500),
    ("iterable.bytes-returned", spec(iter=AB, kind="bytes"), either(both(status(200), body(b"ab")), error500)),
    ("iterable.empty-strings-only", spec(iter=[("yield", b"")] * 3), status(200), body(b"")),
    ("iterable.empty-strings-list", spec(iter=[("yield", b"")] * 3, kind="list"), status(200), body(b"")),
    (
        "RFC 9112 7.1",
        "iterable.empty-strings-between",
        spec(iter=[AB[0], ("yield", b""), ("yield", b""), AB[1]]),
        body(b"ab"),
    ),
    (
        "RFC 9112 7.1",
        "iterable.empty-string-does-not-end-it",
        spec(iter=[("yield", b""), AB[0], ("yield", b""), AB[1]], kind="gen"),
        body(b"ab"),
        whole,
    ),
    ("iterable.large-chunk", spec(iter=[("yield", ("big", 1_000_000))]), size(1_000_000)),
    ("iterable.many-chunks", spec(iter=[("yield", b"xy")] * 200), size(400)),
    ("iterable.binary", spec(iter=[("yield", bytes(range(256)))], kind="list"), body(bytes(range(256)))),
    (
        "iterable.chunk-like-an-end",
        spec(iter=[("yield", b"0\r\n\r\n"), ("yield", b"x")], kind="gen"),
        body(b"0\r\n\r\nx"),
    ),
    ("iterable.chunk-subclass", spec(iter=AB[:1], kind="bytessub"), status(200), body(b"a")),
    (
        "iterable.one-item-gets-length",
        spec(iter=[("yield", b"hello")], kind="list"),
        field("Content-Length", "5"),
        framing("length"),
    ),
    (
        "PEP 3333 Handling the Content-Length Header",
        "iterable.given-length-kept",
        spec(app=[start("200 OK", ("Content-Length", "2"))], iter=AB),
        field("Content-Length", "2"),
        body(b"ab"),
        framing("length"),
    ),
    ("iterable.mutable-list-not-changed", spec(iter=AB, kind="listsub"), body(b"ab"), noted("close")),
    ("iterable.iter-called-once", spec(iter=AB), noted("iter")),
)
CHUNKS = (("str", "SECRET"), ("none", None), ("int", 5), ("list", [83]), ("tuple", ()), ("float", 1.5))
CASES += table(
    RETURN, *[(f"chunk.{name}-refused", spec(iter=[("yield", v)]), error500, noted("close")) for name, v in CHUNKS]
)
CASES += table(
    RETURN,
    *[(f"chunk.{name}-in-list-refused", spec(iter=[("yield", v)], kind="list"), error500) for name, v in CHUNKS[:3]],
)
CASES += table(
    RETURN,
    (
        "chunk.empty-str-refused",
        spec(iter=[("yield", "")]),
        either(error500, both(status(200), body(b""))),
        noted("close"),
    ),
    ("chunk.bytearray", spec(iter=[("yield", ("bytearray", b"xy"))], kind="list"), none_or_500(body(b"xy"))),
    ("chunk.memoryview", spec(iter=[("yield", ("memoryview", b"xy"))], kind="list"), none_or_500(body(b"xy"))),
    ("chunk.str-in-mid-stream-cuts", spec(iter=[AB[0], ("yield", "SECRET")]), cut, hides(b"SECRET"), noted("close")),
    ("chunk.none-in-mid-stream-cuts", spec(iter=[AB[0], ("yield", None)]), cut, noted("close")),
    ("chunk.str-second-in-list-cuts", spec(iter=[AB[0], ("yield", "SECRET")], kind="list"), cut, hides(b"SECRET")),
    ("chunk.str-after-empty-refused", spec(iter=[("yield", b""), ("yield", "SECRET")]), error500),
)

RAISES = (
    "ValueError",
    "OSError",
    "SystemExit",
    "KeyboardInterrupt",
    "GeneratorExit",
    "StopIteration",
    "OwnBase",
    "Evil",
    "MemoryError",
    "RecursionError",
    "BrokenPipeError",
    "ConnectionResetError",
    "TimeoutError",
    "StopAsyncIteration",
    "AssertionError",
    "sys.exit",
    "recursion",
)
CASES += table(ERRORS, *[(f"raise.{name}-in-app", spec(app=[("raise", name)]), error500) for name in RAISES])
CASES += table(
    ERRORS,
    *[
        (f"raise.{name}-after-start", spec(app=[START, ("raise", name)]), error500, lacks("X-App"))
        for name in RAISES[:8]
    ],
)
CASES += table(
    ERRORS,
    *[
        (f"raise.{name}-in-first-next", spec(iter=[("raise", name)]), error500, noted("close"))
        for name in RAISES
        if name not in ("StopIteration",)
    ],
)
CASES += table(
    ERRORS,
    *[
        (f"raise.{name}-in-stream", spec(iter=[AB[0], ("raise", name)]), cut, hides(b"SECRET"), noted("close"))
        for name in RAISES
        if name not in ("StopIteration", "Evil")
    ],
)
CASES += table(
    ERRORS,
    *[
        (f"raise.{name}-in-close", spec(iter=AB, close=[("raise", name)]), status(200), body(b"ab"), noted("close"))
        for name in RAISES[:8]
    ],
)
CASES += table(
    ERRORS,
    ("raise.in-iter-method", spec(kind="noiter"), error500, noted("close")),
    ("raise.in-generator", spec(iter=[("raise", "ValueError")], kind="gen"), error500, noted("finally")),
    (
        "raise.in-generator-before-start",
        spec(app=[], iter=[("raise", "ValueError")], kind="gen"),
        error500,
        noted("finally"),
    ),
    (
        "raise.after-empty-chunk",
        spec(iter=[("yield", b""), ("raise", "ValueError")]),
        error500,
        lacks("X-App"),
        noted("close"),
    ),
    (
        "raise.in-first-next-drops-headers",
        spec(app=[start("200 OK", ("Set-Cookie", "SECRET=1"))], iter=[("raise", "ValueError")]),
        error500,
    ),
    (
        "raise.in-stream-with-length",
        spec(app=[start("200 OK", ("Content-Length", "10"))], iter=[AB[0], ("raise", "ValueError")]),
        cut,
        either(status(500), closes),
        noted("close"),
    ),
    ("raise.in-stream-1.0", spec(iter=[AB[0], ("raise", "ValueError")], minor=0), closes, noted("close")),
    (
        "raise.in-stream-no-second-answer",
        (spec(iter=[AB[0], ("raise", "ValueError")]) + get("/ok"),),
        cut,
        either(status(500), calls("GET /spec")),
        {"methods": ("GET", "GET")},
    ),
    (
        "raise.in-stream-closes",
        spec(iter=[("yield", b"x" * 100), ("raise", "ValueError")]),
        either(status(500), closes),
    ),
    ("raise.after-delivery-cuts", spec(iter=LATE), status(200), cut, closes, hides(b"SECRET"), noted("close")),
    (
        "raise.after-delivery-no-second-answer",
        (spec(iter=LATE) + get("/ok"),),
        status(200),
        closes,
        calls("GET /spec"),
        {"methods": ("GET", "GET")},
    ),
    ("raise.after-delivery-1.0", spec(iter=LATE, minor=0), status(200), closes, hides(b"SECRET"), noted("close")),
    (
        "raise.after-delivery-with-length",
        spec(app=[start("200 OK", ("Content-Length", "10"))], iter=LATE),
        status(200),
        cut,
        closes,
    ),
    (
        "raise.restart-after-delivery",
        spec(iter=[*LATE[:2], restart("500 SECRET"), ("yield", b"SECRET")]),
        status(200),
        cut,
        noted("restart-raised", "LookupError"),
        hides(b"SECRET"),
    ),
    ("raise.str-after-delivery", spec(iter=[*LATE[:2], ("yield", "SECRET")]), status(200), cut, hides(b"SECRET")),
    (
        "raise.in-stream-no-traceback",
        spec(iter=[AB[0], ("raise", "ValueError")]),
        hides(b"Traceback"),
        hides(b"SECRET"),
    ),
    (
        "raise.in-app-no-traceback",
        spec(app=[("raise", "ValueError")]),
        hides(b"Traceback"),
        hides(b"SECRET"),
        status(500),
    ),
    ("raise.head-request", spec(app=[("raise", "ValueError")], method="HEAD"), status(500), clean),
    ("raise.with-body-unread", post("/spec", b"x" * 50_000, "X-Spec: {'app': [('raise', 'ValueError')]}"), error500),
    ("raise.next-request-served", (spec(app=[("raise", "ValueError")]), Await(1)), error500),
    (
        "raise.handled-by-app",
        spec(iter=[("try", ("raise", "ValueError")), restart("503 Sorry"), ("yield", b"sorry")], kind="gen"),
        status(503),
        body(b"sorry"),
    ),
    (
        "raise.start-failure-handled",
        spec(app=[("try", start("200 OK", ("X-A", "a\r\nb"))), start("503 Sorry", ("X-B", "c"))], iter=AB),
        either(both(status(503), body(b"ab")), error500),
    ),
    (
        "raise.close-error-keeps-order",
        (spec(iter=AB, close=[("raise", "ValueError")]),),
        order("yield", "yield", "close"),
    ),
)
CASES += table(
    RETURN,
    ("close.after-last-chunk", spec(iter=AB), order("yield", "yield", "close")),
    ("close.head-request", spec(iter=AB, method="HEAD"), status(200), noted("close")),
    ("close.204", spec(app=[start("204 No Content")], iter=AB), status(204), noted("close")),
    ("close.304", spec(app=[start("304 Not Modified")], iter=AB), status(304), noted("close")),
    ("close.1.0", spec(iter=AB, minor=0), body(b"ab"), noted("close")),
    ("close.empty", spec(iter=[]), noted("close")),
    ("close.never-started", spec(app=[], iter=[]), noted("close")),
    (
        "close.body-over-length",
        spec(app=[start("200 OK", ("Content-Length", "1"))], iter=AB),
        body(b"a"),
        noted("close"),
    ),
    ("close.body-under-length", spec(app=[start("200 OK", ("Content-Length", "9"))], iter=AB), noted("close")),
    ("close.generator-finally", spec(iter=AB, kind="gen"), noted("finally")),
    ("close.generator-finally-head", spec(iter=AB, kind="gen", method="HEAD"), noted("finally")),
    ("close.sees-environ", spec(iter=AB, close=[("environ",)]), noted("environ", "/spec", True)),
    (
        "SHOULD PEP 567",
        "context.does-not-leak",
        (spec(app=[START, ("context",)], iter=AB, kind="list") * 12,),
        responses(12),
        noted("context", "fresh", times=12),
        {"methods": ("GET",) * 12},
    ),
    (
        "SHOULD PEP 567",
        "context.is-one-for-app-and-iterable",
        spec(app=[START, ("context",)], iter=[("context",), AB[0]], close=[("context",)]),
        noted("context", "fresh"),
        noted("context", "leaked", times=2),
    ),
    (
        "close.environ-outlives-the-answer",
        (spec(app=[START, ("later",)], iter=AB, kind="list"), Await(1), get("/ok")),
        body(b"ab"),
        noted("later", "/spec", True, True),
        {"methods": ("GET", "GET")},
    ),
    ("close.client-resets-in-stream", (get("/big?bytes=50000000"), Await(b"xxxx"), Reset()), noted("close")),
    ("close.client-closes-in-stream", (get("/big?bytes=50000000"), Await(b"xxxx"), Reset(), 0.2), noted("close")),
    (
        "close.client-leaves-while-app-sleeps",
        (
            spec(iter=[AB[0], ("sleep", 0.5), ("yield", ("big", 3_000_000)), ("yield", ("big", 3_000_000)), AB[1]]),
            Await(b"a"),
            Reset(),
        ),
        noted("close"),
    ),
    ("close.write-only", spec(app=[START, ("write", b"x")], iter=[]), body(b"x"), noted("close")),
    ("close.before-next-request", (spec(iter=AB) + get("/ok"),), order("close"), {"methods": ("GET", "GET")}),
)
CASES += table(
    WRITE,
    ("write.once", spec(app=[START, ("write", b"x")], iter=[]), status(200), body(b"x")),
    ("write.returns-none", spec(app=[START, ("write", b"x")], iter=[]), noted("wrote")),
    (
        "write.several",
        spec(app=[START, ("write", b"x"), ("write", b"y"), ("write", b"z")], iter=[], kind="list"),
        body(b"xyz"),
    ),
    ("write.before-iterable", spec(app=[START, ("write", b"x")], iter=AB), body(b"xab")),
    ("write.before-list", spec(app=[START, ("write", b"x")], iter=AB[:1], kind="list"), body(b"xa")),
    ("write.empty", spec(app=[START, ("write", b"")], iter=AB), body(b"ab")),
    ("write.in-iterable", spec(app=[START], iter=[("write", b"x"), AB[0]]), either(body(b"xa"), error500)),
    (
        "write.with-length",
        spec(app=[start("200 OK", ("Content-Length", "3")), ("write", b"xyz")], iter=[]),
        body(b"xyz"),
        framing("length"),
    ),
    (
        "write.over-length",
        spec(app=[start("200 OK", ("Content-Length", "2")), ("try", ("write", b"xySECRET"))], iter=[]),
        either(both(body(b"xy"), hides(b"SECRET")), error500),
    ),
    ("write.large", spec(app=[START, ("big", 1_000_000)], iter=[]), size(1_000_000)),
    ("write.str-fails", spec(app=[START, ("write", "SECRET")], iter=[]), noted("write-raised"), error500),
    ("write.none-fails", spec(app=[START, ("write", None)], iter=[]), noted("write-raised"), error500),
    ("write.int-fails", spec(app=[START, ("write", 3)], iter=[]), noted("write-raised"), error500),
    ("write.then-raise", spec(app=[START, ("write", b"x"), ("raise", "ValueError")]), cut, hides(b"SECRET")),
    ("write.then-none-returned", spec(app=[START, ("write", b"x")], kind="none"), cut),
    ("write.head", spec(app=[START, ("write", b"SECRET")], iter=[], method="HEAD"), status(200), hides(b"SECRET")),
    ("write.1.0", spec(app=[START, ("write", b"x")], iter=AB, minor=0), body(b"xab")),
    (
        "write.after-restart",
        spec(app=[START, restart("500 Oops", ("X-New", "1")), ("write", b"x")], iter=[]),
        status(500),
        field("X-New", "1"),
        lacks("X-App"),
        body(b"x"),
    ),
    (
        "write.sent-at-once",
        (spec(app=[START, ("write", b"first"), ("sleep", 0.5)], iter=[("yield", b"last")]), Await(b"first"), Mark("m")),
        starts(b"first"),
        Check(
            "first before last", lambda t: "" if b"first" in t.marks["m"] and b"last" not in t.marks["m"] else brief(t)
        ),
    ),
)


def streams(name: str, **program: object) -> tuple:
    """The first chunk must arrive while the app still sleeps."""
    return (
        f"stream.{name}",
        (spec(**program), Await(b"first"), Mark("m")),
        Check(
            "first arrives before last is made",
            lambda t: "" if b"first" in t.marks["m"] and b"last" not in t.marks["m"] else brief(t),
        ),
        Check("last arrives", lambda t: "" if b"last" in t.raw and t.first and t.first.complete else brief(t)),
    )


SLOW = [("yield", b"first"), ("sleep", 0.5), ("yield", b"last")]
CASES += table(
    STREAM,
    streams("chunk-by-chunk", iter=SLOW),
    streams("generator", iter=SLOW, kind="gen"),
    streams("with-length", app=[start("200 OK", ("Content-Length", "9"))], iter=SLOW),
    streams("1.0", iter=SLOW, minor=0),
    streams("after-empty", iter=[("yield", b""), *SLOW]),
    streams("iterable", iter=SLOW, kind="iterable"),
    ("stream.end-is-not-delayed", spec(iter=AB, close=[("sleep", 0.5)]), body(b"ab")),
    (
        "RFC 9112 6.3",
        "stream.1.1-is-framed",
        spec(iter=AB, kind="gen"),
        framing("chunked", "length", "close"),
        body(b"ab"),
    ),
    (
        "RFC 9112 7.1",
        "stream.1.1-kept-if-framed",
        (spec(iter=AB, kind="gen"),),
        body(b"ab"),
        either(both(framing("chunked", "length"), stays), closes),
    ),
    (
        "RFC 9112 6.1",
        "stream.1.0-not-chunked",
        spec(iter=AB, kind="gen", minor=0),
        framing("close", "length"),
        lacks("Transfer-Encoding"),
        body(b"ab"),
    ),
    ("RFC 9112 6.1", "stream.1.0-closes", spec(iter=AB, kind="gen", minor=0), closes),
    (
        "RFC 9112 6.1",
        "stream.1.0-keep-alive-not-chunked",
        spec(iter=AB, kind="gen", minor=0, fields=("Connection: keep-alive",)),
        lacks("Transfer-Encoding"),
        body(b"ab"),
        either(framing("length"), closes),
    ),
)
CASES += table(
    "PEP 3333 Handling the Content-Length Header",
    (
        "length.over-is-cut",
        spec(app=[start("200 OK", ("Content-Length", "3"))], iter=[("yield", b"abcSECRET")]),
        either(both(body(b"abc"), hides(b"SECRET")), error500),
    ),
    (
        "length.over-is-cut-list",
        spec(app=[start("200 OK", ("Content-Length", "3"))], iter=[("yield", b"abcSECRET")], kind="list"),
        either(both(body(b"abc"), hides(b"SECRET")), error500),
    ),
    (
        "length.over-in-second-chunk",
        spec(app=[start("200 OK", ("Content-Length", "3"))], iter=[("yield", b"abc"), ("yield", b"SECRET")]),
        body(b"abc"),
        hides(b"SECRET"),
    ),
    (
        "length.over-across-chunks",
        spec(app=[start("200 OK", ("Content-Length", "3"))], iter=[("yield", b"ab"), ("yield", b"cSECRET")]),
        body(b"abc"),
        hides(b"SECRET"),
    ),
    (
        "length.over-next-in-sync",
        (
            spec(
                app=[start("200 OK", ("Content-Length", "1"))],
                iter=[("yield", b"aHTTP/1.1 200 OK\r\n\r\n")],
                kind="list",
            )
            + get("/ok", "Connection: close"),
        ),
        body(b"a"),
        either(body(b"ok", nth=1), closes),
        clean,
        {"methods": ("GET", "GET")},
    ),
    (
        "length.zero-with-body",
        spec(app=[start("200 OK", ("Content-Length", "0"))], iter=[("yield", b"SECRET")], kind="list"),
        either(both(status(200), body(b""), hides(b"SECRET")), error500),
    ),
    ("length.under-closes", spec(app=[start("200 OK", ("Content-Length", "9"))], iter=AB, kind="gen"), cut, closes),
    (
        "length.under-closes-list",
        spec(app=[start("200 OK", ("Content-Length", "9"))], iter=AB, kind="list"),
        cut,
        closes,
    ),
    (
        "length.under-no-next",
        (spec(app=[start("200 OK", ("Content-Length", "99"))], iter=AB, kind="gen") + get("/ok"),),
        cut,
        closes,
        hides(b"HTTP/1.1 200 OK\r\n\r\nok"),
        Check("nothing after the short body", lambda t: brief(t) if t.raw.count(b"HTTP/1.1") > 1 else ""),
        {"methods": ("GET", "GET")},
    ),
    (
        "length.under-empty",
        spec(app=[start("200 OK", ("Content-Length", "9"))], iter=[], kind="list"),
        either(both(cut, closes), status(500)),
    ),
    (
        "length.under-keep-alive-1.0",
        spec(
            app=[start("200 OK", ("Content-Length", "9"))],
            iter=AB,
            kind="gen",
            minor=0,
            fields=("Connection: keep-alive",),
        ),
        closes,
    ),
    ("length.exact", spec(app=[start("200 OK", ("Content-Length", "2"))], iter=AB), body(b"ab"), whole),
)
