"""Request bodies: Content-Length, the chunked coding, and every way to disagree about them."""

from __future__ import annotations

from ..checks import (
    Any,
    body,
    both,
    calls,
    closes,
    either,
    env,
    not_ok,
    noted,
    refused,
    responses,
    says,
    status,
    uncalled,
)
from . import Half, Pieces, chunked, get, table

LENGTH = "RFC 9112 6.3"
PG = {"methods": ("POST", "GET")}
NEXT = get("/ok", "Connection: close")
SMUGGLED = b"GET /smuggled?t=@T@ HTTP/1.1\r\nHost: h\r\n\r\n"


def sized(*values: str, data: bytes = b"hello", target: str = "/echo", minor: int = 1) -> bytes:
    """A request with these Content-Length fields, its body, and a request that nobody should serve."""
    return get(target, *[f"Content-Length:{v}" for v in values], method="POST", minor=minor) + data + SMUGGLED


BAD_LENGTHS = (
    ("plus", " +5"),
    ("minus", " -5"),
    ("letters", " 5a"),
    ("hex", " 0x5"),
    ("inner-space", " 5 5"),
    ("inner-tab", " 5\t5"),
    ("empty", ""),
    ("blank", "  "),
    ("list-different", " 5, 6"),
    ("list-empty-member", " 5,"),
    ("float", " 5.0"),
    ("exponent", " 5e0"),
    ("underscore", " 5_0"),
    ("quoted", ' "5"'),
    ("2^63", " 9223372036854775808"),
    ("2^64+5", " 18446744073709551621"),
    ("2^128", " 340282366920938463463374607431768211461"),
    ("semicolon", " 5;a=b"),
    ("superscript", " \xb2"),
    ("nul", " 5\0"),
    ("vertical-tab", " \x0b5"),
    ("minus-zero", " -0"),
    ("slash", " 5/"),
    ("all-letters", " five"),
    ("nbsp", " \xa05"),
)
CASES = table(
    LENGTH, *[(f"length-field.{name}-refused", sized(value), refused(400, 413), PG) for name, value in BAD_LENGTHS]
)
CASES += table(
    LENGTH,
    ("length-field.two-different-refused", sized(" 5", " 6"), refused(400), PG),
    ("length-field.two-different-zero-refused", sized(" 0", " 5"), refused(400), PG),
    ("length-field.two-same", sized(" 5", " 5"), either(refused(400), both(body(b"hello"), responses(2))), PG),
    ("length-field.list-same", sized(" 5, 5"), either(refused(400), both(body(b"hello"), responses(2))), PG),
    (
        "length-field.two-same-number-different-text",
        sized(" 5", " 05"),
        either(refused(400), both(body(b"hello"), responses(2))),
        PG,
    ),
    ("length-field.one-empty-refused", sized(" 5", ""), refused(400), PG),
    ("length-field.leading-zeros", sized(" 0005"), either(refused(400), both(body(b"hello"), responses(2))), PG),
    ("length-field.trailing-space", sized(" 5  "), body(b"hello"), responses(2), PG),
    ("length-field.tabs-around", sized("\t5\t"), body(b"hello"), responses(2), PG),
    ("length-field.no-space", sized("5"), body(b"hello"), responses(2), PG),
    ("length-field.name-lower-case", (get("/echo", "content-length: 5", method="POST") + b"hello",), body(b"hello")),
    ("length-field.obs-fold", sized(" \r\n 5"), either(refused(400), both(body(b"hello"), responses(2))), PG),
    (
        "length-field.on-1.0",
        (get("/echo", "Content-Length: 5", method="POST", minor=0) + b"hello",),
        body(b"hello"),
        closes,
    ),
    ("length-field.bad-on-1.0", sized(" x", minor=0), refused(400), PG),
    ("length-field.bad-on-get", (get("/env", "Content-Length: x") + SMUGGLED,), refused(400), PG),
    (
        "length-field.huge-not-allocated",
        (get("/echo", "Content-Length: 999999999999", method="POST") + b"x", Half()),
        noted("read", times=0),
        not_ok,
        {"limit": 2.0},
    ),
    (
        "length-field.absent-means-none",
        (get("/echo", method="POST") + SMUGGLED,),
        either(refused(411), both(body(b""), calls("POST /echo", "GET /smuggled"))),
        PG,
    ),
    (
        "length-field.underscore-is-another",
        (get("/echo", "Content_Length: 42", method="POST") + SMUGGLED,),
        either(refused(400, 411), both(body(b""), calls("POST /echo", "GET /smuggled"))),
        PG,
    ),
    (
        "length-field.on-get-consumed",
        (get("/echo", "Content-Length: 5") + b"hello" + NEXT,),
        body(b"hello"),
        body(b"ok", nth=1),
        PG,
    ),
    (
        "length-field.on-delete-consumed",
        (get("/ok", "Content-Length: 5", method="DELETE") + b"hello" + NEXT,),
        body(b"ok"),
        either(body(b"ok", nth=1), closes),
        {"methods": ("DELETE", "GET")},
    ),
    (
        "length-field.on-head-consumed",
        (get("/ok", f"Content-Length: {len(SMUGGLED)}", method="HEAD") + SMUGGLED,),
        uncalled("/smuggled"),
        {"methods": ("HEAD", "GET")},
    ),
    (
        "length-field.on-get-not-smuggled",
        (get("/ok", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,),
        uncalled("/smuggled"),
        status(200),
        PG,
    ),
    (
        "length-field.on-options-not-smuggled",
        (get("/ok", f"Content-Length: {len(SMUGGLED)}", method="OPTIONS") + SMUGGLED,),
        uncalled("/smuggled"),
        PG,
    ),
)

CODED = "RFC 9112 7.1"
GOOD = (
    ("one-chunk", b"5\r\nhello\r\n0\r\n\r\n"),
    ("two-chunks", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
    ("leading-zeros", b"0005\r\nhello\r\n0\r\n\r\n"),
    ("many-zeros-at-end", b"5\r\nhello\r\n0000\r\n\r\n"),
    ("extension", b"5;a\r\nhello\r\n0\r\n\r\n"),
    ("extension-value", b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n"),
    ("extension-quoted", b'5;a="b c"\r\nhello\r\n0\r\n\r\n'),
    ("extension-quoted-semicolon", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    ("extension-quoted-escape", b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n'),
    ("extension-at-end", b"5\r\nhello\r\n0;end=1\r\n\r\n"),
    ("trailer", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    ("trailers", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n"),
    ("one-byte-chunks", b"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
)
CASES += table(
    CODED,
    *[
        (f"chunked.{name}", (chunked("/echo", data) + NEXT,), body(b"hello"), body(b"ok", nth=1), PG)
        for name, data in GOOD
    ],
)
CASES += table(
    CODED,
    *[
        (f"chunked.{name}-byte-by-byte", (Pieces(chunked("/echo", data)),), body(b"hello"))
        for name, data in GOOD[:6:5] + GOOD[10:11]
    ],
)
CASES += table(
    CODED,
    *[
        (
            f"chunked.split-at-{at}",
            (
                chunked("/echo", b""),
                b"3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n"[:at],
                0.03,
                b"3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n"[at:],
            ),
            body(b"hello"),
        )
        for at in range(1, 21)
    ],
)
CASES += table(
    CODED,
    ("chunked.upper-hex", chunked("/echo", b"1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"), body(b"x" * 26)),
    ("chunked.lower-hex", chunked("/echo", b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"), body(b"x" * 26)),
    ("chunked.empty", (chunked("/echo", b"0\r\n\r\n") + NEXT,), body(b""), body(b"ok", nth=1), PG),
    (
        "chunked.empty-with-trailer",
        (chunked("/echo", b"0\r\nX-A: b\r\n\r\n") + NEXT,),
        body(b""),
        body(b"ok", nth=1),
        PG,
    ),
    ("chunked.binary", chunked("/echo", b"6\r\n\0\r\n\xff\r\n\r\n0\r\n\r\n"), body(b"\0\r\n\xff\r\n")),
    ("chunked.data-like-an-end", chunked("/echo", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), body(b"0\r\n\r\n")),
    (
        "chunked.name-and-coding-any-case",
        (get("/echo", "tRANSFER-eNCODING: CHUNKED", method="POST") + b"5\r\nhello\r\n0\r\n\r\n",),
        body(b"hello"),
    ),
    (
        "chunked.on-get",
        (get("/echo", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n" + NEXT,),
        either(both(body(b"hello"), body(b"ok", nth=1)), refused(400, 501)),
        PG,
    ),
    ("chunked.on-put", chunked("/echo", b"5\r\nhello\r\n0\r\n\r\n", method="PUT"), body(b"hello")),
    ("chunked.head-apart", (chunked("/echo", b""), 0.1, b"5\r\nhello\r\n0\r\n\r\n"), body(b"hello")),
    ("chunked.half-closed-after", (chunked("/echo", b"5\r\nhello\r\n0\r\n\r\n"), Half()), body(b"hello")),
    (
        "RFC 9110 6.5.1",
        "chunked.trailer-is-no-header",
        chunked("/input", b"5\r\nhello\r\n0\r\nX-Trailer: evil\r\n\r\n", "X-Ops: [('read',)]"),
        says("results/0", "hello"),
        says("trailer", "absent"),
    ),
    (
        "RFC 9110 6.5.1",
        "chunked.trailer-does-not-replace",
        chunked("/input", b"5\r\nhello\r\n0\r\nX-Trailer: evil\r\n\r\n", "X-Ops: [('read',)]", "X-Trailer: good"),
        says("trailer", Any("good")),
    ),
    (
        "RFC 9110 6.5.1",
        "chunked.trailer-content-length-ignored",
        (chunked("/echo", b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n") + NEXT,),
        either(both(body(b"hello"), body(b"ok", nth=1)), refused(400)),
        PG,
    ),
    (
        "RFC 9110 6.5.1",
        "chunked.trailer-host-ignored",
        chunked("/echo", b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n"),
        either(body(b"hello"), refused(400)),
    ),
    (
        "chunked.trailer-5-megabytes",
        (chunked("/echo", b"5\r\nhello\r\n0\r\nX-A: " + b"v" * 5_000_000 + b"\r\n\r\n"),),
        either(body(b"hello"), both(not_ok, closes)),
    ),
    (
        "chunked.extension-5-megabytes",
        (chunked("/echo", b"5;a=" + b"v" * 5_000_000 + b"\r\nhello\r\n0\r\n\r\n"),),
        either(body(b"hello"), both(not_ok, closes)),
    ),
    (
        "RFC 9112 6.1",
        "chunked.on-1.0",
        (get("/echo", "Transfer-Encoding: chunked", method="POST", minor=0) + b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED,),
        uncalled("/smuggled"),
        closes,
        PG,
    ),
)
#: A trailer field, and what the environ has under the key that a merged one would get.
TRAILERS = (
    ("host", "Host: evil", "HTTP_HOST", "h"),
    ("content-length", "Content-Length: 3", "CONTENT_LENGTH", Any("absent", "", "5")),
    ("transfer-encoding", "Transfer-Encoding: gzip", "HTTP_TRANSFER_ENCODING", Any("absent", "chunked")),
    ("content-type", "Content-Type: evil/type", "CONTENT_TYPE", Any("absent", "")),
    ("content-encoding", "Content-Encoding: gzip", "HTTP_CONTENT_ENCODING", "absent"),
    ("authorization", "Authorization: Basic ZTpl", "HTTP_AUTHORIZATION", "absent"),
    ("cookie", "Cookie: session=evil", "HTTP_COOKIE", "absent"),
    ("connection", "Connection: close", "HTTP_CONNECTION", "absent"),
    ("expect", "Expect: 100-continue", "HTTP_EXPECT", "absent"),
    ("upgrade", "Upgrade: h2c", "HTTP_UPGRADE", "absent"),
    ("te", "TE: trailers", "HTTP_TE", "absent"),
    ("trailer", "Trailer: X-A", "HTTP_TRAILER", "absent"),
    ("range", "Range: bytes=0-0", "HTTP_RANGE", "absent"),
    ("forwarded-proto", "X-Forwarded-Proto: https", "wsgi.url_scheme", "http"),
    ("forwarded-for", "X-Forwarded-For: 192.0.2.1", "REMOTE_ADDR", "127.0.0.1"),
    ("proxy", "Proxy: http://evil", "HTTP_PROXY", "absent"),
)
CASES += table(
    "RFC 9110 6.5.1",
    *[
        (
            f"chunked.trailer-{name}-not-merged",
            chunked("/env", b"5\r\nhello\r\n0\r\n" + line.encode() + b"\r\n\r\n"),
            either(env(key, value), refused(400)),
        )
        for name, line, key, value in TRAILERS
    ],
)
broken = either(refused(400, 413), both(closes, not_ok, noted("read", times=0), uncalled("/smuggled")))
BAD = (
    ("no-crlf-after-data", b"5\r\nhello0\r\n\r\n"),
    ("data-too-long", b"5\r\nhelloX\r\n0\r\n\r\n"),
    ("data-too-short", b"6\r\nhello\r\n0\r\n\r\n"),
    ("cr-only-after-data", b"5\r\nhello\r0\r\n\r\n"),
    ("wrong-bytes-after-data", b"5\r\nhelloXX0\r\n\r\n"),
    ("size-not-hex", b"g\r\nhello\r\n0\r\n\r\n"),
    ("size-empty", b"\r\nhello\r\n0\r\n\r\n"),
    ("size-negative", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("size-plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("size-0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("size-underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("size-leading-space", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("size-inner-space", b"0 5\r\nhello\r\n0\r\n\r\n"),
    ("size-17-digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("size-max", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("size-fffffffffffffffb", b"5\r\nhello\r\nfffffffffffffffb\r\n0\r\n\r\n"),
    ("size-decimal-point", b"5.0\r\nhello\r\n0\r\n\r\n"),
    ("size-comma", b"5,5\r\nhello\r\n0\r\n\r\n"),
    ("size-quote", b'"5"\r\nhello\r\n0\r\n\r\n'),
    ("size-nul", b"5\0\r\nhello\r\n0\r\n\r\n"),
    ("size-vertical-tab", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    ("size-only-extension", b";a=b\r\nhello\r\n0\r\n\r\n"),
    ("size-cr-cr-lf", b"5\r\r\nhello\r\n0\r\n\r\n"),
    ("second-size-bad", b"5\r\nhello\r\nxyz\r\n0\r\n\r\n"),
    ("extension-nul", b"5;a=\0\r\nhello\r\n0\r\n\r\n"),
    ("extension-bare-cr", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("extension-quoted-cr", b'5;a="\r"\r\nhello\r\n0\r\n\r\n'),
    ("size-latin-1", b"5\xa0\r\nhello\r\n0\r\n\r\n"),
    ("trailer-bad-name", b"5\r\nhello\r\n0\r\nX A: b\r\n\r\n"),
    ("trailer-no-colon", b"5\r\nhello\r\n0\r\nXYZ\r\n\r\n"),
    ("trailer-nul", b"5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n"),
    ("trailer-bare-cr", b"5\r\nhello\r\n0\r\nX-A: b\rc\r\n\r\n"),
    ("body-not-chunked", b"hello world, no chunks"),
    ("size-line-endless", b"5" * 100_000),
)
CASES += table(
    CODED, *[(f"chunked.{name}-refused", (chunked("/echo", data) + SMUGGLED, Half()), broken, PG) for name, data in BAD]
)
CUT = (
    ("no-last-chunk", b"5\r\nhello\r\n"),
    ("in-data", b"5\r\nhel"),
    ("in-size", b"5\r\nhello\r\n1"),
    ("before-final-crlf", b"5\r\nhello\r\n0\r\n"),
    ("after-zero", b"5\r\nhello\r\n0"),
    ("nothing", b""),
    ("in-trailer", b"5\r\nhello\r\n0\r\nX-A: b"),
    ("trailer-not-ended", b"5\r\nhello\r\n0\r\nX-A: b\r\n"),
    ("data-without-crlf", b"5\r\nhello"),
)
CASES += table(
    "RFC 9112 8",
    *[
        (f"chunked.cut-{name}", (chunked("/echo", data), Half()), noted("read", times=0), not_ok, {"limit": 2.0})
        for name, data in CUT
    ],
)
LENIENT = (
    ("size-trailing-space", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("size-trailing-tab", b"5\t\r\nhello\r\n0\r\n\r\n"),
    ("space-before-extension", b"5 ;a=b\r\nhello\r\n0\r\n\r\n"),
    ("space-in-extension", b"5; a = b\r\nhello\r\n0\r\n\r\n"),
    ("bare-lf-after-size", b"5\nhello\r\n0\r\n\r\n"),
    ("bare-lf-after-data", b"5\r\nhello\n0\r\n\r\n"),
    ("bare-lf-at-end", b"5\r\nhello\r\n0\n\n"),
    ("bare-lf-in-extension", b"5;a\nhello\r\n0\r\n\r\n"),
    ("size-16-digits", b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("size-40-digits", b"0" * 39 + b"5\r\nhello\r\n0\r\n\r\n"),
    ("extension-empty", b"5;\r\nhello\r\n0\r\n\r\n"),
    ("extension-unclosed-quote", b'5;a="b\r\nhello\r\n0\r\n\r\n'),
    ("trailer-obs-fold", b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
)
CASES += table(
    CODED,
    *[
        (
            f"chunked.{name}",
            (chunked("/echo", data) + NEXT, Half()),
            either(broken, both(body(b"hello"), body(b"ok", nth=1))),
            PG,
        )
        for name, data in LENIENT
    ],
)
LF = {"bare-lf-after-size", "bare-lf-after-data", "bare-lf-at-end", "bare-lf-in-extension"}
CASES += table(
    "RFC 9112 7.1",
    *[
        (f"chunked.{name}-strict", (chunked("/echo", data) + SMUGGLED, Half()), broken, PG)
        for name, data in LENIENT
        if name in LF
    ],
)
