"""What a server owns in a response: HEAD, 204, 304, Date, framing, error answers."""

from __future__ import annotations

from ..checks import (
    body,
    both,
    calls,
    clazz,
    clean,
    closes,
    either,
    error500,
    field,
    field_like,
    framing,
    hides,
    interim,
    lacks,
    refused,
    responses,
    says,
    single,
    status,
    stays,
    version,
    whole,
)
from . import START, TEXT, get, head, post, spec, start, table

LIST = {"iter": [("yield", b"SECRET")], "kind": "list"}
GEN = {"iter": [("yield", b"SEC"), ("yield", b"RET")], "kind": "gen"}
TWO = {"methods": ("HEAD", "GET")}
DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATE = DAY + ", [0-3][0-9] " + MONTH + " 20[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT"
LENGTH = ("Content-Length", "6")
THEN = get("/ok", "Connection: close")


def bodiless(line: str, *headers: tuple, **more: object) -> bytes:
    """An app that gives a body although the status allows none."""
    return spec(app=[start(line, *headers)], **{**LIST, **more})


CASES = table(
    "RFC 9110 9.3.2",
    ("head.no-body-list", spec(method="HEAD", **LIST), status(200), hides(b"SECRET"), single),
    ("head.no-body-generator", spec(method="HEAD", **GEN), status(200), hides(b"SEC"), single),
    (
        "head.no-body-with-length",
        spec(app=[start("200 OK", LENGTH)], method="HEAD", **LIST),
        field("Content-Length", "6"),
        hides(b"SECRET"),
        single,
    ),
    (
        "head.length-of-app-kept",
        spec(app=[start("200 OK", ("Content-Length", "12345"))], iter=[], kind="list", method="HEAD"),
        field("Content-Length", "12345"),
        single,
    ),
    (
        "head.empty-list-claims-nothing",
        spec(iter=[], kind="list", method="HEAD"),
        status(200),
        either(lacks("Content-Length"), field("Content-Length", "0")),
    ),
    ("head.next-in-sync", (spec(method="HEAD", **LIST) + THEN,), status(200), body(b"ok", nth=1), TWO),
    (
        "head.next-in-sync-generator",
        (spec(method="HEAD", **GEN) + THEN,),
        status(200),
        either(body(b"ok", nth=1), closes),
        TWO,
    ),
    (
        "head.next-in-sync-length",
        (spec(app=[start("200 OK", LENGTH)], method="HEAD", **LIST) + THEN,),
        status(200),
        body(b"ok", nth=1),
        TWO,
    ),
    (
        "head.404",
        spec(app=[start("404 Not Found", LENGTH)], method="HEAD", **LIST),
        status(404),
        hides(b"SECRET"),
        single,
    ),
    ("head.stays", spec(app=[start("200 OK", LENGTH)], method="HEAD", **LIST), stays),
    ("head.1.0", spec(method="HEAD", minor=0, **LIST), status(200), hides(b"SECRET"), closes),
    ("head.method-seen-by-app", spec(method="HEAD", **LIST), calls("HEAD /spec")),
    (
        "head.lower-case-is-another-method",
        (head("head /env HTTP/1.1"),),
        either(says("environ/REQUEST_METHOD", "head"), status(400, 405, 501)),
        {"methods": ("head",)},
    ),
    (
        "RFC 9110 15.5.1",
        "head.bad-request-without-body",
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",),
        status(400),
        closes,
    ),
)
CASES += table(
    "RFC 9110 15.3.5",
    ("nobody.204", bodiless("204 No Content"), status(204), hides(b"SECRET"), single),
    ("nobody.204-generator", bodiless("204 No Content", **GEN), status(204), hides(b"SEC"), single),
    ("RFC 9112 6.1", "nobody.204-no-transfer-encoding", bodiless("204 No Content", **GEN), lacks("Transfer-Encoding")),
    ("RFC 9110 8.6", "nobody.204-no-content-length", bodiless("204 No Content"), lacks("Content-Length")),
    (
        "RFC 9110 8.6",
        "nobody.204-drops-content-length",
        bodiless("204 No Content", LENGTH),
        either(both(status(204), lacks("Content-Length")), status(500)),
    ),
    (
        "RFC 9110 8.6",
        "nobody.204-empty-no-content-length",
        bodiless("204 No Content", iter=[]),
        lacks("Content-Length"),
    ),
    (
        "nobody.204-next-in-sync",
        (bodiless("204 No Content") + THEN,),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    (
        "nobody.204-next-in-sync-generator",
        (bodiless("204 No Content", **GEN) + THEN,),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    ("nobody.204-1.0", bodiless("204 No Content", minor=0), status(204), hides(b"SECRET"), closes),
    ("nobody.204-head", bodiless("204 No Content", method="HEAD"), status(204), hides(b"SECRET"), single),
    (
        "nobody.204-write",
        spec(app=[start("204 No Content"), ("try", ("write", b"SECRET"))], iter=[]),
        status(204),
        hides(b"SECRET"),
    ),
    ("nobody.204-own-reason", bodiless("204 Nothing Here"), status(204), hides(b"SECRET")),
    (
        "RFC 9110 15.4.5",
        "nobody.304",
        bodiless("304 Not Modified", ("ETag", '"x"')),
        status(304),
        field("ETag", '"x"'),
        hides(b"SECRET"),
        single,
    ),
    (
        "RFC 9110 15.4.5",
        "nobody.304-generator",
        bodiless("304 Not Modified", **GEN),
        status(304),
        hides(b"SEC"),
        single,
    ),
    (
        "RFC 9110 15.4.5",
        "nobody.304-next-in-sync",
        (bodiless("304 Not Modified") + THEN,),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    (
        "RFC 9110 8.6",
        "nobody.304-content-length-allowed",
        bodiless("304 Not Modified", LENGTH),
        status(304),
        hides(b"SECRET"),
        single,
    ),
    (
        "RFC 9110 8.6",
        "nobody.304-no-false-length",
        bodiless("304 Not Modified", iter=[]),
        status(304),
        lacks("Content-Length"),
    ),
    (
        "RFC 9110 15.3.6",
        "nobody.205-is-empty-or-framed",
        bodiless("205 Reset Content", iter=[]),
        status(205),
        body(b""),
    ),
)
CASES += table(
    "RFC 9110 6.6.1",
    ("response.date-present", get("/ok"), field_like("Date", DATE)),
    ("response.date-on-404", spec(app=[start("404 Not Found")], **LIST), field_like("Date", DATE)),
    ("SHOULD RFC 9110 6.6.1", "response.date-on-500", spec(app=[("raise", "ValueError")]), field_like("Date", DATE)),
    ("SHOULD RFC 9110 6.6.1", "response.date-on-304", bodiless("304 Not Modified"), field_like("Date", DATE)),
    (
        "RFC 9110 10.2.4",
        "response.server-at-most-once",
        get("/ok"),
        either(lacks("Server"), field_like("Server", ".+")),
    ),
    ("SHOULD RFC 9110 6.2", "response.version-1.1", get("/ok"), version(1)),
    ("RFC 9110 2.5", "response.to-1.0-well-formed", get("/ok", minor=0), status(200), body(b"ok")),
    (
        "RFC 9112 6.3",
        "response.length-framed",
        get("/ok"),
        framing("length"),
        field("Content-Length", "2"),
        body(b"ok"),
    ),
    ("RFC 9112 6.1", "response.no-chunked-to-1.0", spec(minor=0, **GEN), lacks("Transfer-Encoding"), body(b"SECRET")),
    ("RFC 9112 6.1", "response.empty-iterable-framed", spec(iter=[], kind="gen"), status(200), body(b""), whole),
    (
        "RFC 9112 9.3",
        "response.empty-list-stays",
        (spec(iter=[], kind="list") + THEN,),
        body(b""),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    (
        "RFC 9112 7.1",
        "response.chunked-then-next",
        (spec(**GEN) + THEN,),
        body(b"SECRET"),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    (
        "RFC 9110 8.3",
        "response.content-type-of-app-only",
        spec(app=[START], **LIST),
        either(lacks("Content-Type"), field_like("Content-Type", ".+")),
    ),
    (
        "RFC 9110 8.3",
        "response.content-type-kept",
        spec(app=[start("200 OK", TEXT)], **LIST),
        field("Content-Type", "text/plain"),
    ),
    ("RFC 9112 6", "response.500-framed", spec(app=[("raise", "ValueError")]), error500),
    (
        "RFC 9110 15.6.1",
        "response.500-no-secrets",
        spec(app=[("raise", "ValueError")]),
        status(500),
        hides(b"ValueError"),
    ),
    (
        "RFC 9110 9.3.7",
        "response.options-star",
        (head("OPTIONS * HTTP/1.1"),),
        either(clazz(2), status(400, 404, 405, 501)),
        single,
    ),
    ("SHOULD RFC 9112 3.2.4", "response.star-with-get", (head("GET * HTTP/1.1"),), refused(400)),
    (
        "RFC 9110 9.3.6",
        "response.connect-is-no-tunnel",
        (head("CONNECT h:443 HTTP/1.1"),),
        either(status(400, 403, 404, 405, 501)),
        single,
    ),
    (
        "RFC 9110 9.3.8",
        "response.trace-hides-secrets",
        (get("/ok", "Cookie: SECRET", method="TRACE"),),
        hides(b"SECRET"),
        single,
    ),
    (
        "RFC 9110 9.1",
        "response.unknown-method-answered",
        get("/ok", method="BREW"),
        either(body(b"ok"), status(405, 501)),
        single,
    ),
    ("RFC 9110 15.2", "response.no-interim-unasked", post("/echo", b"hello"), interim(), body(b"hello")),
    ("RFC 9110 14.2", "response.range-is-for-the-app", get("/ok", "Range: bytes=0-0"), status(200), body(b"ok")),
    ("RFC 9110 13.1", "response.conditional-is-for-the-app", get("/ok", "If-None-Match: *"), status(200), body(b"ok")),
    (
        "RFC 9110 7.8",
        "response.upgrade-ignored",
        get("/ok", "Connection: Upgrade", "Upgrade: foo/2"),
        status(200),
        body(b"ok"),
    ),
    (
        "RFC 9110 7.8",
        "response.h2c-ignored",
        get("/ok", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        status(200, 101),
        clean,
    ),
    (
        "RFC 9110 10.1.4",
        "response.te-trailers-harmless",
        get("/ok", "TE: trailers", "Connection: TE"),
        status(200),
        body(b"ok"),
    ),
    (
        "RFC 9112 6.1",
        "response.accept-encoding-not-coded",
        get("/ok", "Accept-Encoding: gzip"),
        lacks("Content-Encoding"),
        body(b"ok"),
    ),
    ("RFC 9112 9.3", "response.only-one", get("/ok"), responses(1)),
)
