"""Calls of Python functions by a Go program.

A call is a request to the application of this module: so it has a thread, a
context and an end as requests have. Arguments and results are bytes of ``marshal``,
format 2, which every CPython writes and reads in C; pyembed/value.go is the other
side. What marshal has no form for is a tuple that begins with ``...``:
``(..., TIME, microseconds since 1970, seconds east of UTC)`` and
``(..., DURATION, microseconds)``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from marshal import dumps, loads
from operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FORMAT = 2
TIME, DURATION = 0, 1

_LEAVES = frozenset({type(None), bool, int, float, str, bytes})
_NAMES = frozenset({str})


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Calls a function: the application of PEP 3333 that pyembed.Caller asks.

    Args:
        environ: ``wsgi.input`` holds the module's name, the function's dotted path
            in it, whether some of the arguments are tuples that stand for others,
            positional and keyword arguments.
        start_response: Called once there is a result.

    Returns:
        The result's bytes. What the function raises, this raises.
    """
    name, path, tagged, args, kwargs = loads(environ["wsgi.input"].getvalue())
    value: Any = sys.modules[name]
    for part in path.split("."):
        value = getattr(value, part)
    if tagged:
        args, kwargs = revive(args), revive(kwargs)
    value = plain(value(*args, **kwargs))
    start_response("200 OK", [])
    return [dumps(value, FORMAT)]


def plain(value: Any) -> Any:
    """Makes a value of what marshal writes and Go reads.

    Args:
        value: None, bool, int, float, str, bytes-like, datetime with a time zone,
            timedelta; sequences, sets, and mappings with str as keys, of such;
            instances of subclasses; and what has ``tolist``, as numpy's arrays and
            scalars.

    Returns:
        The value itself where it is plain.

    Raises:
        TypeError: If there is something else in it.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is list or kind is tuple:
        # Large lists of numbers are common: no step of Python for each item.
        return value if _LEAVES.issuperset(map(type, value)) else [plain(item) for item in value]
    if kind is dict and _NAMES.issuperset(map(type, value)) and _LEAVES.issuperset(map(type, value.values())):
        return value
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    for family, convert in _FAMILIES:
        if isinstance(value, family):
            return convert(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (Sequence, Set)):
        return [plain(item) for item in value]
    return _moment(value)


_FAMILIES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (int, index),
    (float, float),
    (str, str.__str__),
    ((bytes, bytearray), bytes),
    (memoryview, memoryview.tobytes),
)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise TypeError(f"a dict for Go has str as keys, not {type(key).__qualname__}")


def _moment(value: Any) -> Any:
    if "datetime" in sys.modules:
        from datetime import datetime, timedelta, timezone

        if isinstance(value, datetime):
            offset = value.utcoffset()
            if offset is None:
                raise TypeError("a datetime for Go has a time zone: datetime.now(timezone.utc), for one")
            since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
            return (..., TIME, since // timedelta(microseconds=1), offset // timedelta(seconds=1))
        if isinstance(value, timedelta):
            return (..., DURATION, value // timedelta(microseconds=1))
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} has no counterpart in Go")


def revive(value: Any) -> Any:
    """Puts what the tuples that Go has made stand for in their place.

    Args:
        value: What was read; Go makes no other tuples.

    Returns:
        The value, with datetimes and timedeltas in it.
    """
    kind = type(value)
    if kind is tuple:
        from datetime import datetime, timedelta, timezone

        span = timedelta(microseconds=value[2])
        if value[1] == DURATION:
            return span
        zone = timezone(timedelta(seconds=value[3])) if value[3] else timezone.utc
        return (datetime(1970, 1, 1, tzinfo=timezone.utc) + span).astimezone(zone)
    if kind is list:
        return [revive(item) for item in value]
    if kind is dict:
        return {key: revive(item) for key, item in value.items()}
    return value
