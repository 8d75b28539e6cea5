"""The cases: what is sent, and what has to come."""

from __future__ import annotations

import dataclasses
import os
import tempfile

from .checks import (
    ABSENT,
    Check,
    body,
    body_size,
    cut,
    env,
    field,
    file_has,
    no_file,
    not_env,
    nowhere,
    pieces,
    raw,
    refused,
    refused_or,
    says,
    seen,
    spread,
    status,
)
from .wire import HALF, block, framed, request

_FOLDER = tempfile.TemporaryDirectory(prefix="uwsgi-cases-")  # goes with the process
PLACE = _FOLDER.name
ok = env("REQUEST_METHOD", "GET")


@dataclasses.dataclass(frozen=True)
class Case:
    """One connection.

    Attributes:
        id: The family and a name.
        send: Bytes, pauses in seconds, HALF to send no more.
        want: All have to hold, and that the connection ends and no answer is chunked.
    """

    id: str
    send: tuple[object, ...]
    want: tuple[Check, ...]

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


def place(name: str) -> str:
    """A path for a case's file."""
    return os.path.join(PLACE, name)


def asked(route: str, **more: str) -> bytes:
    """A request that one of the application's routes answers."""
    return request(T_ROUTE=route, **more)


def by_byte(data: bytes) -> tuple[object, ...]:
    """The bytes one by one, with a pause after some of them."""
    return tuple(
        step for i in range(len(data)) for step in ([data[i : i + 1], 0.002] if i % 20 == 0 else [data[i : i + 1]])
    )


plain = request()
minimal = framed(block(("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")))

