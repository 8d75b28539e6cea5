"""Early hints (103) through wsgi.early_hints, from the different moments of a request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from routing import Routes, answer, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routing import Environ, StartResponse

app = Routes()
LINK = ("Link", "</style.css>; rel=preload; as=style")
kept: list[Any] = []

# What is no list of headers, by name; each has to raise in the application.
ILLEGAL: dict[str, Any] = {
    "none": None,
    "a-number": 7,
    "a-pair-not-in-a-list": LINK,
    "lists": [list(LINK)],
    "three": [("Link", "a", "b")],
    "bytes": [(b"Link", b"a")],
    "a-number-for-a-value": [("Link", 1)],
    "line-end": [("Link", "a\r\nX-Injected: 1")],
    "line-feed": [("Link", "a\nX-Injected: 1")],
    "nul": [("Link", "a\0")],
    "line-end-in-name": [("Link\r\nX-Injected", "1")],
    "space-in-name": [("Li nk", "a")],
    "colon-in-name": [("Link:", "a")],
    "empty-name": [("", "a")],
    "beyond-latin-1": [("Link", "€")],
    "hop-by-hop": [("Connection", "close")],
    "coding": [("Transfer-Encoding", "chunked")],
    "behind-a-legal-one": [LINK, ("Link", "a\r\n")],
}


@app.raw("/early")
def early(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints, wait ?s seconds, and answer."""
    environ["wsgi.early_hints"]([LINK, ("X-Second", "caf\u00e9")])
    time.sleep(float(query(environ).get("s", "0")))
    return answer(start_response, b"done")


@app.raw("/twice")
def twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints two times, once by an iterator."""
    environ["wsgi.early_hints"]([LINK])
    time.sleep(0.1)
    environ["wsgi.early_hints"](iter([("Link", "</b>")]))
    time.sleep(0.1)
    return answer(start_response, b"done")


@app.raw("/empty")
def empty(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give no hints with the call that does."""
    environ["wsgi.early_hints"]([])
    return answer(start_response, b"done")


@app.raw("/before-the-head-is-out")
def before(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints after start_response, which sends nothing yet."""
    start_response("200 OK", [("Content-Length", "4")])
    environ["wsgi.early_hints"]([LINK])
    time.sleep(0.1)
    return [b"done"]


@app.raw("/after-write")
def after_write(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints when write() has sent the head."""
    write = start_response("200 OK", [("Content-Length", "8")])
    write(b"done")
    environ["wsgi.early_hints"]([LINK])
    return [b"more"]


@app.raw("/after-a-chunk")
def after_a_chunk(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints when a chunk has gone out with the head."""
    start_response("200 OK", [("Content-Length", "8")])
    yield b"done"
    environ["wsgi.early_hints"]([LINK])
    yield b"more"


@app.raw("/illegal")
def illegal(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give the hints ILLEGAL[?what] and answer with what was raised."""
    try:
        environ["wsgi.early_hints"](ILLEGAL[query(environ)["what"]])
    except Exception as error:
        return answer(start_response, f"{type(error).__name__}: {error}".encode())
    return answer(start_response, b"nothing was raised")


@app.raw("/raising-iterator")
def raising_iterator(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give hints from a generator that fails in the middle."""

    def headers() -> Iterable[tuple[str, str]]:
        yield LINK
        raise LookupError("from the generator")

    try:
        environ["wsgi.early_hints"](headers())
    except LookupError as error:
        return answer(start_response, str(error).encode())
    return answer(start_response, b"nothing was raised")


@app.raw("/then-raise")
def then_raise(environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Give hints and fail."""
    environ["wsgi.early_hints"]([LINK])
    time.sleep(0.1)
    raise ValueError("secret of the traceback")


@app.raw("/keep")
def keep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Keep the callable for later."""
    kept[:] = [environ["wsgi.early_hints"]]
    return answer(start_response, b"kept")


@app.raw("/late")
def late(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Use another request's callable."""
    try:
        kept[0]([LINK])
    except RuntimeError as error:
        return answer(start_response, str(error).encode())
    return answer(start_response, b"nothing was raised")
