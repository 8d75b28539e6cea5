"""start_response: when it may be called, with what, and what reaches the wire."""

from __future__ import annotations

from ..checks import (
    Check,
    body,
    both,
    clean,
    either,
    error500,
    field,
    field_case,
    framing,
    hides,
    lacks,
    noted,
    order,
    reason,
    responses,
    single,
    status,
    whole,
)
from . import START, TEXT, restart, spec, start, table

CALLABLE = "PEP 3333 The start_response() Callable"
ERRORS = "PEP 3333 Error Handling"
X = [("yield", b"x")]
SECRET = [("yield", b"SECRET")]


def sends(*headers: object, line: object = "200 OK", raw: object = None, **more: object) -> bytes:
    """A request whose app gives these headers and the body SECRET."""
    return spec(app=[start(line, *headers, raw=raw)], iter=SECRET, kind="list", **more)


def fine(*checks: Check) -> Check:
    """A 200 with those properties, or a clean refusal."""
    return either(both(status(200), whole, clean, *checks), error500)


CASES = table(
    CALLABLE,
    ("start.returns-callable", spec(iter=X), noted("writer", True), body(b"x")),
    ("start.status-and-reason", spec(app=[start("299 My Own Words")], iter=X), status(299), reason("My Own Words")),
    ("start.status-404", spec(app=[start("404 Not Found")], iter=X), status(404), body(b"x")),
    ("start.status-599", spec(app=[start("599 Odd")], iter=X), status(599), body(b"x")),
    (
        "start.reason-with-punctuation",
        spec(app=[start("200 It's (OK), [yes]: 100%")], iter=X),
        reason("It's (OK), [yes]: 100%"),
    ),
    ("start.reason-latin-1", spec(app=[start("200 caf\xe9")], iter=X), either(reason("caf\xe9"), error500)),
    (
        "start.header-kept",
        spec(app=[start("200 OK", ("X-Thing", 'a b;c="d, e"'))], iter=X),
        field("X-Thing", 'a b;c="d, e"'),
    ),
    ("start.header-case-kept", spec(app=[start("200 OK", ("x-MiXed-CASE", "v"))], iter=X), field("x-mixed-case", "v")),
    (
        "SHOULD PEP 3333 The start_response() Callable",
        "start.header-case-as-written",
        spec(app=[start("200 OK", ("X-MiXed-CASE", "v"))], iter=X),
        field_case("X-MiXed-CASE"),
    ),
    ("start.header-latin-1", spec(app=[start("200 OK", ("X-L", "caf\xe9"))], iter=X), field("X-L", "caf\xe9")),
    ("start.header-empty-value", spec(app=[start("200 OK", ("X-Empty", ""))], iter=X), field("X-Empty", "")),
    (
        "start.header-tab-in-value",
        spec(app=[start("200 OK", ("X-Tab", "a\tb"))], iter=X),
        either(field("X-Tab", "a\tb"), error500),
    ),
    (
        "start.header-token-name",
        spec(app=[start("200 OK", ("X!#$%&'*+-.^_`|~9", "v"))], iter=X),
        field("X!#$%&'*+-.^_`|~9", "v"),
    ),
    (
        "start.header-large",
        spec(app=[start("200 OK", *[(f"X-{i}", "v" * 1000) for i in range(5)])], iter=X),
        field("X-4", "v" * 1000),
    ),
    (
        "start.header-many",
        spec(app=[start("200 OK", *[(f"X-{i}", str(i)) for i in range(150)])], iter=X),
        field("X-149", "149"),
    ),
    (
        "RFC 6265 3",
        "start.set-cookie-apart",
        spec(
            app=[start("200 OK", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"), ("Set-Cookie", "c=3"))], iter=X
        ),
        field("Set-Cookie", "a=1", "b=2; Path=/", "c=3"),
    ),
    (
        "RFC 9110 5.3",
        "start.repeated-in-order",
        spec(app=[start("200 OK", ("Vary", "a"), ("X-O", "1"), ("Vary", "b"))], iter=X),
        either(field("Vary", "a", "b"), field("Vary", "a, b")),
    ),
    (
        "RFC 6265 3",
        "start.set-cookie-mixed-case",
        spec(app=[start("200 OK", ("set-cookie", "a=1"), ("SET-COOKIE", "b=2"))], iter=X),
        field("Set-Cookie", "a=1", "b=2"),
    ),
    ("start.no-headers", spec(app=[start()], iter=X), status(200), body(b"x")),
    (
        "RFC 9110 6.6.1",
        "start.own-date-once",
        spec(app=[start("200 OK", ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"))], iter=X),
        field("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
    ),
    (
        "RFC 9110 6.6.1",
        "start.own-date-lower-case",
        spec(app=[start("200 OK", ("date", "Tue, 15 Nov 1994 08:12:31 GMT"))], iter=X),
        field("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
    ),
    (
        "RFC 9110 10.2.4",
        "start.own-server-once",
        spec(app=[start("200 OK", ("Server", "mine"))], iter=X),
        field("Server", "mine"),
    ),
    ("start.twice-fails", spec(app=[START, start("201 SECRET")], iter=X), error500, noted("start-raised")),
    (
        "start.twice-caught-goes-on",
        spec(app=[START, ("try", start("201 SECRET"))], iter=X),
        noted("caught"),
        either(both(status(200), body(b"x")), error500),
    ),
    ("start.never-called", spec(app=[], iter=SECRET), error500, noted("close")),
    ("start.never-called-list", spec(app=[], iter=SECRET, kind="list"), error500),
    ("start.never-called-empty", spec(app=[], iter=[], kind="list"), error500),
    ("start.never-called-generator", spec(app=[], iter=SECRET, kind="gen"), error500),
    (
        "start.in-generator",
        spec(app=[], iter=[START, ("yield", b"x")], kind="gen"),
        status(200),
        field("X-App", "first"),
        body(b"x"),
    ),
    (
        "start.in-iterator",
        spec(app=[], iter=[start("404 Not Found"), ("yield", b"x")]),
        status(404),
        body(b"x"),
        noted("close"),
    ),
    (
        "start.in-iterable",
        spec(app=[], iter=[START, ("yield", b"x")], kind="iterable"),
        status(200),
        body(b"x"),
        noted("close"),
    ),
    (
        "start.after-empty-chunk",
        spec(app=[], iter=[("yield", b""), START, ("yield", b"x")], kind="gen"),
        either(both(status(200), field("X-App", "first"), body(b"x")), error500),
    ),
    ("start.in-generator-without-data", spec(app=[], iter=[START], kind="gen"), status(200), body(b"")),
    ("start.after-data-is-too-late", spec(app=[], iter=[("yield", b"SECRET"), START], kind="gen"), error500),
    ("start.headers-changed-later", spec(app=[START, ("change",)], iter=X), status(200), body(b"x")),
    (
        ERRORS,
        "start.exc-info-replaces-status",
        spec(app=[START, restart("500 Oops")], iter=X),
        status(500),
        reason("Oops"),
        body(b"x"),
    ),
    (
        ERRORS,
        "start.exc-info-replaces-headers",
        spec(app=[START, restart("500 Oops", ("X-New", "1"))], iter=X),
        lacks("X-App"),
        field("X-New", "1"),
    ),
    (
        ERRORS,
        "start.exc-info-first-call",
        spec(app=[restart("503 Busy", ("X-New", "1"))], iter=X),
        status(503),
        field("X-New", "1"),
        body(b"x"),
    ),
    (
        ERRORS,
        "start.exc-info-drops-length",
        spec(app=[start("200 OK", ("Content-Length", "999")), restart("500 Oops")], iter=X, kind="list"),
        status(500),
        body(b"x"),
    ),
    (
        ERRORS,
        "start.exc-info-twice",
        spec(app=[START, restart("501 A", ("X-A", "1")), restart("502 B", ("X-B", "2"))], iter=X),
        status(502),
        lacks("X-A"),
        field("X-B", "2"),
    ),
    (
        ERRORS,
        "start.exc-info-after-empty-chunk",
        spec(iter=[("yield", b""), restart("500 Oops", ("X-New", "1")), ("yield", b"x")], kind="gen"),
        status(500),
        field("X-New", "1"),
        body(b"x"),
    ),
    (
        ERRORS,
        "start.exc-info-in-generator",
        spec(iter=[restart("500 Oops"), ("yield", b"x")], kind="gen"),
        status(500),
        lacks("X-App"),
        body(b"x"),
    ),
    (
        ERRORS,
        "start.exc-info-late-raises-it",
        spec(iter=[("yield", b"x" * 10), restart("500 SECRET"), ("yield", b"SECRET")]),
        noted("restart-raised", "LookupError"),
        hides(b"SECRET"),
        noted("close"),
    ),
    (
        ERRORS,
        "start.exc-info-late-cuts",
        spec(iter=[("yield", b"x" * 10), restart("500 SECRET"), ("yield", b"SECRET")]),
        Check(
            "an unfinished response",
            lambda t: (
                "finished"
                if t.first and t.first.complete and t.first.framing != "close" and t.first.status < 500
                else ""
            ),
            need="close",
        ),
    ),
    (
        ERRORS,
        "start.exc-info-after-write",
        spec(app=[START, ("write", b"x"), restart("500 SECRET")]),
        noted("restart-raised", "LookupError"),
        hides(b"SECRET"),
    ),
    (
        ERRORS,
        "start.exc-info-bad-header",
        spec(app=[START, restart("500 Oops", ("X-Bad", "a\r\nSECRET: b"))], iter=X),
        error500,
    ),
    (
        "start.exc-info-none-is-absent",
        spec(app=[("none", "200 OK", [("X-A", "b")])], iter=X),
        status(200),
        field("X-A", "b"),
    ),
    ("start.exc-info-none-twice-fails", spec(app=[START, ("none", "201 SECRET", [])], iter=X), error500),
    (
        "PEP 3333 Buffering and Streaming",
        "start.head-waits-for-first-data",
        spec(app=[START, restart("500 Later")], iter=[("yield", b""), ("yield", b""), ("yield", b"x")]),
        status(500),
        body(b"x"),
    ),
    (
        "start.second-request-is-fresh",
        (spec(app=[start("404 Gone")], iter=X, kind="list") + spec(app=[start()], iter=X, kind="list"),),
        status(404),
        status(200, nth=1),
        {"methods": ("GET", "GET")},
    ),
    ("start.order-app-then-iter", spec(iter=X), order("writer", "iter", "yield", "close")),
)

BAD_STATUS = (
    ("bytes", b"200 OK"),
    ("int", 200),
    ("none", None),
    ("list", ["200 OK"]),
    ("empty", ""),
    ("blank", " "),
    ("no-space", "200OK"),
    ("two-digits", "20 OK"),
    ("four-digits", "2000 OK"),
    ("letters", "abc OK"),
    ("word", "OK"),
    ("negative", "-20 OK"),
    ("plus", "+20 OK"),
    ("hex", "0x2 OK"),
    ("zero", "000 OK"),
    ("leading-space", " 200 OK"),
    ("trailing-crlf", "200 OK\r\n"),
    ("inner-crlf", "200 OK\r\nX-Evil: SECRET"),
    ("inner-cr", "200 O\rSECRET"),
    ("inner-lf", "200 O\nSECRET"),
    ("nul", "200 O\0SECRET"),
    ("escape", "200 O\x1bSECRET"),
    ("del", "200 O\x7fSECRET"),
    ("not-latin-1", "200 \u20ac"),
    ("unicode-digits", "\u0662\u0660\u0660 OK"),
    ("superscript-digit", "20\xb2 OK"),
    ("float", "200.0 OK"),
    ("version-before", "HTTP/1.1 200 OK"),
)
CASES += table(CALLABLE, *[(f"status.{name}-refused", sends(line=value), error500) for name, value in BAD_STATUS])
CASES += table(
    CALLABLE,
    ("status.no-reason", sends(line="200"), fine()),
    ("status.empty-reason", sends(line="200 "), fine()),
    ("status.two-spaces", sends(line="200  OK"), fine()),
    ("status.tab", sends(line="200\tOK"), fine()),
    ("status.trailing-space", sends(line="200 OK "), fine()),
    ("RFC 9110 15.2", "status.100-is-no-answer", spec(app=[start("100 Continue")], iter=SECRET, kind="list"), error500),
    (
        "RFC 9110 15.2",
        "status.103-is-no-answer",
        spec(app=[start("103 Early Hints")], iter=SECRET, kind="list"),
        error500,
    ),
    (
        "RFC 9110 7.8",
        "status.101-is-no-answer",
        spec(app=[start("101 Switching Protocols")], iter=SECRET, kind="list"),
        error500,
    ),
    (
        "RFC 9110 15",
        "status.600-is-out-of-range",
        spec(app=[start("600 Odd")], iter=[], kind="list"),
        either(status(500), both(clean, hides(b"HTTP/1.1 600"))),
    ),
)

BAD_HEADERS = (
    ("dict", {"X-A": "b"}),
    ("str", "X-A: b"),
    ("int", 3),
    ("not-pairs", ["X-A: b"]),
    ("single", [("X-A",)]),
    ("triple", [("X-A", "b", "SECRET")]),
    ("bytes-name", [(b"X-A", "SECRET")]),
    ("bytes-value", [("X-A", b"SECRET")]),
    ("int-value", [("X-A", 5)]),
    ("none-value", [("X-A", None)]),
    ("int-name", [(5, "SECRET")]),
    ("cr-in-value", [("X-A", "b\rSECRET: 1")]),
    ("lf-in-value", [("X-A", "b\nSECRET: 1")]),
    ("crlf-in-value", [("X-A", "b\r\nSECRET: 1")]),
    ("crlf-crlf-in-value", [("X-A", "b\r\n\r\nSECRET")]),
    ("fold-in-value", [("X-A", "b\r\n SECRET")]),
    ("nul-in-value", [("X-A", "b\0SECRET")]),
    ("trailing-lf", [("X-A", "SECRET\n")]),
    ("trailing-crlf", [("X-A", "SECRET\r\n")]),
    ("leading-lf", [("X-A", "\nSECRET")]),
    ("escape-in-value", [("X-A", "b\x1bSECRET")]),
    ("backspace-in-value", [("X-A", "b\x08SECRET")]),
    ("del-in-value", [("X-A", "b\x7fSECRET")]),
    ("not-latin-1-value", [("X-A", "\u20acSECRET")]),
    ("not-latin-1-name", [("X-\u20ac", "SECRET")]),
    ("surrogate-value", [("X-A", "\ud800SECRET")]),
    ("empty-name", [("", "SECRET")]),
    ("space-in-name", [("X A", "SECRET")]),
    ("space-after-name", [("X-A ", "SECRET")]),
    ("space-before-name", [(" X-A", "SECRET")]),
    ("tab-in-name", [("X\tA", "SECRET")]),
    ("colon-in-name", [("X:A", "SECRET")]),
    ("colon-after-name", [("X-A:", "SECRET")]),
    ("lf-in-name", [("X\nSECRET", "b")]),
    ("crlf-in-name", [("X\r\nSECRET", "b")]),
    ("cr-in-name", [("X\rSECRET", "b")]),
    ("nul-in-name", [("X\0A", "SECRET")]),
    ("latin-1-name", [("X-\xe9", "SECRET")]),
    ("paren-in-name", [("X(A)", "SECRET")]),
    ("slash-in-name", [("X/A", "SECRET")]),
    ("second-is-bad", [("X-A", "SECRET"), ("X-B", "a\r\nb")]),
)
CASES += table(CALLABLE, *[(f"header.{name}-refused", sends(raw=value), error500) for name, value in BAD_HEADERS])
HOPS = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
    "connection",
    "TRANSFER-ENCODING",
)
VALUES = {"connection": "close", "transfer-encoding": "chunked", "upgrade": "SECRET"}
CASES += table(
    "PEP 3333 Other HTTP Features",
    *[(f"header.hop-by-hop-{name}", sends((name, VALUES.get(name.lower(), "SECRET"))), error500) for name in HOPS],
)
LENGTHS = (
    ("negative", "-1"),
    ("plus", "+6"),
    ("letters", "six"),
    ("hex", "0x6"),
    ("empty", ""),
    ("list", "6, 6"),
    ("spaces-inside", "6 6"),
    ("float", "6.0"),
    ("unicode-digit", "\xb2"),
    ("huge", "99999999999999999999999"),
)
CASES += table(
    "RFC 9112 6.3",
    *[
        (f"header.content-length-{name}", sends(("Content-Length", value)), fine(body(b"SECRET")))
        for name, value in LENGTHS
    ],
)
CASES += table(
    "RFC 9112 6.3",
    (
        "header.content-length-twice-same",
        sends(("Content-Length", "6"), ("Content-Length", "6")),
        fine(body(b"SECRET")),
    ),
    (
        "header.content-length-twice-different",
        sends(("Content-Length", "6"), ("Content-Length", "7")),
        fine(body(b"SECRET")),
    ),
    (
        "header.content-length-lower-case",
        sends(("content-length", "6")),
        status(200),
        body(b"SECRET"),
        framing("length"),
    ),
    (
        CALLABLE,
        "header.none-as-list",
        spec(app=[("start", "200 OK", None)], iter=X),
        either(both(status(200), body(b"x")), error500),
    ),
    (CALLABLE, "header.tuple-of-pairs", sends(raw=(("X-A", "b"),)), fine(field("X-A", "b"))),
    ("RFC 9110 6.6.2", "header.trailer-announced", sends(("Trailer", "X-Sum")), fine()),
    (CALLABLE, "header.pair-as-list", sends(raw=[["X-A", "b"]]), fine(field("X-A", "b"))),
    (CALLABLE, "header.spaces-around-value", sends(("X-A", " b ")), fine(field("X-A", "b"))),
    (CALLABLE, "header.content-type-not-added-twice", sends(TEXT), status(200), field("Content-Type", "text/plain")),
    (CALLABLE, "header.refusal-is-whole", (sends(("X-A", "a\r\nb")),), responses(1), single),
)
