"""Request smuggling: no request may be understood in two ways.

Where RFC 9112 leaves a choice (CL with TE may be processed as chunked), all choices are allowed
as long as the connection closes and the bytes of a body never become a request.
"""

from __future__ import annotations

from ..checks import body, both, calls, closes, either, noted, refused, single, status, uncalled
from . import Half, Pieces, get, head, table

FRAMING = "RFC 9112 6.1"
PG = {"methods": ("POST", "GET")}
EVIL = b"GET /smuggled?t=@T@ HTTP/1.1\r\nHost: h\r\n\r\n"
HIDDEN = b"0\r\n\r\n" + EVIL
BODY = b"5\r\nhello\r\n0\r\n\r\n"
safe = both(uncalled("/smuggled"), closes)


def both_fields(*fields: str | bytes, data: bytes, minor: int = 1) -> bytes:
    """A POST with these framing fields and raw bytes after the head."""
    return get("/echo", *fields, method="POST", minor=minor) + data


def te(value: str | bytes, name: str = "Transfer-Encoding") -> bytes:
    """Transfer-Encoding with that value."""
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    return name.encode("latin-1") + b":" + raw


CL_TE = both_fields(f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked", data=HIDDEN)
CASES = table(
    FRAMING,
    ("smuggle.cl-te", CL_TE, safe, PG),
    (
        "smuggle.te-cl",
        both_fields(
            "Transfer-Encoding: chunked",
            "Content-Length: 4",
            data=b"2d\r\n" + EVIL.replace(b"?t=@T@", b"?t=@T@") + b"\r\n0\r\n\r\n",
        ),
        safe,
        PG,
    ),
    (
        "smuggle.te-cl-order",
        both_fields("Transfer-Encoding: chunked", f"Content-Length: {len(HIDDEN)}", data=HIDDEN),
        safe,
        PG,
    ),
    (
        "smuggle.cl-te-closes-even-if-equal",
        both_fields("Content-Length: 15", "Transfer-Encoding: chunked", data=BODY + EVIL),
        safe,
        PG,
    ),
    ("smuggle.cl-te-zero", both_fields("Content-Length: 0", "Transfer-Encoding: chunked", data=BODY + EVIL), safe, PG),
    ("smuggle.cl-te-split", (CL_TE[: -len(HIDDEN)], 0.1, HIDDEN), safe, PG),
    ("smuggle.cl-te-byte-by-byte", (Pieces(CL_TE),), safe, PG),
    (
        "smuggle.cl-te-1.0",
        both_fields(f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked", data=HIDDEN, minor=0),
        safe,
        PG,
    ),
    (
        "smuggle.cl-te-keep-alive",
        both_fields(
            "Connection: keep-alive", f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked", data=HIDDEN
        ),
        safe,
        PG,
    ),
    (
        "smuggle.cl-te-on-get",
        (get("/ok", f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked") + HIDDEN,),
        safe,
        {"methods": ("GET", "GET")},
    ),
    (
        "smuggle.cl-te-underscore",
        both_fields("Content-Length: 15", "Transfer_Encoding: chunked", data=BODY),
        either(refused(400), both(status(200), body(BODY))),
    ),
    (
        "smuggle.cl-underscore-te",
        both_fields(f"Content_Length: {len(HIDDEN)}", "Transfer-Encoding: chunked", data=BODY),
        either(refused(400), body(b"hello")),
    ),
    (
        "smuggle.cl-connection-te",
        both_fields("Connection: Content-Length", "Content-Length: 5", data=b"hello" + EVIL.replace(b"GET", b"GET")),
        either(refused(400), both(body(b"hello"), calls("POST /echo", "GET /smuggled"))),
        PG,
    ),
    (
        "smuggle.connection-names-te",
        both_fields("Connection: Transfer-Encoding", "Transfer-Encoding: chunked", data=BODY),
        either(refused(400), body(b"hello")),
    ),
    (
        "smuggle.0-cl-duplicate",
        both_fields("Content-Length: 0", f"Content-Length: {len(EVIL)}", data=EVIL),
        refused(400),
        PG,
    ),
    (
        "smuggle.0-cl-get",
        (get("/ok", f"Content-Length: {len(EVIL)}") + EVIL,),
        uncalled("/smuggled"),
        {"methods": ("GET", "GET")},
    ),
    (
        "smuggle.0-cl-expect",
        (get("/ok", f"Content-Length: {len(EVIL)}", "Expect: 100-continue", method="POST") + EVIL,),
        uncalled("/smuggled"),
        PG,
    ),
    ("smuggle.0-cl-spaced-name", both_fields(f"Content-Length : {len(EVIL)}", data=EVIL), refused(400), PG),
    ("smuggle.0-cl-tab-name", both_fields(f"Content-Length\t: {len(EVIL)}", data=EVIL), refused(400), PG),
    (
        "smuggle.0-cl-folded-name",
        both_fields(f"X-A: b\r\n Content-Length: {len(EVIL)}", data=EVIL),
        either(refused(400), both(status(200), calls("POST /echo", "GET /smuggled"))),
        PG,
    ),
    (
        "smuggle.0-cl-folded-value",
        both_fields(f"Content-Length:\r\n {len(EVIL)}", data=EVIL),
        uncalled("/smuggled"),
        PG,
    ),
    (
        "smuggle.0-cl-leading-space",
        both_fields(f" Content-Length: {len(EVIL)}", data=EVIL),
        either(refused(400), uncalled("/smuggled"), calls("POST /echo", "GET /smuggled")),
        PG,
    ),
    ("smuggle.cl-bare-cr", both_fields(b"X-A: b\rContent-Length: 43", data=EVIL), refused(400), PG),
    ("smuggle.te-bare-cr", both_fields(b"X-A: b\rTransfer-Encoding: chunked", data=HIDDEN), refused(400), PG),
    (
        "smuggle.te-bare-lf",
        both_fields(b"X-A: b\nTransfer-Encoding: chunked", data=HIDDEN),
        either(refused(400), both(status(200), calls("POST /echo", "GET /smuggled"))),
        PG,
    ),
    (
        "smuggle.cl-te-bare-lf",
        both_fields(f"Content-Length: {len(HIDDEN)}", b"X-A: b\nTransfer-Encoding: chunked", data=HIDDEN),
        uncalled("/smuggled"),
        PG,
    ),
    (
        "smuggle.nul-before-te",
        both_fields(b"Content-Length: 48", b"X-A: b\0\r\nTransfer-Encoding: chunked", data=HIDDEN),
        refused(400),
        PG,
    ),
    (
        "smuggle.te-after-bare-lf-lf",
        (head("POST /echo HTTP/1.1", b"X-A: b\n\nTransfer-Encoding: chunked") + HIDDEN,),
        either(refused(400), both(closes, uncalled("/smuggled"))),
        PG,
    ),
)

#: Values of Transfer-Encoding that are not exactly chunked; with Content-Length covering the hidden request.
OBFUSCATED = (
    ("xchunked", " xchunked"),
    ("chunkedx", " chunkedx"),
    ("chunked-semicolon", " chunked;q=1"),
    ("chunked-param", " chunked; a=b"),
    ("identity", " identity"),
    ("chunked-identity", " chunked, identity"),
    ("identity-chunked", " identity, chunked"),
    ("double", " chunked, chunked"),
    ("chunked-gzip", " chunked, gzip"),
    ("gzip-chunked", " gzip, chunked"),
    ("gzip", " gzip"),
    ("cow-chunked", " cow, chunked"),
    ("cow", " cow"),
    ("quoted", ' "chunked"'),
    ("single-quoted", " 'chunked'"),
    ("vertical-tab", b" \x0bchunked"),
    ("form-feed", b" chunked\x0c"),
    ("trailing-nul", b" chunked\0"),
    ("trailing-cr", b" chunked\r"),
    ("inner-space", " chun ked"),
    ("empty", ""),
    ("only-comma", " ,"),
    ("nbsp", b" \xa0chunked"),
    ("utf-8", b" \xef\xbb\xbfchunked"),
    ("long-s", b" \xc5\xbfchunked"),
    ("dotted", " chunked."),
    ("minus", " -chunked"),
    ("kelvin", b" chun\xe2\x84\xaaed"),
    ("space-list", " chunked chunked"),
    ("semicolon-list", " chunked;chunked"),
    ("deflate-chunked", " deflate, chunked"),
    ("trailing-backspace", b" chunked\x08"),
)
CASES += table(
    FRAMING,
    *[
        (
            f"smuggle.te-{name}-with-cl",
            both_fields(f"Content-Length: {len(HIDDEN)}", te(v), data=HIDDEN),
            either(refused(400, 501)),
            PG,
        )
        for name, v in OBFUSCATED
    ],
)
CASES += table(
    FRAMING,
    *[
        (f"smuggle.te-{name}-alone", (both_fields(te(v), data=BODY + EVIL), Half()), refused(400, 501), PG)
        for name, v in OBFUSCATED[:18]
    ],
)
EQUAL = (
    ("tab", "\tchunked"),
    ("trailing-space", " chunked "),
    ("trailing-tab", " chunked\t"),
    ("upper", " CHUNKED"),
    ("mixed", " ChUnKeD"),
    ("no-space", "chunked"),
    ("empty-members", " , chunked"),
    ("trailing-comma", " chunked,"),
    ("folded", "\r\n chunked"),
    ("folded-tab", "\r\n\tchunked"),
)
CASES += table(
    "RFC 9112 6.1",
    *[
        (
            f"smuggle.te-{name}-is-chunked",
            (both_fields(te(v), data=BODY) + get("/ok", "Connection: close"), Half()),
            either(body(b"hello"), refused(400, 501)),
            noted("read", 20, times=0),
            PG,
        )
        for name, v in EQUAL
    ],
)
CASES += table(
    "RFC 9112 6.1",
    *[
        (f"smuggle.te-{name}-with-cl", both_fields(f"Content-Length: {len(HIDDEN)}", te(v), data=HIDDEN), safe, PG)
        for name, v in EQUAL
    ],
)
NAMES = (
    ("space-before-colon", "Transfer-Encoding "),
    ("tab-before-colon", "Transfer-Encoding\t"),
    ("vertical-tab-in-name", "Transfer-Encoding\x0b"),
    ("nul-in-name", "Transfer-Encoding\0"),
    ("latin-1-in-name", "Transfer-Enc\xf6ding"),
    ("space-in-name", "Transfer Encoding"),
    ("quoted-name", '"Transfer-Encoding"'),
    ("colon-first", ":Transfer-Encoding"),
    ("cr-in-name", "Transfer-Encoding\r"),
)
CASES += table(
    "RFC 9112 5.1",
    *[
        (
            f"smuggle.te-{name}",
            both_fields(f"Content-Length: {len(HIDDEN)}", te(" chunked", name=n), data=HIDDEN),
            refused(400),
            PG,
        )
        for name, n in NAMES
    ],
)
CASES += table(
    FRAMING,
    (
        "smuggle.te-twice-same",
        (both_fields(te(" chunked"), te(" chunked"), data=BODY + EVIL), Half()),
        refused(400, 501),
        PG,
    ),
    (
        "smuggle.te-twice-identity-last",
        (both_fields(te(" chunked"), te(" identity"), data=BODY + EVIL), Half()),
        refused(400, 501),
        PG,
    ),
    (
        "smuggle.te-twice-identity-first",
        (both_fields(te(" identity"), te(" chunked"), data=BODY + EVIL), Half()),
        refused(400, 501),
        PG,
    ),
    (
        "smuggle.te-twice-cow-last",
        (both_fields(te(" chunked"), te(" cow"), data=BODY + EVIL), Half()),
        refused(400, 501),
        PG,
    ),
    (
        "smuggle.te-twice-empty-last",
        (both_fields(te(" chunked"), te(""), data=BODY), Half()),
        either(refused(400, 501), body(b"hello")),
    ),
    (
        "smuggle.te-twice-apart",
        (both_fields(te(" chunked"), "X-A: b", te(" chunked"), data=BODY + EVIL), Half()),
        refused(400, 501),
        PG,
    ),
    (
        "smuggle.te-in-trailer",
        (
            both_fields(te(" chunked"), data=b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n")
            + get("/ok", "Connection: close"),
        ),
        either(both(body(b"hello"), body(b"ok", nth=1)), refused(400)),
        PG,
    ),
    (
        "smuggle.te-on-1.0-keep-alive",
        (both_fields("Connection: keep-alive", te(" chunked"), data=BODY + EVIL, minor=0), Half()),
        safe,
        PG,
    ),
    (
        "smuggle.cl-in-trailer",
        (
            both_fields(te(" chunked"), data=b"5\r\nhello\r\n0\r\nContent-Length: 100\r\n\r\n")
            + get("/ok", "Connection: close"),
        ),
        either(both(body(b"hello"), body(b"ok", nth=1)), refused(400)),
        PG,
    ),
    (
        "RFC 9112 7.1.1",
        "smuggle.extension-bare-lf",
        (both_fields(te(" chunked"), data=b"5;\nhello\r\n0\r\n\r\n" + EVIL), Half()),
        either(refused(400), both(closes, noted("read", times=0))),
    ),
    (
        "RFC 9112 7.1.1",
        "smuggle.extension-bare-cr",
        (both_fields(te(" chunked"), data=b"5;\rX\r\nhello\r\n0\r\n\r\n" + EVIL), Half()),
        refused(400),
        PG,
    ),
    (
        "RFC 9112 7.1.1",
        "smuggle.extension-crlf-in-quotes",
        (both_fields(te(" chunked"), data=b'5;a="\r\nhello\r\n0\r\n\r\n') + get("/ok", "Connection: close"), Half()),
        either(refused(400), both(body(b"hello"), body(b"ok", nth=1))),
        PG,
    ),
    (
        "RFC 9112 7.1",
        "smuggle.two-bytes-after-chunk",
        (both_fields(te(" chunked"), data=b"5\r\nhelloXX26\r\n0\r\n\r\n" + EVIL), Half()),
        refused(400),
        PG,
    ),
    (
        "RFC 9112 7.1",
        "smuggle.size-wraps",
        (both_fields(te(" chunked"), data=b"100000000\r\n" + EVIL), Half()),
        either(refused(400, 413), both(closes, uncalled("/smuggled"))),
        PG,
    ),
    (
        "RFC 9112 7.1",
        "smuggle.size-overflows-64-bits",
        (both_fields(te(" chunked"), data=b"10000000000000000\r\n\r\n" + EVIL), Half()),
        either(refused(400, 413), both(closes, uncalled("/smuggled"))),
        PG,
    ),
    (
        "RFC 9112 11.2",
        "smuggle.crlf-in-target",
        (b"GET /ok?a\r\nX-T: @T@\r\nHost: h\r\n\r\n" + EVIL, Half()),
        either(refused(400), both(closes, uncalled("/smuggled"))),
        PG,
    ),
    (
        "RFC 9112 11.2",
        "smuggle.post-without-length",
        (get("/ok", method="POST") + EVIL,),
        either(refused(411), both(status(200), calls("POST /ok", "GET /smuggled"))),
        PG,
    ),
    (
        "RFC 9112 11.2",
        "smuggle.refused-body-is-no-request",
        (get("/ok", "X A: b", f"Content-Length: {len(EVIL)}", method="POST") + EVIL,),
        refused(400),
        single,
        PG,
    ),
    (
        "RFC 9112 11.2",
        "smuggle.error-body-is-no-request",
        (
            get("/spec", "X-Spec: {'app': [('raise', 'ValueError')]}", f"Content-Length: {len(EVIL)}", method="POST")
            + EVIL,
        ),
        status(500),
        uncalled("/smuggled"),
        PG,
    ),
    (
        "RFC 9112 11.2",
        "smuggle.upgrade-keeps-framing",
        (get("/ok", "Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(EVIL)}", method="POST") + EVIL,),
        uncalled("/smuggled"),
        PG,
    ),
    (
        "RFC 9110 9.3.6",
        "smuggle.connect-body",
        (head("CONNECT h:80 HTTP/1.1", f"Content-Length: {len(EVIL)}") + EVIL,),
        uncalled("/smuggled"),
        PG,
    ),
    (
        "RFC 9110 9.3.8",
        "smuggle.trace-body",
        (head("TRACE /ok HTTP/1.1", f"Content-Length: {len(EVIL)}") + EVIL,),
        uncalled("/smuggled"),
        PG,
    ),
)