PACKET = [
    ("minimal", (minimal,), ok, env("PATH_INFO", "/")),
    ("as-nginx-sends", (plain,), ok),
    ("byte-by-byte", by_byte(plain), ok),
    ("header-then-rest", (plain[:4], 0.1, plain[4:]), ok),
    ("cut-in-header", (plain[:2], 0.1, plain[2:]), ok),
    ("half-closed-after", (plain, HALF), ok),
    ("body-with-packet", (request(body=b"hello"),), seen("input", "hello")),
    ("body-later", (request(body=b"hello")[:-5], 0.1, b"hello"), seen("input", "hello")),
    ("body-in-two", (request(body=b"hello")[:-2], 0.1, b"lo"), seen("input", "hello")),
    ("bytes-after-request", (plain + b"more bytes",), ok, seen("input", "")),
    (
        "second-packet-ignored",
        (plain + plain,),
        Check("one answer", lambda a: "" if a.raw.count(b"HTTP/1.1 200") == 1 else "more"),
    ),
    ("modifier2-ignored", (request(modifier2=9),), ok),
    ("empty-value", (request(X_EMPTY=""),), env("X_EMPTY", "")),
    ("empty-value-last", (request(("HTTP_X_LAST", "")),), env("HTTP_X_LAST", "")),
    ("long-name", (request(("X" * 5000, "v")),), env("X" * 5000, "v")),
    ("long-value", (request(HTTP_X_LONG="v" * 30000),), env("HTTP_X_LONG", "v" * 30000)),
    ("largest", (request(HTTP_X_LONG="v" * (65535 - len(request(HTTP_X_LONG="")) + 4)),), ok),
    ("60-variables", (request(*((f"HTTP_X_{i}", str(i)) for i in range(45))),), env("HTTP_X_44", "44")),
    ("500-variables", (request(*((f"HTTP_X_{i}", str(i)) for i in range(500))),), env("HTTP_X_499", "499")),
    ("5000-variables", (request(*((f"X{i}", "") for i in range(5000))),), env("X4999", "")),
    ("same-field-3000-times", (request(*(("HTTP_X", "v") for _ in range(3000))),), ok),
    ("empty", (framed(b""),), refused()),
    ("empty-then-closed", (framed(b""), HALF), refused()),
    ("truncated-header", (plain[:3], HALF), refused()),
    ("truncated-in-name-length", (plain[:5], HALF), refused()),
    ("truncated-in-name", (plain[:10], HALF), refused()),
    ("truncated-by-one", (plain[:-1], HALF), refused()),
    ("nothing-then-closed", (HALF,), refused()),
    ("name-empty", (framed(block(("", "x"), ("REQUEST_METHOD", "GET"))),), refused()),
    ("name-past-end", (framed(block(("REQUEST_METHOD", "GET")) + b"\xff\xffAB"),), refused()),
    ("value-past-end", (framed(block(("REQUEST_METHOD", "GET")) + b"\x01\x00A\xff\xffB"),), refused()),
    ("name-without-value", (framed(block(("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")) + b"\x01\x00A"),), refused()),
    ("one-byte-left", (framed(block(("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")) + b"\x00"),), refused()),
    ("value-length-cut", (framed(block(("REQUEST_METHOD", "GET")) + b"\x01\x00A\x00"),), refused()),
    ("size-too-small", (framed(block(("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")), size=20),), refused()),
    ("size-too-large", (framed(block(("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")), size=60), HALF), refused()),
    ("size-65535-of-nothing", (framed(b"", size=65535), HALF), refused()),
    ("modifier-1", (request(modifier1=1),), refused()),
    ("modifier-5-perl", (request(modifier1=5),), refused()),
    ("modifier-17-spooler", (request(modifier1=17),), refused()),
    ("modifier-22-eval", (framed(b"import os; os._exit(1)", 22),), refused()),
    ("modifier-31-message", (request(modifier1=31),), refused()),
    ("modifier-173-rpc", (framed(block(("reload", "")), 173),), refused()),
    ("modifier-255", (request(modifier1=255),), refused()),
    ("http-request", (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", HALF), refused()),
    ("http-post", (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, HALF), refused()),
    ("tls", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600, HALF), refused()),
    ("proxy-protocol", (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + plain, HALF), refused()),
    ("zeros", (b"\x00" * 2000,), refused()),
    ("0xff", (b"\xff" * 2000, HALF), refused()),
]

PING = [
    ("plain", (framed(b"", 100),), raw(b"\x64\x00\x00\x01")),
    ("half-closed", (framed(b"", 100), HALF), raw(b"\x64\x00\x00\x01")),
    ("with-variables", (framed(block(("A", "b")), 100),), raw(b"\x64\x00\x00\x01")),
    ("modifier2", (framed(b"", 100, 1),), raw(b"\x64\x00\x00\x01")),
]

ENVIRON = [
    ("method", (request(REQUEST_METHOD="PROPFIND"),), env("REQUEST_METHOD", "PROPFIND")),
    ("method-missing", (request(REQUEST_METHOD=None),), refused_or(not_env("REQUEST_METHOD", "", ABSENT))),
    ("method-empty", (request(REQUEST_METHOD=""),), refused_or(not_env("REQUEST_METHOD", "", ABSENT))),
    ("method-with-line-end", (request(REQUEST_METHOD="GET\r\nX: y"),), refused()),
    ("path", (request(PATH_INFO="/a/b"),), env("PATH_INFO", "/a/b")),
    ("path-percent-stays", (request(PATH_INFO="/100%25%2F%zz"),), env("PATH_INFO", "/100%25%2F%zz")),
    ("path-utf8-as-latin1", (request(PATH_INFO="/\xe2\x82\xac"),), env("PATH_INFO", "/\xe2\x82\xac")),
    ("path-not-utf8", (request(PATH_INFO="/\xff\xfe"),), env("PATH_INFO", "/\xff\xfe")),
    ("path-spaces", (request(PATH_INFO="/a b"),), env("PATH_INFO", "/a b")),
    ("path-control-bytes", (request(PATH_INFO="/a\r\n\x00b"),), refused_or(env("PATH_INFO", "/a\r\n\x00b"))),
    (
        "path-question-mark",
        (request(PATH_INFO="/a?b", QUERY_STRING="c"),),
        env("PATH_INFO", "/a?b"),
        env("QUERY_STRING", "c"),
    ),
    ("path-double-slash", (request(PATH_INFO="//a//b"),), env("PATH_INFO", "//a//b")),
    (
        "path-rewritten",
        (request(PATH_INFO="/new", REQUEST_URI="/old"),),
        env("PATH_INFO", "/new"),
        env("REQUEST_URI", "/old"),
    ),
    ("path-empty", (request(PATH_INFO=""),), env("PATH_INFO", "/")),
    ("path-without-slash", (request(PATH_INFO="a/b"),), refused_or(env("PATH_INFO", "/a/b"))),
    ("path-missing", (request(PATH_INFO=None, REQUEST_URI="/a%20b?c"),), refused_or(env("PATH_INFO", "/a b"))),
    ("path-and-uri-missing", (request(PATH_INFO=None, REQUEST_URI=None),), refused_or(env("PATH_INFO", "/"))),
    (
        "uri-stays-encoded",
        (request(PATH_INFO="/a b", REQUEST_URI="/a%20b?c=%C3%A9"),),
        env("REQUEST_URI", "/a%20b?c=%C3%A9"),
    ),
    ("query", (request(QUERY_STRING="a=%20&b"),), env("QUERY_STRING", "a=%20&b")),
    ("query-bytes", (request(QUERY_STRING="\xe9=\xff"),), env("QUERY_STRING", "\xe9=\xff")),
    ("query-empty", (request(QUERY_STRING=""),), env("QUERY_STRING", "", ABSENT)),
    ("script-name", (request(SCRIPT_NAME="/app", PATH_INFO="/x"),), env("SCRIPT_NAME", "/app"), env("PATH_INFO", "/x")),
    ("script-name-missing", (plain,), env("SCRIPT_NAME", "")),
    (
        "script-name-path-empty",
        (request(SCRIPT_NAME="/app", PATH_INFO=""),),
        env("SCRIPT_NAME", "/app"),
        env("PATH_INFO", ""),
    ),
    ("script-name-root", (request(SCRIPT_NAME="/", PATH_INFO="/x"),), env("SCRIPT_NAME", ""), env("PATH_INFO", "/x")),
    ("script-name-not-taken-away", (request(SCRIPT_NAME="/app", PATH_INFO="/app/x"),), env("PATH_INFO", "/app/x")),
    (
        "modifier-30",
        (request(modifier1=30, SCRIPT_NAME="/app", PATH_INFO="/app/x"),),
        env("SCRIPT_NAME", "/app"),
        env("PATH_INFO", "/x"),
    ),
    ("modifier-30-root", (request(modifier1=30, SCRIPT_NAME="/app", PATH_INFO="/app"),), env("PATH_INFO", "")),
    (
        "modifier-30-encoded",
        (request(modifier1=30, SCRIPT_NAME="/\xc3\xa9", PATH_INFO="/\xc3\xa9/x"),),
        env("PATH_INFO", "/x"),
    ),
    (
        "modifier-30-boundary",
        (request(modifier1=30, SCRIPT_NAME="/app", PATH_INFO="/apple"),),
        refused_or(env("PATH_INFO", "/apple")),
    ),
    (
        "modifier-30-elsewhere",
        (request(modifier1=30, SCRIPT_NAME="/app", PATH_INFO="/x"),),
        refused_or(env("PATH_INFO", "/x")),
    ),
    (
        "modifier-30-without-script",
        (request(modifier1=30, PATH_INFO="/x"),),
        env("PATH_INFO", "/x"),
        env("SCRIPT_NAME", ""),
    ),
    ("server-name", (plain,), env("SERVER_NAME", "example.org"), env("SERVER_PORT", "80")),
    ("server-name-empty", (request(SERVER_NAME=""),), not_env("SERVER_NAME", "", ABSENT)),
    ("server-name-missing", (request(SERVER_NAME=None),), not_env("SERVER_NAME", "", ABSENT)),
    ("server-port-empty", (request(SERVER_PORT=""),), not_env("SERVER_PORT", "", ABSENT)),
    ("server-port-missing", (request(SERVER_PORT=None),), not_env("SERVER_PORT", "", ABSENT)),
    ("server-port-https", (request(SERVER_PORT="", HTTPS="on"),), env("SERVER_PORT", "443")),
    ("protocol", (request(SERVER_PROTOCOL="HTTP/2.0"),), env("SERVER_PROTOCOL", "HTTP/2.0")),
    ("protocol-missing", (request(SERVER_PROTOCOL=None),), not_env("SERVER_PROTOCOL", "", ABSENT)),
    ("version", (plain,), seen("version", [1, 0]), seen("types/wsgi.version", "tuple")),
    (
        "booleans",
        (plain,),
        seen("types/wsgi.multithread", "bool"),
        seen("types/wsgi.multiprocess", "bool"),
        seen("types/wsgi.run_once", "bool"),
    ),
    ("input-methods", (plain,), seen("methods", [])),
    ("strings-are-str", (plain,), seen("types/PATH_INFO", "str"), seen("types/wsgi.url_scheme", "str")),
    ("scheme", (plain,), env("wsgi.url_scheme", "http")),
    ("https-on", (request(HTTPS="on"),), env("wsgi.url_scheme", "https")),
    ("https-1", (request(HTTPS="1"),), env("wsgi.url_scheme", "https")),
    ("https-off", (request(HTTPS="off"),), env("wsgi.url_scheme", "http")),
    ("https-empty", (request(HTTPS=""),), env("wsgi.url_scheme", "http")),
    ("request-scheme", (request(REQUEST_SCHEME="https"),), env("wsgi.url_scheme", "https")),
    ("uwsgi-scheme", (request(UWSGI_SCHEME="https"),), env("wsgi.url_scheme", "https")),
    ("scheme-nonsense", (request(UWSGI_SCHEME="javascript"),), env("wsgi.url_scheme", "http")),
    ("ours-scheme", (request(("wsgi.url_scheme", "https")),), env("wsgi.url_scheme", "http")),
    ("ours-input", (request(("wsgi.input", "evil"), body=b"hello"),), seen("input", "hello")),
    (
        "ours-errors",
        (request(("wsgi.errors", "evil")),),
        Check("an object", lambda a: "" if b'"wsgi.errors": "str"' not in a.body else "a str"),
    ),
    ("ours-version", (request(("wsgi.version", "evil")),), seen("version", [1, 0])),
    ("ours-file-wrapper", (request(("wsgi.file_wrapper", "evil")),), env("wsgi.file_wrapper", ABSENT)),
    ("ours-unknown", (request(("wsgi.websocket", "evil")),), env("wsgi.websocket", ABSENT)),
    ("server-software", (request(SERVER_SOFTWARE="evil"),), not_env("SERVER_SOFTWARE", "evil")),
    ("field", (request(HTTP_X_THING="a b"),), env("HTTP_X_THING", "a b")),
    ("field-empty", (request(HTTP_X_THING=""),), env("HTTP_X_THING", "")),
    ("field-bytes", (request(HTTP_X_THING="caf\xe9 \xe2\x82\xac"),), env("HTTP_X_THING", "caf\xe9 \xe2\x82\xac")),
    ("field-twice", (request(("HTTP_X_THING", "a"), ("HTTP_X_THING", "b")),), env("HTTP_X_THING", "a,b", "a, b")),
    (
        "cookie-twice",
        (request(("HTTP_COOKIE", "a=1"), ("HTTP_COOKIE", "b=2")),),
        env("HTTP_COOKIE", "a=1; b=2", "a=1;b=2"),
    ),
    ("variable-twice", (request(("X_THING", "a"), ("X_THING", "b")),), env("X_THING", "b")),
    ("field-of-no-name", (request(("HTTP_", "x")),), refused_or(env("HTTP_", ABSENT, "x"))),
    ("variable-lower-case", (request(("lower", "x")),), env("lower", "x", ABSENT)),
    ("content-type", (request(CONTENT_TYPE="a/b", body=b"x"),), env("CONTENT_TYPE", "a/b")),
    ("content-type-empty", (plain,), env("CONTENT_TYPE", "", ABSENT)),
    ("content-length-empty", (plain,), env("CONTENT_LENGTH", "", ABSENT)),
    (
        "http-content-length",
        (request(HTTP_CONTENT_LENGTH="5", body=b"hello"),),
        env("HTTP_CONTENT_LENGTH", ABSENT),
        env("CONTENT_LENGTH", "5"),
    ),
    (
        "http-content-type",
        (request(HTTP_CONTENT_TYPE="c/d", CONTENT_TYPE="a/b"),),
        env("HTTP_CONTENT_TYPE", ABSENT),
        env("CONTENT_TYPE", "a/b"),
    ),
    (
        "transfer-encoding",
        (request(HTTP_TRANSFER_ENCODING="chunked", body=b"hello"),),
        env("HTTP_TRANSFER_ENCODING", ABSENT),
        seen("input", "hello"),
    ),
    ("httpoxy", (request(HTTP_PROXY="http://evil"),), env("HTTP_PROXY", ABSENT)),
    ("host", (request(HTTP_HOST="h:8080"),), env("HTTP_HOST", "h:8080")),
    ("remote-addr", (plain,), env("REMOTE_ADDR", "192.0.2.1"), env("REMOTE_PORT", "40000")),
    ("remote-addr-v6", (request(REMOTE_ADDR="2001:db8::1"),), env("REMOTE_ADDR", "2001:db8::1")),
    ("remote-addr-unix", (request(REMOTE_ADDR="unix:", REMOTE_PORT=""),), env("REMOTE_ADDR", "", "unix:")),
    ("remote-addr-missing", (request(REMOTE_ADDR=None, REMOTE_PORT=None),), ok),
    (
        "remote-user",
        (request(REMOTE_USER="ann", AUTH_TYPE="Basic"),),
        env("REMOTE_USER", "ann"),
        env("AUTH_TYPE", "Basic"),
    ),
    (
        "forwarded-for-of-a-client",
        (request(HTTP_X_FORWARDED_FOR="198.51.100.7"),),
        env("REMOTE_ADDR", "192.0.2.1"),
        env("HTTP_X_FORWARDED_FOR", "198.51.100.7"),
    ),
    ("forwarded-proto-of-a-client", (request(HTTP_X_FORWARDED_PROTO="https"),), env("wsgi.url_scheme", "http")),
    ("forwarded-ssl-of-a-client", (request(HTTP_X_FORWARDED_SSL="on"),), env("wsgi.url_scheme", "http")),
    ("forwarded-host-of-a-client", (request(HTTP_X_FORWARDED_HOST="evil"),), env("HTTP_HOST", "example.org")),
    ("own-variable", (request(MY_SETTING="x=y"),), env("MY_SETTING", "x=y")),
    ("not-shared", (request(("X_ONLY", "first")),), env("X_ONLY", "first")),
    ("not-shared-after", (plain,), env("X_ONLY", ABSENT), env("HTTP_X_THING", ABSENT)),
]


def evil(name: str) -> str:
    """Write a module that leaves a file when it is loaded; `harmless` looks for that."""
    with open(place(f"{name}.py"), "w") as module:
        module.write(
            f"open({place(name + '-loaded')!r}, 'w').close()\n"
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [])\n"
            "    return [b'evil']\n"
        )
    return place(f"{name}.py")


