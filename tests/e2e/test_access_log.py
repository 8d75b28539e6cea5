"""The access log is gunicorn's default format, as its parsers expect it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Serve

# %(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"
LINE = (
    r"^127\.0\.0\.1 - {user} "
    r"\[\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d [+-]\d{{4}}\] "
    r'"{request}" {status} {size} "{referer}" "{agent}"$'
)
CASES = [
    ("GET", "/status?code=200", {}, {"status": "200", "size": "11"}),
    ("GET", "/none?q=%22", {"Referer": "http://r/"}, {"status": "404", "referer": "http://r/"}),
    ("POST", "/echo", {"User-Agent": "agent/1 (x)"}, {"agent": r"agent/1 \(x\)"}),
    ("GET", "/stream?n=2", {"Authorization": "Basic YW5uOnB3"}, {"user": "ann", "size": "14"}),
    ("GET", "/raise", {}, {"status": "500"}),
]
DEFAULTS = {"user": "-", "status": "200", "size": r"(\d+|-)", "referer": "-", "agent": ".*"}


def pattern(method: str, path: str, fields: dict[str, str]) -> str:
    """Return what the line of a request looks like."""
    return LINE.format(request=re.escape(f"{method} {path} HTTP/1.1"), **(DEFAULTS | fields))


@pytest.mark.parametrize("where", ["stdout", "file"])
def test_lines(serve: Serve, tmp_path: Path, where: str) -> None:
    file = tmp_path / "access.log"
    server = serve("raw:app", "--access-logfile", "-" if where == "stdout" else str(file))
    for method, path, headers, _ in CASES:
        requests.request(method, server.url + path, headers=headers, timeout=10)
    assert server.stop() == 0
    text = server.stdout if where == "stdout" else file.read_text()
    assert len(text.splitlines()) == len(CASES)
    for line, (method, path, _, fields) in zip(text.splitlines(), CASES, strict=True):
        assert re.match(pattern(method, path, fields), line), line
    if where == "file":
        assert server.stdout == ""


def test_lines_cannot_be_forged(serve: Serve) -> None:
    """A quote or an escape sequence in what the client sends does not end the field."""
    server = serve("raw:app", "--access-logfile", "-")
    headers = {"User-Agent": 'a" 200 1 "-" "b'}
    requests.get(f"{server.url}/status?code=200", headers=headers, timeout=10)
    line = server.wait_stdout(r"^127\.0\.0\.1 .*$")[0]
    assert 'a" 200' not in line


def test_no_access_log_unless_asked(serve: Serve) -> None:
    server = serve("raw:app")
    requests.get(f"{server.url}/status?code=200", timeout=10)
    assert server.stop() == 0
    assert "GET /status" not in server.stdout + server.stderr
