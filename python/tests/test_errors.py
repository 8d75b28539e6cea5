import json
import sys

import pytest

from gowsgi import apps, embed, errors


def catch(function):
    try:
        function()
    except BaseException as exc:
        return exc
    raise AssertionError("nothing raised")


def raise_with(exc):
    return catch(lambda: (_ for _ in ()).throw(exc))


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no str")


class BadEverything(Exception):
    def __getattribute__(self, name):
        raise RuntimeError("no attributes")

    def __str__(self):
        raise SystemExit(9)

    __repr__ = __str__


class BadNotes(Exception):
    @property
    def __notes__(self):
        raise KeyboardInterrupt


def in_a_ring():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    first.__context__ = first
    return first


def chained():
    def run():
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError as exc:
            raise KeyError("outer") from exc

    return catch(run)


def test_text_is_pythons_own():
    import traceback

    exc = chained()
    assert errors.format_exception(exc) == "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    assert "direct cause" in errors.format_exception(exc)


def test_description():
    description = json.loads(embed.describe_error(chained()))
    assert description["type"] == "builtins.KeyError"
    assert description["message"] == "'outer'"
    assert description["traceback"].endswith("KeyError: 'outer'\n")
    assert description["exit_code"] is None
    assert description["hint"] is None


def test_description_of_an_app_error(project):
    project(broken="1/0\n")
    exc = catch(lambda: embed.load("broken:app"))
    description = json.loads(embed.describe_error(exc))
    assert description["type"] == "gowsgi.apps.AppImportError"
    assert description["exit_code"] == 3
    assert description["traceback"].startswith("Traceback (most recent call last):\n  File ")
    assert "apps.py" not in description["traceback"]
    assert json.loads(embed.describe_error(apps.AppSpecError("m", "h\udcff"))) == {
        "type": "gowsgi.apps.AppSpecError",
        "message": "m",
        "traceback": "",
        "exit_code": 4,
        "hint": "h\\udcff",
    }


@pytest.mark.parametrize(
    "make",
    [
        BadStr,
        BadEverything,
        BadNotes,
        in_a_ring,
        lambda: SystemExit(3),
        lambda: KeyboardInterrupt(),
        lambda: ValueError("lone \udcff surrogate"),
        lambda: SyntaxError("bad", ("file\udcff", "one", "two", None)),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"),
        lambda: type("Näme\udcff".replace("\udcff", ""), (Exception,), {"__module__": None})(),
    ],
)
def test_never_raises(make):
    exc = raise_with(make())
    text = embed.format_exception(exc)
    assert text.endswith("\n")
    text.encode("utf-8")
    description = json.loads(embed.describe_error(exc))
    assert set(description) == {"type", "message", "traceback", "exit_code", "hint"}
    json.dumps(description, ensure_ascii=False).encode("utf-8")


def test_broken_exception_still_shows_where():
    text = errors.format_exception(raise_with(BadNotes()))
    assert "in catch" in text
    assert text.endswith("BadNotes\n")


def test_deep_recursion_and_long_chains():
    def down():
        down()

    assert "RecursionError" in errors.format_exception(catch(down))
    exc = ValueError("0")
    for _ in range(2000):
        outer = ValueError("x")
        outer.__cause__ = exc
        exc = outer
    assert errors.format_exception(exc).endswith("ValueError: x\n")


def test_at_the_recursion_limit():
    texts = []

    def down():
        try:
            down()
        except RecursionError as exc:
            if len(texts) < 20:
                texts.append(errors.format_exception(exc))
            raise

    catch(down)
    # So near the limit not even the name of a type may be had.
    assert len(texts) == 20
    assert all(text.endswith("\n") for text in texts)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is new in 3.11")
def test_exception_group():
    exc = raise_with(ExceptionGroup("both", [chained(), BadStr()]))  # noqa: F821
    text = errors.format_exception(exc)
    assert "ZeroDivisionError" in text
    assert "BadStr" in text