def harmless(name: str) -> tuple[Check, ...]:
    """The module was not loaded, and the application served."""
    return no_file(place(f"{name}-loaded")), ok


with open(place("secret"), "w") as _secret:
    _secret.write("secret of a file")

POWERS = [
    ("file", (request(UWSGI_FILE=evil("e1")),), *harmless("e1")),
    ("file-appid", (request(UWSGI_FILE=evil("e2"), UWSGI_APPID="/e2"),), *harmless("e2")),
    ("script", (request(UWSGI_SCRIPT="e3", UWSGI_PYHOME=PLACE, UWSGI_APPID=evil("e3")),), *harmless("e3")),
    (
        "module",
        (request(UWSGI_MODULE="e4", UWSGI_CALLABLE="application", UWSGI_CHDIR=PLACE, UWSGI_APPID=evil("e4")),),
        *harmless("e4"),
    ),
    (
        "touch-reload",
        (request(UWSGI_FILE=evil("e5"), UWSGI_TOUCH_RELOAD=place("e5.py"), UWSGI_APPID="/e5"),),
        *harmless("e5"),
    ),
    ("setenv", (request(UWSGI_SETENV="T_EVIL=1"),), seen("env/T_EVIL", ABSENT)),
    (
        "chdir",
        (request(UWSGI_CHDIR="/"),),
        Check("the folder stays", lambda a: "" if b'"cwd": "/"' not in a.body else "it changed"),
    ),
    ("postfile", (request(UWSGI_POSTFILE=place("secret")),), seen("input", "")),
    ("postfile-with-length", (request(UWSGI_POSTFILE=place("secret"), body=b"hello"),), seen("input", "hello")),
    ("cache-get", (request(UWSGI_CACHE_GET="x"),), ok),
    ("document-root", (request(DOCUMENT_ROOT=PLACE, PATH_INFO="/secret"),), env("PATH_INFO", "/secret")),
]

