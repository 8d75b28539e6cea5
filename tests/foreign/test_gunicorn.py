"""gunicorn's request corpus, sent to gowsgi over sockets."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest
from support.wire import Wire

from . import corpus, fetch
from .left_out import gunicorn as left_out
from .outcomes import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Serve

APPS = fetch.REPO / "tests" / "foreign" / "apps"

# gunicorn's settings and gowsgi's flags for them.
FLAGS = {
    "limit_request_line": "--limit-request-line={}",
    "limit_request_fields": "--limit-request-fields={}",
    "limit_request_field_size": "--limit-request-field_size={}",
    "header_map": "--header-map={}",
    "forwarded_allow_ips": "--forwarded-allow-ips={}",
    "proxy_protocol": "--proxy-protocol=auto",
    "strip_header_spaces": "--strip-header-spaces",
    "permit_obsolete_folding": "--permit-obsolete-folding",
    "permit_unconventional_http_method": "--permit-unconventional-http-method",
    "permit_unconventional_http_version": "--permit-unconventional-http-version",
    "casefold_http_method": "--casefold-http-method",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each file."""
    for kind, folder in (("valid", "valid"), ("hostless", "valid"), ("invalid", "invalid")):
        if kind in metafunc.fixturenames:
            cases = corpus.load(fetch.source("gunicorn") / "tests" / "requests" / folder)
            if kind == "hostless":
                cases = [case for case in cases if left_out.VALID.get(case.name) == left_out.HOST]
            metafunc.parametrize(kind, cases, ids=[case.name for case in cases])


class Servers:
    """One server for each set of flags, and how often its application was called."""

    def __init__(self, serve: Serve, folder: Path) -> None:
        """Start none yet."""
        self._serve, self._folder = serve, folder
        self._running: dict[tuple[str, ...], tuple[int, Path]] = {}

    def get(self, flags: tuple[str, ...]) -> tuple[int, Path]:
        """Return the port of the server with these flags and the file of its calls."""
        if flags not in self._running:
            calls = self._folder / f"calls-{len(self._running)}"
            calls.touch()
            env = {"FOREIGN_CALLS": str(calls)}
            server = self._serve("probe:app", *flags, chdir=APPS, env=env)
            self._running[flags] = server.port, calls
        return self._running[flags]


