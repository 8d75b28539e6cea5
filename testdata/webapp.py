"""The application that package gowsgi's tests serve: one function for each path."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]

counts = {"closed": 0, "started": 0, "gated": 0}
_lock = threading.Lock()


def count(name):
    with _lock:
        counts[name] += 1


class Closing:
    """An iterable that counts its start and its close()."""

    def __init__(self, chunks, error=None):
        count("started")
        self.chunks = iter(chunks)
        self.error = error

    def __iter__(self):
        return self.chunks

    def close(self):
        count("closed")
        if self.error:
            raise self.error


def ok(start_response, *fields):
    return start_response("200 OK", TEXT + list(fields))


def environ_of(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    known = {name: value if isinstance(value, (str, bool)) else repr(value) for name, value in environ.items()}
    return [json.dumps(known).encode()]


def hello(environ, start_response):
    ok(start_response)
    return [b"hello"]


def echo(environ, start_response):
    ok(start_response)
    return [environ["wsgi.input"].read()]


def body_kind(environ, start_response):
    ok(start_response)
    return [type(environ["wsgi.input"]).__name__.encode()]


def empty(environ, start_response):
    ok(start_response)
    return []


def status(environ, start_response):
    start_response(environ["QUERY_STRING"].replace("+", " "), [("X-A", "b")])
    return [b"body"] if not environ["QUERY_STRING"].startswith(("204", "304")) else []


def fields(environ, start_response):
    names = ("X-Own", "Set-Cookie", "Set-Cookie", "Vary", "Cache-Control")
    start_response("200 OK", [(name, f"{n}") for n, name in enumerate(names)])
    return [b"{}"]


def stream(environ, start_response):
    """Goes on when it is told to: see go_on."""
    ok(start_response)

    def chunks():
        for number in range(3):
            yield f"{number}".encode()
            wait_for("go")

    return Closing(chunks())


_gates = {}


def wait_for(name):
    with _lock:
        gate = _gates.setdefault(name, threading.Semaphore(0))
    gate.acquire(timeout=float(os.environ.get("GOWSGI_TEST_GATE", 20)))


def go_on(name):
    with _lock:
        gate = _gates.setdefault(name, threading.Semaphore(0))
    gate.release()


def gate(environ, start_response):
    """Waits for go_on(QUERY_STRING)."""
    count("gated")
    wait_for(environ["QUERY_STRING"])
    ok(start_response)
    return Closing([b"through"])


def held(environ, start_response):
    """Waits for a file."""
    for _ in range(20_000):
        if os.path.exists(environ["QUERY_STRING"]):
            break
        time.sleep(0.001)
    ok(start_response)
    return []


def endless(environ, start_response):
    ok(start_response)

    def chunks():
        while True:
            yield b"x" * 1000

    return Closing(chunks())


def several(environ, start_response):
    ok(start_response)
    return Closing([b"a", b"b", b"c"])


def large(environ, start_response):
    ok(start_response)
    return [b"x" * 3_000_000]


def write(environ, start_response):
    send = ok(start_response)
    send(b"a")
    send(b"b")
    return [b"c"]


def file(environ, start_response):
    f = tempfile.TemporaryFile()
    f.write(b"0123456789" * 100_000)
    f.seek(4)
    ok(start_response)
    return environ["wsgi.file_wrapper"](f)


def declared(environ, start_response):
    length, _, pieces = environ["QUERY_STRING"].partition(",")
    ok(start_response, ("Content-Length", length))
    return Closing([piece.encode() for piece in pieces.split(",")])


def hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    environ["wsgi.early_hints"]([("Link", "</b.css>; rel=preload"), ("Link", "</c.css>")])
    ok(start_response, ("Link", "</d.css>"))
    return [b"hinted"]


def raises(environ, start_response):
    raise LookupError("no such thing")


def raises_later(environ, start_response):
    ok(start_response)

    def chunks():
        yield b"begun"
        raise LookupError("in the middle")

    return Closing(chunks())


def raises_at_close(environ, start_response):
    ok(start_response)
    return Closing([b"whole"], LookupError("at the end"))


def where(environ, start_response):
    ok(start_response)
    return [f"{os.getcwd()} {threading.current_thread().name}".encode()]


@validator
def validated(environ, start_response):
    stream = environ["wsgi.input"]
    body = stream.read(3) + stream.readline() + b"".join(stream.readlines())
    start_response("200 OK", TEXT)
    return iter([body, b"", b"end"])


def app(environ, start_response):
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)


def factory(text="made"):
    def made(environ, start_response):
        ok(start_response)
        return [f"{text} {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]

    return made


def broken_factory():
    raise RuntimeError("not today")


# What the Go side calls.


def read_counts():
    return dict(counts)


def exit_file(path):
    import atexit

    atexit.register(lambda: open(path, "w").close())


signal.signal(signal.SIGUSR1, lambda *args: None)  # on the main thread: recorded only


def factory_app():
    return lambda environ, start_response: app(environ, start_response)
