"""Applications wrapped by wsgiref.validate, which asserts PEP 3333 on both sides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from wsgiref.validate import validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from routing import StartResponse

    Environ = dict[str, Any]

TEXT = ("Content-Type", "text/plain")


def plain(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer in one piece."""
    body = environ["REQUEST_METHOD"].encode()
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def post(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body in every way that the validator allows, and send it back."""
    stream = environ["wsgi.input"]
    body = stream.read(3) + stream.readline()
    body += b"".join(stream.readlines())
    body += b"".join(iter(lambda: stream.read(100), b""))
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def iterate(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Iterate over the body."""
    body = b"|".join(environ["wsgi.input"])
    start_response("200 OK", [TEXT])
    return [body]


def stream(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer from a generator."""
    start_response("200 OK", [TEXT])

    def chunks() -> Iterator[bytes]:
        yield b"one "
        yield b""
        yield b"two"

    return chunks()


def write(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Use write()."""
    send = start_response("200 OK", [TEXT])
    send(b"written ")
    return [b"returned"]


def exc_info(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Replace a head that was not sent."""
    start_response("500 Not This", [TEXT, ("X-First", "1")])
    try:
        msg = "handled"
        raise ValueError(msg)
    except ValueError:
        start_response("200 OK", [TEXT, ("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


def errors(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Write to wsgi.errors."""
    environ["wsgi.errors"].write("validated write\n")
    environ["wsgi.errors"].writelines(["validated writelines\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", [TEXT])
    return [b"logged"]


TABLE = {
    f"/{handler.__name__}": validator(handler) for handler in (plain, post, iterate, stream, write, exc_info, errors)
}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Call the validated application that the path names."""
    return TABLE[environ["PATH_INFO"]](environ, start_response)
