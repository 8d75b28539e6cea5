"""No reference is lost or dropped twice: counted by a debug build of CPython."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.interpreters import Interpreter, Venv

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server

PYTHON = Path(os.environ.get("GOWSGI_TEST_DEBUG_PYTHON", "/usr/bin/python3-dbg"))
REQUESTS = int(os.environ.get("GOWSGI_TEST_REFERENCES", "12000"))  # The full proof is 100000.
PATHS = (
    "/echo",
    "/generator",
    "/raises",
    "/raises-late",
    "/written",
    "/forbidden",
    "/real-file",
    "/memory-file",
    "/replaced",
    "/hinted",
    "/wrong-chunk",
)
ROUNDS = 3


class DebugVenv(Venv):
    """The debug interpreter itself: the application needs no packages."""

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.path


@pytest.mark.timeout(600)
def test_references_stay_the_same(serve: Serve) -> None:
    """After a warm-up, thousands of requests of every kind leave the total as it was."""
    assert PYTHON.exists(), f"{PYTHON} is missing (Debian: python3-dbg), or name one in GOWSGI_TEST_DEBUG_PYTHON"
    venv = DebugVenv(Interpreter("debug", "debug", PYTHON), PYTHON)
    server = serve(
        "references:app", "--log-level", "critical", venv=venv, env={"PYTHONMALLOC": "debug", "PYTHONDEVMODE": "0"}
    )
    drive(server, len(PATHS) * 6)
    totals = [references(server)]
    for _ in range(ROUNDS):
        drive(server, REQUESTS // ROUNDS)
        totals.append(references(server))
    print(f"references after {REQUESTS // ROUNDS} requests each: {totals}")
    assert max(totals) - min(totals) < 50, totals  # A lost one a request would be thousands.


def drive(server: Server, count: int) -> None:
    """Send requests of all kinds, some with bodies and changing header names."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for number in range(count):
        body = b"q" * 100 if number % 3 == 0 else None
        path = PATHS[number % len(PATHS)]
        try:
            connection.request("POST" if body else "GET", path, body, {f"X-{number % 7}": str(number)})
            if connection.getresponse().read() == b"" and path == "/hinted":
                connection.close()  # http.client took the 103 for the answer.
        except http.client.HTTPException:
            connection.close()  # A cut answer, as asked for.
    connection.close()


def references(server: Server) -> int:
    """Return what the interpreter counts now."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/references")
    total = int(connection.getresponse().read())
    connection.close()
    return total
