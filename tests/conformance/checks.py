"""What may come back: small predicates over a conversation, each with words for the report."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable

from .wire import Response, Talk


@dataclasses.dataclass(frozen=True)
class Check:
    """One expectation.

    Attributes:
        want: The expectation in words.
        test: Returns '' if it holds, else what came instead.
        count: Finished responses to wait for before judging.
        need: 'close' to wait for the server to close, 'quiet' to see that nothing more comes,
            'events' to wait until the test holds, since the app may note things later.
    """

    want: str
    test: Callable[[Talk], str]
    count: int = 1
    need: str = ""


def brief(talk: Talk) -> str:
    """Describes what came."""
    parts = []
    for r in talk.responses[:4]:
        words = f"{r.status}" + ("" if r.complete else " (unfinished)") + f" {r.framing}"
        parts.append(words + (" " + ascii(r.body[:60]) if r.body else ""))
    if len(talk.responses) > 4:
        parts.append(f"... {len(talk.responses)} responses")
    if talk.fault:
        parts.append("malformed: " + talk.fault)
    if not talk.raw:
        parts.append("nothing")
    return " | ".join(parts) + f" [{talk.end}]"


def shorten(text: str) -> str:
    """Keeps 160 characters."""
    return text if len(text) <= 160 else f"{text[:160]}... ({len(text)} characters)"


def _on(
    want: str,
    holds: Callable[[Response, Talk], bool],
    nth: int = 0,
    got: Callable[[Response], object] | None = None,
    need: str = "",
) -> Check:
    def test(talk: Talk) -> str:
        if len(talk.responses) <= nth:
            return brief(talk)
        r = talk.responses[nth]
        if holds(r, talk):
            return ""
        return ascii(got(r)) if got else brief(talk)

    return Check(want if not nth else f"response {nth + 1}: {want}", test, count=nth + 1, need=need)


def status(*allowed: int, nth: int = 0) -> Check:
    """The status is one of allowed, in a well-formed response."""
    return _on("status " + "/".join(map(str, allowed)), lambda r, t: r.status in allowed, nth)


def clazz(digit: int, nth: int = 0) -> Check:
    """The status is of that class."""
    return _on(f"status {digit}xx", lambda r, t: r.status // 100 == digit, nth)


def reason(text: str) -> Check:
    """The reason phrase is that text."""
    return _on(f"reason {text!r}", lambda r, t: r.reason == text, got=lambda r: r.reason)


def body(data: bytes, nth: int = 0) -> Check:
    """The body is exactly data, and finished."""
    shown = ascii(data) if len(data) < 80 else f"{len(data)} bytes"
    return _on(
        "body " + shown,
        lambda r, t: r.body == data and r.complete,
        nth,
        lambda r: (
            r.body[:80]
            + (b" ... %d bytes" % len(r.body) if len(r.body) > 80 else b"")
            + (b"" if r.complete else b" (unfinished)")
        ),
    )


def size(length: int) -> Check:
    """The body is finished and has that length."""
    return _on(
        f"{length} body bytes",
        lambda r, t: len(r.body) == length and r.complete,
        got=lambda r: f"{len(r.body)} bytes, complete={r.complete}",
    )


def starts(data: bytes) -> Check:
    """The body begins with data."""
    return _on("body begins " + ascii(data), lambda r, t: r.body.startswith(data), got=lambda r: r.body[:80])


def hides(data: bytes) -> Check:
    """Nothing on the wire contains data."""
    return Check("no " + ascii(data) + " on the wire", lambda t: brief(t) if data in t.raw else "")


def version(minor: int) -> Check:
    """The answer says HTTP/1.minor."""
    return _on(f"HTTP/1.{minor}", lambda r, t: r.minor == minor, got=lambda r: f"HTTP/1.{r.minor}")


def field(name: str, *values: str, nth: int = 0) -> Check:
    """The field occurs with exactly these values in this order."""
    return _on(
        f"{name}: {' & '.join(values)}",
        lambda r, t: r.all(name) == list(values),
        nth,
        lambda r: f"{name}: {r.all(name)}",
    )


def field_like(name: str, pattern: str) -> Check:
    """The field occurs once and matches."""
    return _on(
        f"{name} like {pattern}",
        lambda r, t: len(r.all(name)) == 1 and bool(re.fullmatch(pattern, r.all(name)[0])),
        got=lambda r: f"{name}: {r.all(name)}",
    )


def field_case(name: str) -> Check:
    """The field name came in exactly that case."""
    return _on(
        f"field name {name} as written",
        lambda r, t: any(n == name for n, _ in r.fields),
        got=lambda r: [n for n, _ in r.fields],
    )


def lacks(*names: str) -> Check:
    """None of the fields is present."""
    return _on("no " + ", ".join(names), lambda r, t: not any(r.all(n) for n in names), got=lambda r: r.fields)


def framing(*kinds: str) -> Check:
    """The body was delimited in one of these ways: length, chunked, close or none."""
    return _on("framing " + "/".join(kinds), lambda r, t: r.framing in kinds, got=lambda r: r.framing)


def says(key: str, value: object) -> Check:
    """The JSON answer of the probe holds value under the key, its parts split by slashes."""

    def find(r: Response) -> object:
        try:
            doc = json.loads(r.body)
            for part in key.split("/"):
                doc = doc[int(part)] if isinstance(doc, list) else doc[part]
        except (ValueError, LookupError, TypeError):
            return "absent"
        return doc

    def test(talk: Talk) -> str:
        if not talk.first or talk.first.status != 200:
            return brief(talk)
        got = find(talk.first)
        allowed = value if isinstance(value, Any) else Any(value)
        return "" if any(got == v and type(got) is type(v) for v in allowed.values) else shorten(ascii(got))

    return Check(f"{key} = {shorten(repr(value))}", test)


def differs(key: str, value: object) -> Check:
    """The JSON answer of the probe holds something else than value under the key."""
    same = says(key, value)
    return Check(
        f"{key} other than {value!r}",
        lambda t: "" if t.first and t.first.status == 200 and same.test(t) not in ("", "'absent'") else brief(t),
    )


class Any:
    """A choice of values."""

    def __init__(self, *values: object) -> None:
        """Keeps the values."""
        self.values = values

    def __repr__(self) -> str:
        """Shows the choice."""
        return " or ".join(ascii(v) for v in self.values)


def env(key: str, value: object) -> Check:
    """The app saw environ[key] == value; 'absent' if it must not be there."""
    return says("environ/" + key, value)


whole = _on("a finished response", lambda r, t: r.complete)
cut = _on("a visibly unfinished response or 5xx", lambda r, t: not r.complete or r.status >= 500, need="close")
closes = Check("the server closes", lambda t: "kept open" if t.end == "open" else "", need="close")
stays = Check("the connection is kept", lambda t: f"closed ({t.end})" if t.end != "open" else "", need="quiet")
readable = Check("no reset", lambda t: "connection reset" if t.end == "reset" else "", need="quiet")
single = Check(
    "one response and nothing more", lambda t: brief(t) if len(t.responses) > 1 or t.leftover else "", need="quiet"
)
silent = Check("no response", lambda t: brief(t) if t.raw else "", count=0, need="quiet")
clean = Check("well-formed responses", lambda t: t.fault)


not_ok = Check("no 2xx", lambda t: brief(t) if any(200 <= r.status < 300 for r in t.responses) else "")


def responses(count: int) -> Check:
    """Exactly that many finished responses came."""

    def test(talk: Talk) -> str:
        return "" if len(talk.responses) == count and all(r.complete for r in talk.responses) else brief(talk)

    return Check(f"{count} responses", test, count=count, need="quiet")


def interim(*codes: int) -> Check:
    """The interim responses before the first final one."""
    return _on(f"interim {list(codes)}", lambda r, t: r.interim == list(codes), got=lambda r: r.interim)


def calls(*wanted: str) -> Check:
    """The app was called with exactly these 'METHOD path' in this order."""

    def test(talk: Talk) -> str:
        got = [e[1] for e in talk.events if e[0] == "call"]
        return "" if got == list(wanted) else f"app called {got}"

    return Check("app called " + (", ".join(wanted) or "not at all"), test, need="events" if wanted else "quiet")


def uncalled(path: str) -> Check:
    """The app was never called for that path."""

    def test(talk: Talk) -> str:
        got = [e[1] for e in talk.events if e[0] == "call" and path in e[1]]
        return f"app called {got}" if got else ""

    return Check(f"app not called for {path}", test, need="quiet")


def noted(*event: object, times: int | None = 1) -> Check:
    """The app noted that event, so many times (None: at least once)."""

    def test(talk: Talk) -> str:
        got = [e for e in talk.events if e[: len(event)] == list(event)]
        if (len(got) == times) if times is not None else got:
            return ""
        return f"{len(got)} times in {talk.events}"[:300]

    return Check(f"app noted {' '.join(map(str, event))}" + ("" if times == 1 else f" x{times}"), test, need="events")


def order(*names: str) -> Check:
    """These events occurred in this order among the app's notes."""

    def test(talk: Talk) -> str:
        got = [e[0] for e in talk.events if e[0] in names]
        return "" if got == list(names) else f"{got}"

    return Check("events " + " < ".join(names), test, need="events")


def both(*parts: Check) -> Check:
    """All of the parts."""

    def test(talk: Talk) -> str:
        return next((got for p in parts if (got := p.test(talk))), "")

    needs = {p.need for p in parts}
    need = next((n for n in ("close", "events", "quiet") if n in needs), "")
    return Check(" and ".join(p.want for p in parts), test, max(p.count for p in parts), need)


def either(*parts: Check) -> Check:
    """At least one of the parts."""

    def test(talk: Talk) -> str:
        got = [p.test(talk) for p in parts]
        return "" if "" in got else brief(talk) + "; " + " / ".join(got)

    needs = {p.need for p in parts}
    need = next((n for n in ("close", "quiet", "events") if n in needs), "")
    return Check(" OR ".join(f"({p.want})" for p in parts), test, min(p.count for p in parts), need)


def refused(*codes: int) -> Check:
    """An error answer, the connection closed, the app not called, nothing after it processed."""
    return both(status(*(codes or (400,))), whole, closes, single, calls())


def refused_if_answered(*codes: int) -> Check:
    """As refused, but closing without an answer is allowed too."""
    return either(refused(*codes), both(silent, closes, calls()))


error500 = both(status(500), whole, clean, single, hides(b"SECRET"))
