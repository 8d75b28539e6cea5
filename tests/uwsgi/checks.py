"""What may come back: predicates over a Talk, each with words for the report."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable

from .wire import Talk

ABSENT = "(absent)"


@dataclasses.dataclass(frozen=True)
class Check:
    """One expectation: `test` returns "" if it holds, else what came instead.

    Attributes:
        path: A file that must not be there before.
        late: It may come to hold a moment after the answer.
    """

    want: str
    test: Callable[[Talk], str]
    path: str = ""
    late: bool = False


def brief(answer: Talk) -> str:
    """Describe what came."""
    if not answer.raw:
        return f"nothing [{answer.end}]"
    return f"{answer.status} {answer.body[:80]!a} ({len(answer.body)} bytes) [{answer.end}]"


def shorten(text: str) -> str:
    """At most 50 characters of a text."""
    return text if len(text) <= 50 else text[:47] + "..."


def _seen(answer: Talk) -> dict:
    try:
        return json.loads(answer.body) if answer.status == 200 else {}
    except ValueError:
        return {}


def env(name: str, *values: str) -> Check:
    """The environ has one of these values, or ABSENT."""

    def test(answer: Talk) -> str:
        strings = _seen(answer).get("strings")
        if strings is None:
            return brief(answer)
        got = strings.get(name, ABSENT)
        return "" if got in values else f"{name}={got!a}"

    return Check(f"{shorten(name)} is " + " or ".join(shorten(ascii(v)) for v in values), test)


def not_env(name: str, *values: str) -> Check:
    """The environ has none of these values."""

    def test(answer: Talk) -> str:
        strings = _seen(answer).get("strings")
        if strings is None:
            return brief(answer)
        got = strings.get(name, ABSENT)
        return f"{name}={got!a}" if got in values else ""

    return Check(f"{name} is not " + " nor ".join(map(ascii, values)), test)


def seen(name: str, *values: object) -> Check:
    """What the application says it saw, by a path such as types/wsgi.version."""

    def test(answer: Talk) -> str:
        got: object = _seen(answer)
        if not got:
            return brief(answer)
        for key in name.split("/"):
            got = got.get(key, ABSENT) if isinstance(got, dict) else ABSENT
        return "" if got in values else f"{name} is {got!a}"

    return Check(f"{name} is " + " or ".join(shorten(ascii(v)) for v in values), test)


def status(*codes: int) -> Check:
    """The status is one of these."""
    return Check(f"status {' or '.join(map(str, codes))}", lambda a: "" if a.status in codes else brief(a))


def refused() -> Check:
    """An error answer, or none: the application has not been asked."""

    def test(answer: Talk) -> str:
        return brief(answer) if 0 < answer.status < 400 or answer.end == "open" else ""

    return Check("refused: an error or nothing, and the connection closed", test)


def refused_or(*others: Check) -> Check:
    """Refused, or served like this."""

    def test(answer: Talk) -> str:
        if not refused().test(answer):
            return ""
        return next((got for check in others if (got := check.test(answer))), "")

    return Check("refused, or " + " and ".join(c.want for c in others), test)


def body(data: bytes) -> Check:
    """The body is this, and whole."""
    return Check(f"body {data[:60]!a}", lambda a: "" if a.body == data and a.end == "eof" else brief(a))


def body_size(size: int) -> Check:
    """The body has so many bytes."""
    return Check(f"{size} bytes of body", lambda a: "" if len(a.body) == size else brief(a))


def pieces(*parts: str) -> Check:
    """The body is a JSON list of these."""
    want = json.dumps(list(parts)).encode()
    return Check(f"pieces {parts!a}"[:100], lambda a: "" if a.body == want else brief(a))


def field(name: str, *values: str) -> Check:
    """The answer's fields of that name have these values, in this order."""
    return Check(
        f"{name}: {', '.join(values) or 'absent'}",
        lambda a: "" if a.raw and a.fields(name) == list(values) else f"{a.fields(name)} {brief(a)}",
    )


def says(text: str) -> Check:
    """The status line has this reason."""
    return Check(f"reason {text!a}", lambda a: "" if a.reason == text else f"{a.reason!a} {brief(a)}")


def nowhere(text: str) -> Check:
    """The answer has this text nowhere."""
    return Check(f"{text!a} nowhere", lambda a: brief(a) if text.encode() in a.raw else "")


def raw(data: bytes) -> Check:
    """Exactly these bytes."""
    return Check(f"{data!a}", lambda a: "" if a.raw == data else f"{a.raw[:80]!a} [{a.end}]")


def cut() -> Check:
    """The answer does not look whole: too short for its length, or ended by a reset."""

    def test(answer: Talk) -> str:
        lengths = answer.fields("Content-Length")
        short = lengths and len(answer.body) < int(lengths[0])
        return "" if short or answer.end == "reset" or answer.status >= 500 else brief(answer)

    return Check("an answer that does not look whole", test)


def spread(seconds: float) -> Check:
    """The bytes came over at least that time."""

    def test(answer: Talk) -> str:
        took = answer.arrivals[-1] - answer.arrivals[0] if answer.arrivals else 0.0
        return "" if took >= seconds else f"all within {took:.3f} s, {brief(answer)}"

    return Check(f"bytes that come over {seconds} s", test)


def no_file(path: str) -> Check:
    """A file is not there."""
    name = os.path.basename(path)
    return Check(f"no file {name}", lambda _a: f"{name} is there" if os.path.exists(path) else "", path)


def file_has(path: str, text: str) -> Check:
    """A file has this text, a second from now at the latest."""

    def test(_answer: Talk) -> str:
        try:
            with open(path) as lines:
                got = lines.read()
        except FileNotFoundError:
            got = "(no file)"
        return "" if got == text else ascii(got)

    return Check(f"{os.path.basename(path)} has {text!a}", test, path, late=True)


def chunked() -> Check:
    """No answer is chunked: web servers pass on what comes."""
    return Check("no Transfer-Encoding", lambda a: "chunked" if a.fields("Transfer-Encoding") else "")


def closed() -> Check:
    """The server closes after the one answer."""
    return Check("the connection closed", lambda a: "still open" if a.end == "open" else "")
