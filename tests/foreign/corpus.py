"""Reads gunicorn's request corpus: pairs of NAME.http (what is sent) and NAME.py (what is expected).

The .py files are run with stubs in place of gunicorn: they may set options on a
`Config`, name an exception, and build expectations with `uri()`. Nothing else is importable.
"""

from __future__ import annotations

import builtins
import re
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

ESCAPES = {b"r\\n": b"\r\n", b"0": b"\0", b"n": b"\n", b"t": b"\t"}


class Settings(dict):
    """Stands for gunicorn.config.Config: remembers what is set."""

    def set(self, name: str, value: Any) -> None:
        """Remember an option."""
        self[name] = value


@dataclass
class Case:
    """One file of the corpus."""

    name: str
    data: bytes
    settings: Settings = field(default_factory=Settings)
    requests: list[dict[str, Any]] = field(default_factory=list)  # Of a valid case.
    error: str = ""  # Of an invalid one: the name of gunicorn's exception.


def load(folder: Path) -> list[Case]:
    """Return the cases of tests/requests/valid or tests/requests/invalid."""
    return [_case(path) for path in sorted(folder.glob("*.http"))]


def _case(path: Path) -> Case:
    # Line ends of the file are for the eye; those that are sent are spelt out.
    text = path.read_bytes().replace(b"\n", b"")
    data = re.sub(rb"\\(r\\n|0|n|t|x[0-9A-Fa-f]{2})", _unescape, text)
    assert b"\\" not in data, f"{path.name} has an escape that is not understood"
    case = Case(path.stem, data)
    expected = _interpret(path.with_suffix(".py"), case.settings)
    if isinstance(expected, type):
        case.error = expected.__name__
    else:
        case.requests = expected if isinstance(expected, list) else [expected]
    return case


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code[1:], 16)]) if code[:1] == b"x" else ESCAPES[code]


def _interpret(path: Path, settings: Settings) -> Any:
    errors = types.ModuleType("gunicorn.http.errors")
    errors.__getattr__ = lambda name: type(name, (Exception,), {})  # type: ignore[method-assign]
    config = types.ModuleType("gunicorn.config")
    config.Config = lambda: settings  # type: ignore[attr-defined]
    stubs = {"gunicorn.http.errors": errors, "gunicorn.config": config}

    def importer(name: str, *_args: object) -> types.ModuleType:
        return stubs[name]

    names = {"__builtins__": vars(builtins) | {"__import__": importer}, "uri": _uri, "cfg": settings}
    exec(compile(path.read_bytes(), str(path), "exec"), names)
    return names["request"]


def _uri(raw: str) -> dict[str, Any]:
    # A target may begin with two slashes, which are no authority; "a:443" has no scheme.
    if raw.startswith("/"):
        path, _, query = raw.partition("#")[0].partition("?")
    else:
        parts = urlsplit(raw)
        path, query = parts.path, parts.query
    return {"raw": raw, "path": path, "query": query}
