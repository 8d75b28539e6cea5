"""wsgiref.validate finds no fault with what the server passes and takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from support.server import Server

if TYPE_CHECKING:
    from conftest import Serve

BODY = b"first line\nsecond line\nno end"


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The validated applications."""
    return module_serve("validated:app")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/plain", None, b"GET"),
        ("GET", "/plain?a=b&c=%20", None, b"GET"),
        ("HEAD", "/plain", None, b""),
        ("OPTIONS", "/plain", None, b"OPTIONS"),
        ("DELETE", "/plain", None, b"DELETE"),
        ("POST", "/post", BODY, BODY),
        ("POST", "/post", b"", b""),
        ("POST", "/post", b"\n" * 10_000, b"\n" * 10_000),
        ("PUT", "/post", bytes(range(256)) * 5000, bytes(range(256)) * 5000),
        ("POST", "/post", iter([BODY, b"", BODY]), BODY + BODY),
        ("POST", "/iterate", BODY, BODY.replace(b"\n", b"\n|")),
        ("GET", "/stream", None, b"one two"),
        ("HEAD", "/stream", None, b""),
        ("GET", "/write", None, b"written returned"),
        ("HEAD", "/write", None, b""),
        ("GET", "/exc_info", None, b"replaced"),
        ("GET", "/errors", None, b"logged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_valid(server: Server, method: str, path: str, body: bytes | None, expected: bytes) -> None:
    answer = requests.request(method, server.url + path, data=body, timeout=10)
    assert "AssertionError" not in server.stderr, server.stderr[-3000:]
    assert answer.status_code == 200
    assert answer.content == expected


def test_exc_info_replaces_the_head(server: Server) -> None:
    answer = requests.get(f"{server.url}/exc_info", timeout=10)
    assert answer.reason == "OK"
    assert answer.headers.get("X-Second") == "2"
    assert "X-First" not in answer.headers


def test_errors_reach_the_log(server: Server) -> None:
    requests.get(f"{server.url}/errors", timeout=10)
    server.wait_log("validated write$")
    server.wait_log("validated writelines$")


def test_a_fault_would_be_seen(server: Server) -> None:
    """A path that no application has raises KeyError: the log is where it shows."""
    assert requests.get(f"{server.url}/none", timeout=10).status_code == 500
    server.wait_log("KeyError: '/none'")
