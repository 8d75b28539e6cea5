"""raw.app with requests that do not end in time."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from raw import app
from routing import answer, query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from routing import Environ, StartResponse

_keeps_gil = ctypes.PyDLL(None)  # A call into C that does not release the GIL.
_kept: list[bytes] = []

atexit.register(print, "atexit", file=sys.stderr, flush=True)


@app.json("/who")
def who(_environ: Environ) -> Any:
    """Tell who answers."""
    return os.getpid()


@app.json("/spin")
def spin(_environ: Environ) -> Any:
    """Run Python code for ever."""
    while True:
        pass


@app.json("/keep-gil")
def keep_gil(environ: Environ) -> Any:
    """Let no other Python code run for ?s seconds."""
    _keeps_gil.sleep(int(query(environ)["s"]))
    return "done"


@app.raw("/stall-midway")
def stall_midway(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send the head and a chunk, then nothing."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"the beginning"
    time.sleep(3600)


class _Stuck(list[bytes]):
    def close(self) -> None:
        time.sleep(3600)


@app.raw("/stall-close")
def stall_close(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send all, and then do not end."""
    return _Stuck(answer(start_response, b"whole"))


@app.raw("/events")
def events(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send ?n events, ?pause seconds apart."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    for number in range(int(query(environ)["n"])):
        time.sleep(float(query(environ)["pause"]))
        yield b"data: %d\n\n" % number


@app.raw("/write")
def write(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send ?n pieces of ?size bytes with write(), ?pause seconds apart."""
    options = query(environ)
    send = start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(int(options["n"])):
        time.sleep(float(options["pause"]))
        send(b"x" * int(options["size"]))
    return []


@app.raw("/large")
def large(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send ?mb MB from a generator."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(int(query(environ)["mb"]) * 10):
        yield b"x" * 100_000


@app.json("/grow")
def grow(environ: Environ) -> Any:
    """Keep ?mb MB of memory."""
    _kept.append(b"x" * (int(query(environ)["mb"]) << 20))
    return os.getpid()
