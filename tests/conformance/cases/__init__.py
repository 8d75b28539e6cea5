"""The tables of cases, one module a family."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

from ..checks import Check


@dataclasses.dataclass(frozen=True)
class Half:
    """End the sending side."""


@dataclasses.dataclass(frozen=True)
class Reset:
    """Leave with a RST."""


@dataclasses.dataclass(frozen=True)
class Await:
    """Wait until this came (bytes), or so many responses are finished (int)."""

    what: bytes | int


@dataclasses.dataclass(frozen=True)
class Pieces:
    """Send in pieces of so many bytes with a pause between."""

    data: bytes
    size: int = 1
    pause: float = 0.0


@dataclasses.dataclass(frozen=True)
class Mark:
    """Remember under this name what has come so far."""

    name: str


@dataclasses.dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        id: Unique name, family.case.
        section: Where the rule stands: 'PEP 3333 ...' or 'RFC 9112 6.1'.
        send: Bytes, pauses (float) and the steps above. @T@ stands for the token of the run.
        want: What is allowed.
        methods: The request methods if they cannot be told from the first bytes.
        limit: Seconds to wait for the responses.
    """

    id: str
    section: str
    send: tuple
    want: tuple[Check, ...]
    methods: tuple[str, ...] = ()
    limit: float = 3.0

    @property
    def family(self) -> str:
        """The part of the id before the first dot."""
        return self.id.split(".")[0]


def collect() -> list[Case]:
    """Returns all cases, and checks that no id is taken twice."""
    found: dict[str, Case] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        for case in getattr(importlib.import_module(f"{__name__}.{module}"), "CASES", ()):
            if case.id in found:
                raise ValueError(f"two cases named {case.id}")
            found[case.id] = case
    return list(found.values())


def table(section: str, *rows: tuple) -> list[Case]:
    """Makes cases of (id, what is sent or a tuple of steps, check, ...) under one section.

    A row may begin with its own section as 'RFC ...' or 'PEP ...' before the id.
    """
    made = []
    for row in rows:
        where = section
        if row[0].startswith(("RFC ", "PEP ", "SHOULD ")):
            where, row = row[0], row[1:]
        ident, send, *want = row
        options = want.pop() if isinstance(want[-1], dict) else {}
        steps = send if isinstance(send, tuple) else (send,)
        made.append(Case(ident, where, steps, tuple(want), **options))
    return made


def head(line: str | bytes, *fields: str | bytes) -> bytes:
    """Makes a request head with Host and the token; fields are 'Name: value'."""

    def raw(text: str | bytes) -> bytes:
        return text if isinstance(text, bytes) else text.encode("latin-1")

    return b"\r\n".join([raw(line), b"Host: h", b"X-T: @T@", *map(raw, fields)]) + b"\r\n\r\n"


def get(target: str | bytes = "/ok", *fields: str | bytes, method: str = "GET", minor: int = 1) -> bytes:
    """Makes a request without a body."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    return head(method.encode() + b" " + raw + b" HTTP/1.%d" % minor, *fields)


def post(target: str, data: bytes = b"", *fields: str, method: str = "POST", minor: int = 1) -> bytes:
    """Makes a request with Content-Length and a body."""
    return get(target, *fields, f"Content-Length: {len(data)}", method=method, minor=minor) + data


def chunked(target: str, data: bytes, *fields: str, method: str = "POST") -> bytes:
    """Makes a request whose body is the raw bytes after Transfer-Encoding: chunked."""
    return get(target, *fields, "Transfer-Encoding: chunked", method=method) + data


def spec(*, fields: tuple[str, ...] = (), method: str = "GET", minor: int = 1, **program: object) -> bytes:
    """Makes a request that tells the probe app what to do; see app.py, class Program."""
    text = ascii(program).replace("@", "\\x40") if "@" in ascii(program) else ascii(program)
    return get("/spec", "X-Spec: " + text, *fields, method=method, minor=minor)


def start(status: object = "200 OK", *headers: object, raw: object = None) -> tuple:
    """An op: call start_response; raw replaces the header list."""
    return "start", status, list(headers) if raw is None else raw


def restart(status: object = "500 Oops", *headers: object) -> tuple:
    """An op: call start_response with exc_info."""
    return "restart", status, list(headers)


START = start("200 OK", ("X-App", "first"))
TEXT = ("Content-Type", "text/plain")