@pytest.fixture(scope="module")
def servers(module_serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """The servers of this module."""
    return Servers(module_serve, tmp_path_factory.mktemp("calls"))


def test_valid(servers: Servers, valid: corpus.Case, tally: Tally) -> None:
    """A valid file is accepted, with what gunicorn makes of it."""
    reason = left_out.VALID.get(valid.name)
    with tally.case("gunicorn, valid requests", valid.name, reason):
        _accepts(servers, valid)
    if reason:
        _refuses(servers, valid, early=reason == left_out.SHORT)


def test_valid_with_host(servers: Servers, hostless: corpus.Case, tally: Tally) -> None:
    """The files that are refused for want of a Host are accepted with one."""
    reason = left_out.WITH_HOST.get(hostless.name)
    with_host = corpus.Case(hostless.name, _with_host(hostless.data), hostless.settings, hostless.requests)
    with tally.case("gunicorn, valid requests, Host added", hostless.name, reason):
        _accepts(servers, with_host)
    if reason:
        _refuses(servers, with_host)


def test_invalid(servers: Servers, invalid: corpus.Case, tally: Tally) -> None:
    """An invalid file is refused: an error and the end of the connection, no call."""
    reason = left_out.INVALID.get(invalid.name)
    with tally.case("gunicorn, invalid requests", invalid.name, reason):
        # Some are refused for ending early; the others must be without that.
        _refuses(servers, invalid, early=invalid.error in ("NoMoreData", "ChunkMissingTerminator"))


def test_tables_are_current() -> None:
    """The tables name files that exist."""
    folder = fetch.source("gunicorn") / "tests" / "requests"
    for kind, *tables in (("valid", left_out.VALID, left_out.WITH_HOST), ("invalid", left_out.INVALID)):
        there = {case.name for case in corpus.load(folder / kind)}
        for table in tables:
            assert set(table) <= there, f"{set(table) - there}: no such files"


def _accepts(servers: Servers, case: corpus.Case) -> None:
    port, calls = servers.get(_flags(case.settings))
    before = calls.stat().st_size
    with Wire(port) as wire:
        wire.send(case.data)
        if left_out.VALID.get(case.name) == left_out.SHORT:
            wire.socket.shutdown(socket.SHUT_WR)  # Else it is waited for.
        for expected in case.requests:
            answer = wire.answer(head_only=expected["method"] == "HEAD")
            assert answer.status == 200, f"refused: {answer.status} {answer.body!r}"
            _compare(expected, json.loads(answer.body))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.rest() == b"", "more answers than requests"
    assert calls.stat().st_size - before == len(case.requests)


def _refuses(servers: Servers, case: corpus.Case, *, early: bool = False) -> None:
    port, calls = servers.get(_flags(case.settings))
    before = calls.stat().st_size
    with Wire(port) as wire:
        with contextlib.suppress(ConnectionError):  # It may be refused before all is sent.
            wire.send(case.data)
            if early:
                wire.socket.shutdown(socket.SHUT_WR)
        answer, good = wire.answer(), 0
        while answer.status == 200 and good + 1 < len(case.requests):  # Of several, one is refused.
            answer, good = wire.answer(), good + 1
        assert 400 <= answer.status < 600, f"not refused: {answer.status} {answer.body!r}"
        assert answer.header("Connection") == "close", "Connection: close is missing"
        assert wire.closed(), "the connection is kept"
    assert calls.stat().st_size == before + good, "the application was called"


def _with_host(data: bytes) -> bytes:
    def amend(match: re.Match[bytes]) -> bytes:
        head = match[0]
        return head if b"\nHost:" in head else head.replace(b"\r\n", b"\r\nHost: added\r\n", 1)

    return re.sub(rb"[^\r\n]+ HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*", amend, data)


def _flags(settings: corpus.Settings) -> tuple[str, ...]:
    unknown = set(settings) - set(FLAGS)
    assert not unknown, f"settings that gowsgi has no flag for: {unknown}"
    return tuple(sorted(FLAGS[name].format(value) for name, value in settings.items() if value is not False))


def _compare(expected: dict[str, Any], environ: dict[str, str]) -> None:
    """Compare what gunicorn's parser makes of a request with the environ."""
    uri = expected["uri"]
    assert environ["REQUEST_METHOD"] == expected["method"]
    assert environ["RAW_URI"] == uri["raw"]
    assert environ["PATH_INFO"] == unquote_to_bytes(uri["path"].encode("latin-1")).decode("latin-1")
    assert environ["QUERY_STRING"] == uri["query"]
    assert environ["SERVER_PROTOCOL"] == "HTTP/{}.{}".format(*expected["version"])
    body = expected["body"]
    assert environ["body"] == (body if isinstance(body, str) else body.decode("latin-1"))
    assert _fields(environ) == _expected_fields(expected)


def _expected_fields(expected: dict[str, Any]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in expected["headers"]:
        key = name.replace("-", "_").upper()
        fields[key] = f"{fields[key]},{value}" if key in fields else value
    if "TRANSFER_ENCODING" in fields:  # The body is decoded, so its length is known.
        del fields["TRANSFER_ENCODING"]
        fields["CONTENT_LENGTH"] = str(len(expected["body"]))
    return {key: _spaces(value) for key, value in fields.items()}


def _fields(environ: dict[str, str]) -> dict[str, str]:
    fields = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
    fields |= {key: environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if key in environ}
    if fields.get("HOST") == "added":
        del fields["HOST"]
    return {key: _spaces(value) for key, value in fields.items()}


def _spaces(value: str) -> str:
    return re.sub(r" *, *", ",", value)
