"""The application under test; the packet's variable T_ROUTE says what it does.

It gives away what it sees, and does what an application may do to its server. Runs under any server: no
imports beyond the standard library.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time


def app(environ, start_response):
    """Do what T_ROUTE asks for."""
    return ROUTES[environ.get("T_ROUTE", "environ")](environ, start_response)


def reply(start_response, body, *fields, status="200 OK"):
    start_response(status, [("Content-Length", str(len(body))), *fields])
    return [body]


def environ_as_json(environ, start_response):
    """Everything that the application sees, the body included."""
    body = environ["wsgi.input"].read()
    seen = {
        "strings": {key: value for key, value in environ.items() if isinstance(value, str)},
        "types": {key: type(value).__name__ for key, value in environ.items()},
        "version": list(environ["wsgi.version"]),
        "input": body.decode("latin-1"),
        "again": environ["wsgi.input"].read().decode("latin-1"),
        "again_5": environ["wsgi.input"].read(5).decode("latin-1"),
        "methods": [
            name for name in ("read", "readline", "readlines", "__iter__") if not hasattr(environ["wsgi.input"], name)
        ],
        "lower": [key for key in environ if key != key.upper() and "." not in key],
        "env": {key: value for key, value in os.environ.items() if key.startswith("T_")},
        "cwd": os.getcwd(),
        "pid": os.getpid(),
    }
    return reply(start_response, json.dumps(seen).encode(), ("Content-Type", "application/json"))


def read_body(environ, start_response):
    """The body by the way that T_HOW names, in pieces."""
    stream, how = environ["wsgi.input"], environ["T_HOW"]
    pieces = {
        "readline": lambda: list(iter(stream.readline, b"")),
        "readline-4": lambda: list(iter(lambda: stream.readline(4), b"")),
        "readlines": stream.readlines,
        "iterate": lambda: list(stream),
        "read-3": lambda: list(iter(lambda: stream.read(3), b"")),
        "read-0": lambda: [stream.read(0), stream.read()],
        "read-all": lambda: [stream.read(-1)],
        "size": lambda: [str(sum(map(len, iter(lambda: stream.read(65536), b"")))).encode()],
        "nothing": lambda: [b"not read"],
    }[how]()
    return reply(start_response, json.dumps([piece.decode("latin-1") for piece in pieces]).encode())


def pieces(_environ, start_response):
    """A generator's answer, of unknown length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b""
    yield b"two "
    yield b"three"


def slow(_environ, start_response):
    """A generator that takes its time."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(4):
        yield b"line %d\n" % number
        time.sleep(0.15)


def write(_environ, start_response):
    send = start_response("200 OK", [])
    send(b"one ")
    send(b"two ")
    return [b"three"]


def known(environ, start_response):
    """A status and a body as T_STATUS and T_BODY say, with a length."""
    body = environ.get("T_BODY", "hello").encode("latin-1")
    return reply(start_response, body, status=environ.get("T_STATUS", "200 OK"))


def bare(environ, start_response):
    """A status without fields, and no body."""
    start_response(environ["T_STATUS"], [])
    return []


def listed(_environ, start_response):
    """A list of one, without a length."""
    start_response("200 OK", [])
    return [b"hello"]


def fields(_environ, start_response):
    return reply(
        start_response, b"hello", ("Set-Cookie", "a=1"), ("X-Latin", "caf\xe9"), ("Set-Cookie", "b=2"), ("X-Empty", "")
    )


def wrong_length(environ, start_response):
    """Announce T_SAYS bytes and give T_SENDS."""
    start_response("200 OK", [("Content-Length", environ["T_SAYS"])])
    for _ in range(int(environ["T_SENDS"])):
        yield b"x"


def large(environ, start_response):
    """Give T_SIZE bytes."""
    return reply(start_response, b"x" * int(environ["T_SIZE"]))


def fail(environ, start_response):
    """Fail in the way that T_HOW names."""
    how = environ["T_HOW"]
    if how == "raise":
        raise ValueError("secret")
    if how == "exit":
        sys.exit(3)
    if how == "none":
        return None
    if how == "no-start":
        return [b"no start_response"]
    if how == "text":
        start_response("200 OK", [])
        return ["text"]
    if how == "crlf":
        start_response("200 OK", [("X-A", "a\r\nX-Evil: b")])
        return [b"body"]
    try:
        start_response("200 OK", [("X-First", "1")])
        raise ValueError("secret")
    except ValueError:
        start_response("503 Later", [("X-Second", "1")], sys.exc_info())
    return [b"replaced"]


def fail_midway(_environ, start_response):
    start_response("200 OK", [])
    yield b"the beginning"
    raise ValueError("secret")


def fail_first(_environ, start_response):
    """Fail when the iterable is asked for its first piece."""
    start_response("200 OK", [])
    raise ValueError("secret")
    yield b"never"


class Closing:
    """An iterable that notes when it is closed, in a file of T_FILE's name."""

    def __init__(self, path):
        self.path = path
        self.left = 3

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"piece "

    def close(self):
        with open(self.path, "a") as notes:
            notes.write("closed\n")


def closing(environ, start_response):
    start_response("200 OK", [])
    return Closing(environ["T_FILE"])


def file(environ, start_response):
    """Send a file, or what looks like one, from its position on."""
    source = io.BytesIO(b"skipped the rest") if environ["T_HOW"] == "memory" else tempfile.TemporaryFile()
    if environ["T_HOW"] != "memory":
        source.write(b"skipped the rest")
    source.seek(len(b"skipped "))
    start_response("200 OK", [] if environ["T_HOW"] != "length" else [("Content-Length", "3")])
    return environ["wsgi.file_wrapper"](source)


ROUTES = {
    "environ": environ_as_json,
    "body": read_body,
    "pieces": pieces,
    "slow": slow,
    "write": write,
    "known": known,
    "bare": bare,
    "listed": listed,
    "fields": fields,
    "wrong-length": wrong_length,
    "large": large,
    "fail": fail,
    "fail-midway": fail_midway,
    "fail-first": fail_first,
    "closing": closing,
    "file": file,
}
