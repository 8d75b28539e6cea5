"""A raw WSGI application with one route for each thing an application may do."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from routing import Routes, answer, query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from routing import Environ, StartResponse

app = Routes()
not_callable = 42


@app.json("/")
def index(environ: Environ) -> Any:
    """Tell what the app sees of the request and of its interpreter."""
    return {
        "method": environ["REQUEST_METHOD"],
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": sys.path,
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "pid": os.getpid(),
        "env": {k: v for k, v in os.environ.items() if k.startswith("E2E_")},
    }


@app.json("/environ")
def show_environ(environ: Environ) -> Any:
    """Return the environ's strings."""
    return {key: value for key, value in environ.items() if isinstance(value, str)}


@app.json("/modules")
def modules(_environ: Environ) -> Any:
    """Import and use modules of the standard library that are C extensions."""
    import ctypes
    import decimal
    import lzma
    import sqlite3
    import ssl
    import zlib

    return {
        "ctypes": ctypes.CDLL(None).getpid() == os.getpid(),
        "decimal": str(decimal.Decimal("0.1") + decimal.Decimal("0.2")),
        "lzma": len(lzma.compress(b"x" * 1000)) < 1000,
        "sqlite3": sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0],
        "ssl": ssl.OPENSSL_VERSION.startswith("OpenSSL"),
        "zlib": zlib.crc32(b"gowsgi"),
    }


@app.json("/sleep")
def sleep(environ: Environ) -> Any:
    """Answer after ?s seconds; says on stderr when it begins."""
    seconds = float(query(environ)["s"])
    print("sleeping", seconds, file=sys.stderr, flush=True)
    time.sleep(seconds)
    return {"slept": seconds}


@app.raw("/status")
def status(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the status ?code, without a body where there must be none."""
    code = query(environ)["code"]
    body = b"" if code in ("204", "304") else b"body of " + code.encode()
    length = [] if code in ("204", "304") else [("Content-Length", str(len(body)))]
    start_response(f"{code} A Reason", length)
    return [body]


@app.raw("/stream")
def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send ?n numbered lines, ?pause seconds apart, from a generator."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    pause = float(query(environ).get("pause", "0"))
    for number in range(int(query(environ)["n"])):
        yield b"line %d\n" % number
        time.sleep(pause)


@app.raw("/write")
def write(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Use write() before the iterable."""
    send = start_response("200 OK", [("Content-Type", "text/plain")])
    send(b"written, ")
    send(b"written again, ")
    return [b"returned"]


@app.raw("/raise-midway")
def raise_midway(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Fail ?pause seconds after the first chunk."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"the beginning"
    time.sleep(float(query(environ).get("pause", "0")))
    msg = "midway"
    raise ValueError(msg)


@app.raw("/raise")
def raise_at_once(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Fail before anything."""
    msg = "secret of the traceback"
    raise ValueError(msg)


@app.raw("/length")
def length(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Announce ?says bytes and send ?sends, in pieces of 5."""
    values = query(environ)
    start_response("200 OK", [("Content-Length", values["says"])])
    left = int(values["sends"])
    while left > 0:
        yield b"01234"[:left]
        left -= 5


@app.raw("/file")
def send_file(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send a file through wsgi.file_wrapper, from its position."""
    file = tempfile.TemporaryFile()
    file.write(b"skipped" + b"x" * 300_000)
    file.seek(len(b"skipped"))
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return _environ["wsgi.file_wrapper"](file)


# Request bodies ----------------------------------------------------------------


@app.raw("/echo")
def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send the body back with its digest in a header."""
    body = environ["wsgi.input"].read()
    digest = hashlib.sha256(body).hexdigest()
    return answer(start_response, body, ("X-Sha256", digest))


@app.json("/body")
def read_body(environ: Environ) -> Any:
    """Read the body in the way ?how says, and tell what came."""
    stream, values = environ["wsgi.input"], query(environ)
    size = int(values.get("size", "-1"))
    if values["how"] == "read":
        pieces = [stream.read(size)]
    elif values["how"] == "read-in-pieces":
        pieces = list(iter(lambda: stream.read(size), b""))
    elif values["how"] == "readline":
        pieces = list(iter(lambda: stream.readline(size), b""))
    elif values["how"] == "readline-plain":
        pieces = list(iter(stream.readline, b""))
    elif values["how"] == "readlines":
        pieces = stream.readlines()
    elif values["how"] == "iterate":
        pieces = list(stream)
    else:
        pieces = []
    return {
        "pieces": [piece.decode("latin-1") for piece in pieces],
        "rest": stream.read().decode("latin-1"),
        "again": stream.read(10).decode("latin-1"),
        "length": environ.get("CONTENT_LENGTH"),
        "coding": environ.get("HTTP_TRANSFER_ENCODING"),
        "terminated": environ.get("wsgi.input_terminated"),
    }


# Clients that leave ------------------------------------------------------------


class Watched:
    """A response that counts how often close() is called."""

    lock = threading.Lock()
    opened = 0
    closes: Counter[int] = Counter()  # noqa: RUF012 - shared on purpose

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Count the response."""
        self._chunks = iter(chunks)
        with self.lock:
            Watched.opened += 1
            self._number = Watched.opened

    def __iter__(self) -> Iterator[bytes]:
        """Return the response."""
        return self

    def __next__(self) -> bytes:
        """Return the next chunk."""
        return next(self._chunks)

    def close(self) -> None:
        """Count the call."""
        with self.lock:
            Watched.closes[self._number] += 1


def _ticking() -> Iterator[bytes]:
    for _ in range(20_000):
        yield b"tick\n"
        time.sleep(0.0005)


@app.raw("/watched/download")
def watched_download(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send 64 MB, far more than the sockets' buffers take."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    piece = b"x" * 65536
    return Watched(piece for _ in range(1024))


@app.raw("/watched/stream")
def watched_stream(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send a tick every now and then, for ten seconds."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Watched(_ticking())


@app.raw("/watched/upload")
def watched_upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body and answer."""
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Watched([b"%d" % size])


@app.raw("/watched/late")
def watched_late(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer after the client has left."""
    time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Watched([b"late"])


@app.json("/watched")
def watched(_environ: Environ) -> Any:
    """Tell how many watched responses there were and how often each was closed."""
    with Watched.lock:
        return {
            "threads": threading.active_count(),
            "opened": Watched.opened,
            "closed": len(Watched.closes),
            "most": max(Watched.closes.values(), default=0),
        }


@app.json("/spin")
def spin(_environ: Environ) -> Any:
    """Compute for ten seconds."""
    print("spinning", file=sys.stderr, flush=True)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        sum(range(1000))
    return "spun"
