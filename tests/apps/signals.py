"""An application that takes over signals at import, in the ways E2E_SIGNALS lists."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from routing import Routes

if TYPE_CHECKING:
    from types import FrameType

    from routing import Environ

app = Routes()
caught: list[int] = []


def handle(number: int, _frame: FrameType | None) -> None:
    """Remember a signal, and do nothing else about it."""
    caught.append(number)


def leave(_number: int, _frame: FrameType | None) -> None:
    """Leave, as handlers of SIGTERM often do."""
    sys.exit(0)


@app.json("/")
def show(_environ: Environ) -> Any:
    """Return the signals that the handler has seen."""
    return caught


@app.json("/alarm")
def alarm(_environ: Environ) -> Any:
    """Ask for a SIGALRM soon."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    return "asked"


@app.json("/dump")
def dump(_environ: Environ) -> Any:
    """Let faulthandler write all threads' tracebacks, soon and from a thread of its own."""
    faulthandler.dump_traceback_later(0.1)
    return "asked"


for way in os.environ.get("E2E_SIGNALS", "").split():
    if way == "faulthandler":
        faulthandler.enable()
    elif way == "exit-on-term":
        signal.signal(signal.SIGTERM, leave)
    else:
        signal.signal(getattr(signal, way), handle)
