"""The request line, Host, and fields: what must be refused, and what must not."""

from __future__ import annotations

from ..checks import Any, body, both, calls, closes, either, env, refused, refused_if_answered, single, status, whole
from . import Await, Half, Pieces, get, head, post, table

LINE = "RFC 9112 3"
AFTER = b"GET /after?t=@T@ HTTP/1.1\r\nHost: h\r\n\r\n"
G = {"methods": ("GET", "GET")}


def line(text: bytes) -> bytes:
    """A request with that request line, and another request after it."""
    return text + b"\r\nHost: h\r\nX-T: @T@\r\n\r\n" + AFTER


def field(text: bytes) -> bytes:
    """A request with that field among good ones, and another request after it."""
    return b"GET /env HTTP/1.1\r\nHost: h\r\nX-T: @T@\r\n" + text + b"\r\nX-Z: z\r\n\r\n" + AFTER


def hosts(*values: bytes, target: bytes = b"/env", minor: int = 1) -> bytes:
    """A request with exactly these Host fields."""
    return (
        b"GET "
        + target
        + b" HTTP/1.%d\r\n" % minor
        + b"".join(b"Host:" + v + b"\r\n" for v in values)
        + b"X-T: @T@\r\n\r\n"
    )


BAD_LINES = (
    ("no-version", b"GET /env"),
    ("no-target", b"GET HTTP/1.1"),
    ("only-method", b"GET"),
    ("two-spaces-then-version", b"GET  HTTP/1.1"),
    ("version-0.9", b"GET /env HTTP/0.9"),
    ("version-lower-case", b"GET /env http/1.1"),
    ("version-mixed-case", b"GET /env Http/1.1"),
    ("version-other-protocol", b"GET /env HTTPS/1.1"),
    ("version-no-minor", b"GET /env HTTP/1"),
    ("version-two-digits", b"GET /env HTTP/1.10"),
    ("version-leading-zero", b"GET /env HTTP/01.1"),
    ("version-letters", b"GET /env HTTP/x.y"),
    ("version-plus", b"GET /env HTTP/+1.1"),
    ("version-comma", b"GET /env HTTP/1,1"),
    ("version-space-inside", b"GET /env HTTP/ 1.1"),
    ("version-no-slash", b"GET /env HTTP1.1"),
    ("version-trailing-junk", b"GET /env HTTP/1.1 x"),
    ("version-garbage", b"GET /env FOO"),
    ("version-12", b"GET /env HTTP/12"),
    ("space-in-target", b"GET /env a HTTP/1.1"),
    ("method-with-colon", b"GE:T /env HTTP/1.1"),
    ("method-with-at", b"GE@T /env HTTP/1.1"),
    ("method-with-paren", b"GE(T) /env HTTP/1.1"),
    ("method-with-slash", b"GET/env HTTP/1.1"),
    ("method-with-nul", b"G\0ET /env HTTP/1.1"),
    ("method-with-latin-1", b"G\xc9T /env HTTP/1.1"),
    ("method-with-comma", b"GET,POST /env HTTP/1.1"),
    ("method-quoted", b'"GET" /env HTTP/1.1'),
    ("method-empty", b" /env HTTP/1.1"),
    ("target-with-nul", b"GET /env\0 HTTP/1.1"),
    ("target-relative", b"GET env HTTP/1.1"),
    ("target-bare-cr", b"GET /env\rx HTTP/1.1"),
    ("bare-cr-before-version", b"GET /env\rHTTP/1.1"),
    ("trailing-cr", b"GET /env HTTP/1.1\r"),
    ("target-with-del", b"GET /env\x7f HTTP/1.1"),
    ("target-with-control", b"GET /en\x01v HTTP/1.1"),
    ("target-vertical-tab", b"GET /env\x0bx HTTP/1.1"),
    ("target-form-feed", b"GET\x0c/env\x0cHTTP/1.1"),
    ("response-as-request", b"HTTP/1.1 200 OK"),
    ("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("http2-preface", b"PRI * HTTP/2.0"),
    ("version-2.0", b"GET /env HTTP/2.0"),
    ("version-3.0", b"GET /env HTTP/3.0"),
)
CASES = table(
    LINE,
    *[
        (
            f"line.{name}-refused",
            (line(text), Half()) if name == "tls-hello" else line(text),
            refused_if_answered(400, 405, 414, 421, 426, 501, 505)
            if name in ("tls-hello", "http2-preface", "no-version", "only-method", "version-0.9")
            else refused(400, 501, 505),
            G,
        )
        for name, text in BAD_LINES
    ],
)
CASES += table(
    LINE,
    (
        "SHOULD RFC 9112 3",
        "line.tabs-refused",
        line(b"GET\t/env\tHTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    (
        "SHOULD RFC 9112 3",
        "line.extra-space-before-target",
        line(b"GET  /env HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    (
        "SHOULD RFC 9112 3",
        "line.extra-space-before-version",
        line(b"GET /env  HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    (
        "SHOULD RFC 9112 3",
        "line.trailing-space",
        line(b"GET /env HTTP/1.1 "),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    (
        "SHOULD RFC 9112 3",
        "line.leading-space",
        line(b" GET /env HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    ("RFC 9112 2.2", "line.leading-crlf-ignored", (b"\r\n" + get("/ok"),), status(200), body(b"ok")),
    (
        "RFC 9112 2.2",
        "line.crlf-between-requests",
        (get("/ok") + b"\r\n" + get("/ok", "Connection: close"),),
        body(b"ok"),
        body(b"ok", nth=1),
        G,
    ),
    (
        "RFC 9112 2.2",
        "line.crlf-after-post",
        (post("/echo", b"abc") + b"\r\n" + get("/ok", "Connection: close"),),
        body(b"abc"),
        body(b"ok", nth=1),
        {"methods": ("POST", "GET")},
    ),
    (
        "RFC 9112 2.2",
        "line.bare-lf-ends",
        (b"GET /env HTTP/1.1\nHost: h\nX-T: @T@\n\n",),
        either(status(200), both(status(400), closes)),
    ),
    (
        "RFC 9112 2.2",
        "line.whitespace-after-start-line",
        (b"GET /env HTTP/1.1\r\n Host: h\r\nHost: h\r\nX-T: @T@\r\n\r\n",),
        either(refused(400), env("HTTP_HOST", "h")),
    ),
    (
        "RFC 9112 2.2",
        "line.whitespace-before-headers-not-joined",
        (b"GET /env HTTP/1.1\r\n\tX-Evil: 1\r\nHost: h\r\nX-T: @T@\r\n\r\n",),
        either(refused(400), env("HTTP_X_EVIL", "absent")),
    ),
    ("RFC 9110 2.5", "line.version-1.2", line(b"GET /env HTTP/1.2"), either(status(200, 505), refused(400)), G),
    ("RFC 9110 2.5", "line.version-1.9", line(b"GET /env HTTP/1.9"), either(status(200, 505), refused(400)), G),
    ("RFC 9112 2.3", "line.version-1.0", (b"GET /env HTTP/1.0\r\nX-T: @T@\r\n\r\n",), status(200), closes),
    (
        "RFC 9112 3.2",
        "line.fragment",
        line(b"GET /env#frag HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env")),
        G,
    ),
    (
        "RFC 9112 3.2",
        "line.utf-8-in-target",
        line("GET /env/\u00e9 HTTP/1.1".encode()),
        either(refused(400), env("PATH_INFO", "/env/\xc3\xa9")),
        G,
    ),
    (
        "RFC 9112 3.2",
        "line.brackets-in-target",
        line(b"GET /env/[a]{b}|c^ HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env/[a]{b}|c^")),
        G,
    ),
    (
        "RFC 9112 3.2",
        "line.backslash-in-target",
        line(b"GET /env\\..\\x HTTP/1.1"),
        either(refused(400), env("PATH_INFO", "/env\\..\\x")),
        G,
    ),
    (
        "RFC 9110 9.1",
        "line.method-is-case-sensitive",
        line(b"get /env HTTP/1.1"),
        either(env("REQUEST_METHOD", "get"), refused(400, 405, 501)),
        {"methods": ("get", "GET")},
    ),
    (
        "RFC 9110 9.1",
        "line.method-token-characters",
        (get("/env", method="M-#$%&'*+.^`|~9!"),),
        either(env("REQUEST_METHOD", "M-#$%&'*+.^`|~9!"), status(400, 405, 501)),
    ),
    (
        "RFC 9110 9.1",
        "line.method-long",
        (get("/env", method="M" * 300),),
        either(env("REQUEST_METHOD", "M" * 300), status(400, 405, 414, 431, 501)),
    ),
    ("RFC 9110 4.1", "line.target-3000-bytes", get("/env/" + "p" * 2950), env("PATH_INFO", "/env/" + "p" * 2950)),
    ("RFC 9112 3", "line.target-100000-bytes", (get("/env/" + "p" * 100_000),), refused_if_answered(400, 414, 431)),
    (
        "RFC 9110 15.5.15",
        "line.target-5-megabytes",
        (get("/env/" + "p" * 5_000_000),),
        refused_if_answered(400, 413, 414, 431),
    ),
    (
        "RFC 9112 3.2.2",
        "line.absolute-bad-scheme",
        line(b"GET ftp://h/env HTTP/1.1"),
        either(refused(400, 421), status(200)),
        G,
    ),
    ("RFC 9110 4.2.1", "line.absolute-empty-authority", line(b"GET http:///env HTTP/1.1"), refused(400), G),
    (
        "RFC 9110 4.2.4",
        "line.absolute-userinfo",
        line(b"GET http://user:pw@h/env HTTP/1.1"),
        either(refused(400), env("HTTP_HOST", Any("h", "user:pw@h"))),
        G,
    ),
    ("RFC 9112 3.2.2", "line.absolute-bad-port", line(b"GET http://h:abc/env HTTP/1.1"), refused(400), G),
    ("RFC 9112 3.2.3", "line.authority-form-with-get", line(b"GET h:80 HTTP/1.1"), refused(400), G),
    ("line.in-one-byte-pieces", (Pieces(get("/env/x?y=1")),), env("PATH_INFO", "/env/x"), env("QUERY_STRING", "y=1")),
    ("line.in-seven-byte-pieces-slowly", (Pieces(get("/env/x"), 7, 0.01),), env("PATH_INFO", "/env/x")),
    ("line.split-in-crlf", (b"GET /ok HTTP/1.1\r", 0.1, b"\nHost: h\r", 0.1, b"\n\r", 0.1, b"\n"), body(b"ok")),
    ("line.empty-connection", (b"", 0.1, Half()), single),
    ("line.cut-head", (get("/env")[:-2], Half()), refused_if_answered(400, 408)),
    ("line.cut-request-line", (b"GET /env?t=@T@ HT", Half()), refused_if_answered(400, 408)),
    ("line.only-crlf-then-close", (b"\r\n\r\n", 0.1, Half()), either(both(status(400), closes), closes)),
)

HOST = "RFC 9112 3.2"
BAD_HOSTS = (
    ("space-inside", b" a b"),
    ("comma", b" a, b"),
    ("slash", b" a/b"),
    ("question", b" a?b"),
    ("hash", b" a#b"),
    ("at", b" u@h"),
    ("backslash", b" a\\b"),
    ("nul", b" a\0b"),
    ("latin-1", b" \xe9"),
    ("letter-port", b" h:abc"),
    ("negative-port", b" h:-1"),
    ("two-ports", b" h:1:2"),
    ("url", b" http://h"),
    ("open-bracket", b" [::1"),
    ("bad-ipv6", b" [zz]"),
    ("quote", b' "h"'),
    ("angle", b" <h>"),
    ("tab-inside", b" a\tb"),
)
GOOD_HOSTS = (
    ("port", b"h:8080"),
    ("empty-port", b"h:"),
    ("ipv4", b"127.0.0.1:80"),
    ("ipv6", b"[::1]:80"),
    ("ipv6-no-port", b"[2001:db8::1]"),
    ("dash", b"a-b.c"),
    ("percent", b"a%41"),
    ("trailing-dot", b"h."),
    ("underscore", b"a_b.c"),
    ("upper", b"EXAMPLE.org"),
    ("long", b"a." * 100 + b"b"),
)
CASES += table(HOST, *[(f"host.{name}-refused", hosts(value) + AFTER, refused(400), G) for name, value in BAD_HOSTS])
CASES += table(
    HOST, *[(f"host.{name}", hosts(b" " + value), env("HTTP_HOST", value.decode())) for name, value in GOOD_HOSTS]
)
CASES += table(
    HOST,
    ("host.none-refused", hosts() + AFTER, refused(400), G),
    ("host.two-refused", hosts(b" h", b" g") + AFTER, refused(400), G),
    ("host.two-same-refused", hosts(b" h", b" h") + AFTER, refused(400), G),
    ("host.two-apart-refused", (b"GET /env HTTP/1.1\r\nHost: h\r\nX-T: @T@\r\nhost: g\r\n\r\n",), refused(400)),
    ("host.second-empty-refused", hosts(b" h", b"") + AFTER, refused(400), G),
    ("host.empty", hosts(b""), either(env("HTTP_HOST", ""), refused(400))),
    ("host.none-1.0", hosts(minor=0), status(200), env("HTTP_HOST", "absent")),
    ("host.two-1.0-refused", hosts(b" h", b" g", minor=0), refused(400)),
    ("host.given-1.0", hosts(b" h", minor=0), env("HTTP_HOST", "h")),
    ("host.bad-1.0-refused", hosts(b" a b", minor=0), refused(400)),
    ("host.none-with-absolute-form-refused", hosts(target=b"http://h/env") + AFTER, refused(400), G),
    ("host.two-with-absolute-form-refused", hosts(b" h", b" g", target=b"http://h/env"), refused(400)),
    ("host.name-lower-case", (b"GET /env HTTP/1.1\r\nhOsT: h\r\nX-T: @T@\r\n\r\n",), env("HTTP_HOST", "h")),
    ("host.trimmed", hosts(b" \t h \t "), env("HTTP_HOST", "h")),
    ("host.last-field", (b"GET /env HTTP/1.1\r\nX-T: @T@\r\nX-A: b\r\nHost: h\r\n\r\n",), env("HTTP_HOST", "h")),
)

FIELDS = "RFC 9112 5"
BAD_FIELDS = (
    ("RFC 9112 5.1", "space-before-colon", b"X-A : b"),
    ("RFC 9112 5.1", "tab-before-colon", b"X-A\t: b"),
    ("RFC 9112 5", "space-in-name", b"X A: b"),
    ("RFC 9112 5", "no-colon", b"X-A"),
    ("RFC 9112 5", "empty-name", b": b"),
    ("RFC 9112 5", "blank-name", b" : b"),
    ("RFC 9112 5", "nul-in-name", b"X\0A: b"),
    ("RFC 9112 5", "control-in-name", b"X\x01A: b"),
    ("RFC 9112 5", "utf-8-in-name", b"X-\xc3\xa9: b"),
    ("RFC 9112 5", "paren-in-name", b"X(A): b"),
    ("RFC 9112 5", "slash-in-name", b"X/A: b"),
    ("RFC 9112 5", "at-in-name", b"X@A: b"),
    ("RFC 9112 5", "quote-in-name", b'"X": b'),
    ("RFC 9112 5", "bracket-in-name", b"X[]: b"),
    ("RFC 9112 5", "equals-in-name", b"X=A: b"),
    ("RFC 9112 5", "comma-in-name", b"X,A: b"),
    ("RFC 9112 5", "semicolon-in-name", b"X;A: b"),
    ("RFC 9112 5", "cr-in-name", b"X\rA: b"),
    ("RFC 9112 5", "vertical-tab-in-name", b"X\x0bA: b"),
    ("RFC 9112 5", "del-in-name", b"X\x7fA: b"),
    ("RFC 9110 5.5", "nul-in-value", b"X-A: b\0c"),
    ("RFC 9112 2.2", "cr-in-value", b"X-A: b\rc"),
    ("RFC 9112 2.2", "cr-colon-in-value", b"X-A: b\rX-B: c"),
    ("RFC 9112 2.2", "cr-cr-lf", b"X-A: b\r"),
    ("RFC 9112 5", "backslash-in-name", b"X\\A: b"),
    ("RFC 9112 5", "brace-in-name", b"X{A}: b"),
)
CASES += table(
    FIELDS, *[(where, f"field.{name}-refused", field(text), refused(400), G) for where, name, text in BAD_FIELDS]
)
CASES += table(
    FIELDS,
    (
        "RFC 9112 5.2",
        "field.obs-fold",
        field(b"X-A: b\r\n c"),
        either(refused(400), env("HTTP_X_A", Any("b c", "b  c", "b   c"))),
        G,
    ),
    (
        "RFC 9112 5.2",
        "field.obs-fold-tab",
        field(b"X-A: b\r\n\tc"),
        either(refused(400), env("HTTP_X_A", Any("b c", "b  c", "b   c", "b \tc"))),
        G,
    ),
    (
        "RFC 9112 5.2",
        "field.obs-fold-empty-first",
        field(b"X-A:\r\n c"),
        either(refused(400), env("HTTP_X_A", Any("c", " c", "  c"))),
        G,
    ),
    (
        "RFC 9112 5.2",
        "field.obs-fold-hides-nothing",
        field(b"X-A: b\r\n X-B: c"),
        either(refused(400), env("HTTP_X_B", "absent")),
        G,
    ),
    (
        "RFC 9112 2.2",
        "field.bare-lf",
        field(b"X-A: b\nX-B: c"),
        either(refused(400), both(env("HTTP_X_A", "b"), env("HTTP_X_B", "c"))),
        G,
    ),
    (
        "RFC 9112 2.2",
        "field.lf-lf-is-no-smuggling",
        (b"GET /env HTTP/1.1\r\nHost: h\r\nX-T: @T@\r\nX-A: b\n\nGET /smuggled?t=@T@ HTTP/1.1\r\nHost: h\r\n\r\n",),
        either(refused(400), both(status(200), calls("GET /env", "GET /smuggled"))),
        G,
    ),
    (
        "RFC 9110 5.5",
        "field.control-in-value",
        field(b"X-A: b\x01c"),
        either(refused(400), env("HTTP_X_A", Any("b\x01c", "b c", "bc"))),
        G,
    ),
    (
        "RFC 9110 5.5",
        "field.del-in-value",
        field(b"X-A: b\x7fc"),
        either(refused(400), env("HTTP_X_A", Any("b\x7fc", "b c", "bc"))),
        G,
    ),
    (
        "RFC 9110 5.5",
        "field.vertical-tab-not-trimmed",
        field(b"X-A: \x0bb"),
        either(refused(400), env("HTTP_X_A", "\x0bb")),
        G,
    ),
    (
        "RFC 9110 5.4",
        "field.120-kilobytes-refused",
        (get("/env", "X-Big: " + "v" * 120_000),),
        refused_if_answered(400, 413, 431),
    ),
    (
        "RFC 6585 5",
        "field.5-megabytes-refused",
        (get("/env", "X-Big: " + "v" * 5_000_000),),
        refused_if_answered(400, 413, 431),
    ),
    (
        "RFC 6585 5",
        "field.5000-fields-refused",
        (get("/env", *["X-N: v"] * 5000),),
        either(refused_if_answered(400, 413, 431), both(status(200), whole)),
    ),
    (
        "RFC 6585 5",
        "field.100000-fields-refused",
        (get("/env", *["X-N: v"] * 100_000),),
        refused_if_answered(400, 413, 431),
    ),
    ("RFC 9110 5.4", "field.7000-bytes", get("/env", "X-Big: " + "v" * 7000), env("HTTP_X_BIG", "v" * 7000)),
    ("RFC 9110 5.4", "field.90-fields", get("/env", *[f"X-{i}: {i}" for i in range(90)]), env("HTTP_X_89", "89")),
    (
        "RFC 9110 5.1",
        "field.names-case-insensitive",
        post("/env", b"x", "content-TYPE: a/b"),
        env("CONTENT_TYPE", "a/b"),
    ),
    (
        "RFC 9110 8.3",
        "field.content-type-twice",
        (head("GET /env HTTP/1.1", "Content-Type: a/b", "Content-Type: c/d"),),
        status(200, 400),
        single,
    ),
    ("field.in-one-byte-pieces", (Pieces(get("/env", "X-A: b")),), env("HTTP_X_A", "b")),
    ("field.bad-answer-is-readable", (field(b"X A: b") + b"x" * 100_000, Await(1)), status(400), whole, closes, G),
)
