"""The stacks of threads, for the log of what takes too long.

``dump`` needs the interpreter to run. For when it does not, since C code keeps
the GIL, ``Alarm`` keeps faulthandler's timer wound up: CPython's own C thread then
writes the stacks, without the GIL.
"""

from __future__ import annotations

import os
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FRAMES = 100  # of each stack, the innermost


def dump() -> list[tuple[int, str]]:
    """Returns every other thread's ident and stack, with its name. Any thread."""
    from traceback import format_stack

    # Not enumerate(): its lock may be held by a thread that is stuck.
    threads = dict(getattr(threading, "_active", {}))
    own = threading.get_ident()
    stacks = []
    for ident, frame in sys._current_frames().items():
        if ident == own:
            continue
        thread = threads.get(ident)
        name = "unknown" if thread is None else thread.name
        native = getattr(thread, "native_id", None)
        head = f"Thread {name!r} (native id {native or '?'}), most recent call last:\n"
        text = "".join([head, *format_stack(frame, FRAMES)])
        stacks.append((ident, text.encode("utf-8", "backslashreplace").decode("utf-8")))
    return stacks


class Alarm:
    """faulthandler's one timer, which is the app's as soon as it uses it.

    The timer is a thread that a forked child lacks, where ending it would wait for
    ever: so it is off while a process forks.
    """

    def __init__(self) -> None:
        """Creates an alarm that is not set."""
        self._later: Callable[..., None] | None = None
        self._cancel: Callable[[], None] | None = None
        self._theirs = 0.0  # until then the app uses it
        self._forks = 0

    def guard(self) -> None:
        """Watches from now on whether the app uses the timer."""
        import faulthandler  # built in

        if self._later is not None:
            return
        self._later = later = faulthandler.dump_traceback_later
        self._cancel = cancel = faulthandler.cancel_dump_traceback_later

        def dump_traceback_later(timeout: Any, repeat: bool = False, *args: Any, **kwargs: Any) -> None:
            later(timeout, repeat, *args, **kwargs)
            self._theirs = float("inf") if repeat else time.monotonic() + timeout

        def cancel_dump_traceback_later() -> None:
            cancel()
            self._theirs = 0.0

        faulthandler.dump_traceback_later = dump_traceback_later
        faulthandler.cancel_dump_traceback_later = cancel_dump_traceback_later
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork)

    def wind(self, seconds: float, fd: int) -> bool:
        """Has all stacks written to a descriptor, unless it is wound up again in time.

        Returns:
            Whether it was, which it is not while the app uses the timer.
        """
        if self._later is None or self._forks or time.monotonic() < self._theirs:
            return False
        self._later(seconds, file=fd)
        return True

    def stop(self) -> None:
        """Winds it down."""
        if self._cancel is not None and time.monotonic() >= self._theirs:
            self._cancel()

    def _before_fork(self) -> None:
        self._forks += 1
        self.stop()

    def _after_fork(self) -> None:
        self._forks -= 1
