"""Turns exceptions into text and JSON for the Go side, without ever raising."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceback import StackSummary, TracebackException
    from typing import Any


def format_exception(exc: BaseException) -> str:
    """Formats an exception and its causes as Python prints them.

    Frames of gowsgi and of the import machinery are left out where a traceback
    begins with them: they are how the app was reached, not where it failed.

    Args:
        exc: The exception, with whatever traceback it carries.

    Returns:
        The text, ending in a newline; safe to encode as UTF-8. Never raises,
        whatever the exception's own methods do.
    """
    try:
        from traceback import TracebackException

        try:
            report = TracebackException(type(exc), exc, exc.__traceback__)
            _trim(report)
            return _encodable("".join(report.format()))
        except BaseException:
            # A cause, a note or a __getattr__ that breaks the formatter.
            return _format_alone(exc)
    except BaseException:
        return f"{_type_name(exc)}: {_message(exc)}\n"


def summarize(exc: BaseException) -> str:
    """Returns ``Type: message`` for an exception. Never raises."""
    name = _type_name(exc).removeprefix("builtins.")
    message = _message(exc)
    return f"{name}: {message}" if message else name


def describe(exc: BaseException) -> str:
    """Describes an exception for the Go side.

    Args:
        exc: Any exception. One that has ``exit_code``, ``hint`` and
            ``original`` (see ``gowsgi.apps.AppError``) says what the command
            line should do with it; its traceback is the original error's.

    Returns:
        A JSON object in ASCII: ``type``, ``message``, ``traceback``,
        ``exit_code`` (int or null) and ``hint`` (str or null). Never raises.
    """
    from gowsgi.apps import AppError

    description: dict[str, object] = {
        "type": _type_name(exc),
        "message": _message(exc),
        "traceback": "",
        "exit_code": None,
        "hint": None,
    }
    # Not isinstance, which would ask an exception's own __class__.
    error: Any = exc if issubclass(type(exc), AppError) else None
    if error is not None:
        description["exit_code"] = error.exit_code
        description["hint"] = None if error.hint is None else _encodable(error.hint)
        description["traceback"] = error.traceback_text()
    else:
        description["traceback"] = format_exception(exc)
    from json import dumps

    return dumps(description)


def exit_status(exc: BaseException) -> int:
    """Returns the status that Python ends a process with that raises this."""
    if not isinstance(exc, SystemExit):
        return 1
    if exc.code is None:
        return 0
    return exc.code & 0xFF if isinstance(exc.code, int) else 1


_OWN_FILES = format_exception.__code__.co_filename.rpartition("/")[0] + "/"


def _format_alone(exc: BaseException) -> str:
    from traceback import extract_tb, format_list

    stack = extract_tb(exc.__traceback__)
    lines = format_list(stack[_own_frames(stack) :])
    return _encodable("".join(["Traceback (most recent call last):\n", *lines, summarize(exc), "\n"]))


def _own_frames(stack: StackSummary) -> int:
    """Counts the frames at the top that belong to gowsgi or to importlib."""
    for index, frame in enumerate(stack):
        if not frame.filename.startswith((_OWN_FILES, "<frozen importlib")):
            return index
    return len(stack)


def _trim(report: TracebackException) -> None:
    seen = set()
    todo = [report]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        own = _own_frames(one.stack)
        if own and own == len(one.stack):
            one.stack = None  # type: ignore[assignment]  # no header without frames
        elif own:
            del one.stack[:own]
        todo += filter(None, [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())])


def _type_name(exc: BaseException) -> str:
    try:
        kind = type(exc)
        return _encodable(f"{kind.__module__}.{kind.__qualname__}")
    except BaseException:
        return "<unknown exception>"


def _message(exc: BaseException) -> str:
    try:
        return _encodable(str(exc))
    except BaseException:
        return "<message unavailable: its __str__ failed>"


def _encodable(text: str) -> str:
    # Lone surrogates (file names, bad decoding) would be lost in Go's JSON.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
