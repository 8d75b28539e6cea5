"""The parser of application specs: nothing but AppSpecError, and specs read back as written."""

from __future__ import annotations

import math
import random
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from gowsgi.apps import AppSpecError, Spec, parse

COUNT = 20_000
NAMES = ["app", "a", "_b", "naïve", "π", "my_app2", "None_", "Ω"]
MODULES = [*NAMES, "my-app", "1st", "class", "a+b", "app.py2"]
PIECES = [
    ":", ".", "..", "(", ")", "()", ",", "=", "*", "**", "'", '"', "\\", "\n", "\0", " ", "\t", "/", ".py", "#", ";",
    "@", "{", "}", "[", "]", "0x", "1e9", "f'{a}'", "b'\\xff'", "lambda: 0", "a := 1", "x for x in y", "await a",
    "yield", "not", "-", "+", "~", "...", "None", "\ud800", "\u2028", "\xa0", "é", "e\u0301", "1j", "'\\d'",
    "'\\N{x}'", "if", "else", "\x0c", "\ufeff", "123456789" * 600, "((((", "app", "create_app", "a.b", "k=1", "set()",
]  # fmt: skip


def _name(rnd: random.Random) -> str:
    return rnd.choice(NAMES)


def _value(rnd: random.Random, depth: int = 0) -> object:
    """A literal value of any kind."""
    kind = rnd.randrange(8 if depth > 3 else 13)
    if kind < 2:
        return rnd.choice([0, 1, -1, 10**30, True, False, None, ...])
    if kind < 4:
        return rnd.choice([0.5, -2.0, 1e300, math.inf, -math.inf, 2j, 1 - 3j])
    if kind < 8:
        text = "".join(rnd.choice("ab:.()'\"\\\n\0 é\U0001f600=,") for _ in range(rnd.randrange(6)))
        return text if kind < 7 else text.encode()
    items = [_value(rnd, depth + 1) for _ in range(rnd.randrange(4))]
    if kind < 10:
        return tuple(items) if kind == 8 else items
    plain = [rnd.choice([1, "a", None, 2.5, b"c"]) for _ in items]
    return set(plain) if kind == 10 else dict(zip(plain, items, strict=True))


def _literal(value: object) -> str:
    """A value in the form in which Python reads it; repr is not, for infinity."""
    if value is ...:
        return "..."
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(_literal, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if value else "()"
    if isinstance(value, set):
        return "{" + ", ".join(map(_literal, value)) + "}" if value else "set()"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _text(module: str, path: list[str], arguments: tuple[list, dict] | None) -> str:
    text = module
    if path:
        text += ":" + ".".join(path)
    if arguments is not None:
        args = [_literal(value) for value in arguments[0]]
        text += "(" + ", ".join(args + [f"{key}={_literal(value)}" for key, value in arguments[1].items()]) + ")"
    return text


def _make(rnd: random.Random) -> tuple[str, list[str], tuple[list, dict] | None]:
    module = ".".join(rnd.choice(MODULES) for _ in range(rnd.randint(1, 3)))
    path = [_name(rnd) for _ in range(rnd.randrange(4))]
    if not path or rnd.random() < 0.4:
        return module, path, None
    args = [_value(rnd) for _ in range(rnd.randrange(3))]
    return module, path, (args, {_name(rnd): _value(rnd) for _ in range(rnd.randrange(3))})


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and (a == b or _literal(a) == _literal(b))


def _check(spec: Spec, module: str, path: list[str], arguments: tuple[list, dict] | None) -> None:
    assert spec.module == module
    assert spec.path == path
    assert (spec.arguments is None) == (arguments is None)
    if arguments is not None:
        assert _same(spec.arguments, arguments), (spec.arguments, arguments)


@pytest.fixture
def seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """A seed of its own for each run, in a folder without files."""
    monkeypatch.chdir(tmp_path)
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    return seed


def test_what_is_written_is_read(seed: int) -> None:
    """A spec made of parts has these parts."""
    for rnd in (random.Random(1), random.Random(seed)):
        for _ in range(COUNT // 4):
            parts = _make(rnd)
            text = _text(*parts)
            if any(part.endswith(".py") for part in parts[0].split("/")):
                continue
            try:
                _check(parse(text), *parts)
            except AppSpecError as error:
                pytest.fail(f"{text!r} is refused: {error}")


def test_anything_is_read_or_refused(seed: int) -> None:
    """Any text gives a spec that reads back the same, or AppSpecError with a message of one line."""
    accepted = 0
    for rnd in (random.Random(2), random.Random(seed)):
        for _ in range(COUNT):
            text = _text(*_make(rnd)) if rnd.random() < 0.7 else ""
            for _ in range(rnd.choice([1, 1, 2, 3, 8])):
                at = rnd.randrange(len(text) + 1)
                text = text[:at] + rnd.choice(PIECES) + text[at + rnd.choice([0, 0, 1, 3]) :]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # '\d' and the like
                spec = _parse_or_refuse(text)
                if spec is None:
                    continue
                accepted += 1
                again = _text(spec.module, spec.path, spec.arguments)
                if "inf" not in again and "nan" not in again:  # inside complex numbers
                    _check(parse(again), spec.module, spec.path, spec.arguments)
    assert accepted > COUNT / 20


def _parse_or_refuse(text: str) -> Spec | None:
    try:
        spec = parse(text)
    except AppSpecError as error:
        assert "\n" not in str(error), text
        assert error.hint is None or isinstance(error.hint, str)
        return None
    assert spec.text == text
    assert spec.module
    assert not any(char.isspace() or char in ":\0/" for char in spec.module), text
    assert all(part.isidentifier() for part in spec.path), text
    return spec


@pytest.mark.parametrize("piece", ["(", "[", "-", "not ", "a.", "1+", "{1:", "f(", "lambda: ", "b''", "'", "0"])
def test_deep_nesting(piece: str) -> None:
    """Text that outgrows Python's own parser is refused, not more."""
    for size in (50, 500, 5_000, 50_000):
        for text in ("m:f(" + piece * size, "m:f(" + piece * size + ")", "m:" + piece * size, piece * size):
            _parse_or_refuse(text)
