"""WebTest's lint and wsgiref.validate between gowsgi and applications of Flask and Django."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import requests

from . import fetch

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server

    from .outcomes import Tally

APPS = fetch.REPO / "tests" / "foreign" / "apps"
FILE = APPS / "linted.py"
TIMEOUT = 10
CHECKS = {"webtest.lint": "WebTest, lint", "wsgiref.validate": "wsgiref, validate"}
MOUNTS = ("/flask", "/django")


@pytest.fixture(scope="module", params=CHECKS)
def linted(request: pytest.FixtureRequest, module_serve: Serve) -> tuple[str, Server]:
    """A server with one of the checks."""
    env = {"FOREIGN_LINT": request.param}
    return CHECKS[request.param], module_serve("linted:app", chdir=APPS, env=env, threads=2)


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_bodies(linted: tuple[str, Server], mount: str, method: str, size: int, tally: Tally) -> None:
    """Each method, with a body that has a length and with one in chunks."""
    suite, server = linted
    body = b"x" * size
    for kind, data in (("length", body), ("chunks", iter([body[: size // 2], body[size // 2 :]] if size > 1 else []))):
        with tally.case(suite, f"{mount} {method} {size} {kind}", None):
            answer = requests.request(method, f"{server.url}{mount}/echo?a=b", data=data, timeout=TIMEOUT)
            assert answer.status_code == 200, server.stderr
            assert answer.headers["X-Method"] == method
            sent = body if kind == "length" or size > 1 else b""
            if method != "HEAD":
                assert answer.text == hashlib.sha256(sent).hexdigest()


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("stream", 200, b"".join(b"%d\n" % number for number in range(10))),
        ("file", 200, FILE.read_bytes()),
        ("empty", 204, b""),
        ("missing", 404, None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers(
    linted: tuple[str, Server], mount: str, path: str, status: int, body: bytes | None, method: str, tally: Tally
) -> None:
    """Each kind of answer."""
    suite, server = linted
    with tally.case(suite, f"{mount} {method} {path}", None):
        answer = requests.request(method, f"{server.url}{mount}/{path}", timeout=TIMEOUT)
        assert answer.status_code == status, server.stderr
        if body is not None:
            assert answer.content == (body if method == "GET" else b"")


def test_breaches_are_seen(linted: tuple[str, Server]) -> None:
    """No check found anything: the servers' logs have no traceback, though one would be there."""
    _, server = linted
    assert "Traceback" not in server.stderr
    assert "Warning" not in server.stderr
    answer = requests.get(f"{server.url}/nowhere", timeout=TIMEOUT)
    assert answer.status_code == 500
    server.wait_log("KeyError")
