"""Functions that package pyembed's tests call."""

from __future__ import annotations

import array
import collections
import contextvars
import datetime
import decimal
import enum
import os
import threading
import time

variable = contextvars.ContextVar("variable", default="unset")
waiting = 0
_lock = threading.Lock()


class Color(enum.IntEnum):
    RED = 3


class Text(str):
    pass


class Number(float):
    pass


class Dict(collections.UserDict):
    pass


Point = collections.namedtuple("Point", "x y")


class Scalar:
    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value


def echo(*args, **kwargs):
    return [list(args), kwargs]


def types(*args):
    return [type(arg).__qualname__ for arg in args]


def repeat(*args):
    return "".join(map(repr, args))


def odd(name):
    return {
        "tuple": (1, (2, "b")),
        "subclasses": [Color.RED, Text("t"), Number(1.5), Point(1, 2), True],
        "mapping": Dict(a=1, b=Text("b")),
        "key": {Text("k"): 1},
        "set": {1},
        "range": range(3),
        "bytes": [bytearray(b"a"), memoryview(b"bc"), memoryview(b"abcdef")[::2]],
        "array": array.array("d", [1, 2]),
        "scalar": Scalar(Scalar(2)),
        "date": datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone(datetime.timedelta(hours=-1))),
        "text": "\ud800",
        "large": 10**40,
        "deque": collections.deque([1, 2]),
        "keys": {"a": 1}.keys(),
        "no": None,
        "int as key": {1: 2},
        "decimal": decimal.Decimal(1),
        "inner": [{"a": object()}],
        "naive": datetime.datetime(2024, 1, 1),
        "day": datetime.date(2024, 1, 1),
        "dots": ...,
        "generator": (i for i in "ab"),
        "complex": 1j,
    }[name]


def ring():
    found = []
    found.append(found)
    return found


def fails(message):
    raise LookupError(message)


def leaves():
    raise SystemExit(3)


def set_variable():
    was = variable.get()
    variable.set("set")
    return [was, variable.get()]


def thread():
    return threading.current_thread().name


def wait_for(path):
    global waiting
    with _lock:
        waiting += 1
    for _ in range(20_000):
        if os.path.exists(path):
            break
        time.sleep(0.001)
    with _lock:
        waiting -= 1


def count_waiting():
    return waiting


class Counter:
    @staticmethod
    def add(a, b=0):
        return a + b
