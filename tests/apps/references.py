"""One application with every kind of answer, and the interpreter's count of references."""

from __future__ import annotations

import gc
import io
import sys

TEXT = [("Content-Type", "text/plain")]


def app(environ, start_response):
    """Answer by the path."""
    return ROUTES[environ["PATH_INFO"]](environ, start_response)


def references(environ, start_response):
    """All references there are: a debug build counts them."""
    gc.collect()
    start_response("200 OK", TEXT)
    return [str(sys.gettotalrefcount()).encode()]


def echo(environ, start_response):
    """The body, as a list."""
    start_response("200 OK", [*TEXT, ("X-Latin", "\xe9")])
    return [b"ok", environ["wsgi.input"].read()]


def generator(environ, start_response):
    """Chunks, an empty one among them."""
    start_response("200 OK", TEXT)
    return (chunk for chunk in (b"a", b"", b"b"))


def raises(environ, start_response):
    """An exception before start_response."""
    raise ValueError("asked for")


def raises_late(environ, start_response):
    """An exception after the first chunk."""
    start_response("200 OK", TEXT)
    yield b"a"
    raise ValueError("asked for")


def written(environ, start_response):
    """write() and an iterable."""
    start_response("200 OK", TEXT)(b"abc")
    return [b"d"]


def forbidden(environ, start_response):
    """A head that start_response refuses."""
    start_response("200 OK", [("Connection", "close")])


def real_file(environ, start_response):
    """A file that the server sends."""
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def memory_file(environ, start_response):
    """A file that is iterated."""
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"xyz" * 10))


def replaced(environ, start_response):
    """A head that is replaced."""
    start_response("200 OK", TEXT)
    try:
        raise ValueError("asked for")
    except ValueError:
        start_response("500 Oops", TEXT, sys.exc_info())
    return [b"x"]


def hinted(environ, start_response):
    """Early hints."""
    environ["wsgi.early_hints"]([("Link", "</a.css>")])
    start_response("200 OK", TEXT)
    return [b"x"]


def wrong_chunk(environ, start_response):
    """A chunk that is no bytes."""
    start_response("200 OK", TEXT)
    return ["text"]


ROUTES = {
    "/references": references,
    "/echo": echo,
    "/generator": generator,
    "/raises": raises,
    "/raises-late": raises_late,
    "/written": written,
    "/forbidden": forbidden,
    "/real-file": real_file,
    "/memory-file": memory_file,
    "/replaced": replaced,
    "/hinted": hinted,
    "/wrong-chunk": wrong_chunk,
}
