"""Finds where two readings part, and takes the bytes there apart by the loosest reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from .readers import Reading, Request

_BLANK = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"\r?\n")
_LAST_CHUNK = re.compile(rb"(?:\A|\n)0+[^0-9A-Fa-f\n][^\n]*\n")


@dataclass
class Disagreement:
    """The first request on which gowsgi and a peer disagree.

    Attributes:
        peer: "h11" or "llhttp".
        data: The whole input.
        rest: The input from that request on.
        ours: What gowsgi does with it: "accept", "refused", "more", "all" or "closed".
        theirs: The same of the peer.
        cause: Why the one that refuses does.
        differs: If both accept it: the attribute of Request in which they differ.
        request: gowsgi's reading of it, if it accepts.
        later: Who waits for more refuses it when the line and the head end here.
    """

    peer: str
    data: bytes
    rest: bytes
    ours: str
    theirs: str
    cause: str = ""
    differs: str = ""
    request: Request | None = None
    later: bool = False

    @cached_property
    def _split(self) -> tuple[bytes, bytes]:
        head, *body = _BLANK.split(self.rest.lstrip(b"\r\n"), maxsplit=1)
        return head, body[0] if body else b""

    @property
    def head(self) -> bytes:
        """The head, with no line end behind it."""
        return self._split[0]

    @property
    def body(self) -> bytes:
        """All that follows the head."""
        return self._split[1]

    @cached_property
    def trailer(self) -> bytes:
        """What follows a chunk of size 0."""
        last = _LAST_CHUNK.search(self.body)
        return self.body[last.end() :] if last else b""

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines of the head."""
        return _LINE.split(self.head)

    @cached_property
    def words(self) -> list[bytes]:
        """Method, target and version, the latter two possibly missing."""
        first, *more = self.lines[0].split(b" ", 1)
        return [first, *(more[0].rsplit(b" ", 1) if more else [])]

    @property
    def method(self) -> bytes:
        """The first word of the request line."""
        return self.words[0]

    @property
    def target(self) -> bytes:
        """What stands between the first word and the last."""
        return self.words[1] if len(self.words) > 1 else b""

    @property
    def version(self) -> bytes:
        """The last word of the request line."""
        return self.words[2] if len(self.words) > 2 else b""

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field; lines that continue one are not looked at."""
        pairs = [line.split(b":", 1) for line in self.lines[1:] if b":" in line]
        return [value.strip(b" \t") for key, value in pairs if key.lower() == name]

    @property
    def size_lines(self) -> list[bytes]:
        """Lines of the body that may be meant as chunk sizes."""
        return [line for line in self.body.split(b"\n") if re.match(rb"[0-9A-Fa-f]", line)]


def compare(peer: str, data: bytes, ours: Reading, theirs: Reading) -> Disagreement | None:
    """Returns where the readings part, None if they do not."""
    for mine, other in zip(ours.requests, theirs.requests, strict=False):
        for name in ("method", "target", "minor", "fields", "body", "keep"):
            if _comparable(getattr(mine, name)) != _comparable(getattr(other, name)):
                return Disagreement(peer, data, data[mine.start :], "accept", "accept", differs=name, request=mine)
    at = min(len(ours.requests), len(theirs.requests))
    end = ours.requests[at].start if at < len(ours.requests) else ours.end_at
    state = "accept" if len(ours.requests) > at else ours.end
    other = "accept" if len(theirs.requests) > at else theirs.end
    if state == other or other == "stopped":
        return None
    cause = ours.cause if state == "refused" else theirs.cause
    request = ours.requests[at] if state == "accept" else None
    return Disagreement(peer, data, data[end:], state, other, cause, request=request)


def _comparable(value: object) -> object:
    # h11 writes codings in lowercase.
    if isinstance(value, list):
        return [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in value]
    return value