BODY = [
    ("length-0", (request(REQUEST_METHOD="POST", CONTENT_LENGTH="0"),), seen("input", "")),
    ("length-missing", (request(REQUEST_METHOD="POST", CONTENT_LENGTH=None),), seen("input", "")),
    ("length-leading-zeros", (request(CONTENT_LENGTH="0005", body=b"hello"),), refused_or(seen("input", "hello"))),
    ("length-negative", (request(CONTENT_LENGTH="-1", body=b"hello"),), refused()),
    ("length-plus", (request(CONTENT_LENGTH="+5", body=b"hello"), HALF), refused()),
    ("length-space", (request(CONTENT_LENGTH=" 5", body=b"hello"), HALF), refused()),
    ("length-hex", (request(CONTENT_LENGTH="0x5", body=b"hello"), HALF), refused()),
    ("length-word", (request(CONTENT_LENGTH="five", body=b"hello"), HALF), refused()),
    ("length-2-64-plus-3", (request(CONTENT_LENGTH="18446744073709551619", body=b"hello"), HALF), refused()),
    ("length-of-64-digits", (request(CONTENT_LENGTH="9" * 64, body=b"hello"), HALF), refused()),
    ("length-twice-differing", (request(("CONTENT_LENGTH", "3"), body=b"hello"), HALF), refused()),
    ("length-twice-alike", (request(("CONTENT_LENGTH", "5"), body=b"hello"),), refused_or(seen("input", "hello"))),
    ("length-taken-back", (request(("CONTENT_LENGTH", ""), CONTENT_LENGTH="5"),), seen("input", "")),
    ("short", (request(CONTENT_LENGTH="50", body=b"hello"), HALF), refused()),
    ("missing", (request(CONTENT_LENGTH="5", REQUEST_METHOD="POST"), HALF), refused()),
    ("not-read-short", (request(CONTENT_LENGTH="50", body=b"hello", T_ROUTE="known"), HALF), refused()),
    ("longer", (request(CONTENT_LENGTH="3", body=b"hello"),), seen("input", "hel")),
    ("past-the-end", (request(body=b"hello"),), seen("again", ""), seen("again_5", "")),
    ("get-with-body", (request(REQUEST_METHOD="GET", body=b"hello"),), seen("input", "hello")),
    ("bytes", (request(body=bytes(range(256))),), seen("input", bytes(range(256)).decode("latin-1"))),
    ("looks-like-a-packet", (request(body=plain),), seen("input", plain.decode("latin-1"))),
    ("readline", (request(T_ROUTE="body", T_HOW="readline", body=b"a\nbc\n\nd"),), pieces("a\n", "bc\n", "\n", "d")),
    ("readline-4", (request(T_ROUTE="body", T_HOW="readline-4", body=b"abcdef\ngh"),), pieces("abcd", "ef\n", "gh")),
    ("readlines", (request(T_ROUTE="body", T_HOW="readlines", body=b"a\nb\nc"),), pieces("a\n", "b\n", "c")),
    ("iterate", (request(T_ROUTE="body", T_HOW="iterate", body=b"a\nb\nc"),), pieces("a\n", "b\n", "c")),
    ("read-3", (request(T_ROUTE="body", T_HOW="read-3", body=b"abcdefgh"),), pieces("abc", "def", "gh")),
    ("read-0", (request(T_ROUTE="body", T_HOW="read-0", body=b"abc"),), pieces("", "abc")),
    ("read-minus-1", (request(T_ROUTE="body", T_HOW="read-all", body=b"abc"),), pieces("abc")),
    ("5-megabytes", (request(T_ROUTE="body", T_HOW="size", body=b"x" * 5_000_000),), pieces("5000000")),
    ("5-megabytes-not-read", (request(T_ROUTE="body", T_HOW="nothing", body=b"x" * 5_000_000),), pieces("not read")),
    (
        "expect-continue",
        (request(HTTP_EXPECT="100-continue", body=b"hello"),),
        seen("input", "hello"),
        nowhere("100 Continue"),
    ),
]

ANSWER = [
    ("status-line", (asked("known"),), status(200), says("OK"), body(b"hello"), field("Content-Length", "5")),
    (
        "version",
        (asked("known"),),
        Check("HTTP/1.1", lambda a: "" if a.raw.startswith(b"HTTP/1.1 ") else ascii(a.raw[:9])),
    ),
    ("reason-of-its-own", (asked("known", T_STATUS="299 Quite fine"),), status(299), says("Quite fine")),
    ("404", (asked("known", T_STATUS="404 Not Found"),), status(404), body(b"hello")),
    ("list-gets-a-length", (asked("listed"),), field("Content-Length", "5"), body(b"hello")),
    ("generator", (asked("pieces"),), body(b"one two three")),
    ("generator-to-http-1.0", (asked("pieces", SERVER_PROTOCOL="HTTP/1.0"),), body(b"one two three")),
    ("generator-kept-alive", (asked("pieces", HTTP_CONNECTION="keep-alive"),), body(b"one two three")),
    ("generator-as-it-is-made", (asked("slow"),), spread(0.3), body(b"line 0\nline 1\nline 2\nline 3\n")),
    ("write", (asked("write"),), body(b"one two three")),
    (
        "fields",
        (asked("fields"),),
        field("Set-Cookie", "a=1", "b=2"),
        field("X-Latin", "caf\xe9"),
        field("X-Empty", ""),
    ),
    ("no-fields-of-the-server", (asked("known"),), field("Server"), field("Date"), field("Connection")),
    ("head", (asked("known", REQUEST_METHOD="HEAD"),), field("Content-Length", "5"), body(b"")),
    ("head-generator", (asked("pieces", REQUEST_METHOD="HEAD"),), status(200), body(b"")),
    ("204", (asked("bare", T_STATUS="204 No Content"),), status(204), body(b""), field("Content-Length")),
    ("304", (asked("bare", T_STATUS="304 Not Modified"),), status(304), body(b"")),
    ("304-with-a-body", (asked("known", T_STATUS="304 Not Modified"),), status(304), body(b"")),
    ("204-with-a-body", (asked("known", T_STATUS="204 No Content"),), status(204), body(b"")),
    ("empty", (asked("bare", T_STATUS="200 OK"),), status(200), body(b"")),
    ("longer-than-its-length", (asked("wrong-length", T_SAYS="3", T_SENDS="9"),), body(b"xxx")),
    ("shorter-than-its-length", (asked("wrong-length", T_SAYS="9", T_SENDS="3"),), cut()),
    ("5-megabytes", (asked("large", T_SIZE="5000000"),), body_size(5_000_000)),
    ("raise", (asked("fail", T_HOW="raise"),), status(500), nowhere("secret")),
    ("exit", (asked("fail", T_HOW="exit"),), status(500)),
    ("none", (asked("fail", T_HOW="none"),), status(500)),
    ("no-start-response", (asked("fail", T_HOW="no-start"),), status(500)),
    ("text-instead-of-bytes", (asked("fail", T_HOW="text"),), status(500)),
    ("line-end-in-field", (asked("fail", T_HOW="crlf"),), status(500), field("X-Evil")),
    (
        "exc-info-replaces",
        (asked("fail", T_HOW="exc-info"),),
        status(503),
        field("X-First"),
        field("X-Second", "1"),
        body(b"replaced"),
    ),
    ("raise-at-the-first-piece", (asked("fail-first"),), status(500)),
    ("raise-midway", (asked("fail-midway"),), cut()),
    (
        "close-called",
        (asked("closing", T_FILE=place("closed")),),
        body(b"piece piece piece "),
        file_has(place("closed"), "closed\n"),
    ),
    ("file", (asked("file", T_HOW="file"),), body(b"the rest")),
    ("file-in-memory", (asked("file", T_HOW="memory"),), body(b"the rest")),
    ("file-with-a-length", (asked("file", T_HOW="length"),), body(b"the")),
]

FAMILIES = {"packet": PACKET, "ping": PING, "environ": ENVIRON, "powers": POWERS, "body": BODY, "answer": ANSWER}
CASES = [Case(f"{family}.{name}", send, tuple(want)) for family, rows in FAMILIES.items() for name, send, *want in rows]
