"""raw.app with routes that tell the workers apart; its release is what a file says at import."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raw import app
from routing import query

if TYPE_CHECKING:
    from routing import Environ

RELEASE = Path(os.environ["E2E_RELEASE"]).read_text()
if RELEASE == "broken":
    msg = "this release does not work"
    raise RuntimeError(msg)
if RELEASE == "deadly":
    os.kill(os.getpid(), signal.SIGKILL)


@app.json("/who")
def who(environ: Environ) -> Any:
    """Tell who answers, and repeat the query's ?n."""
    return {
        "pid": os.getpid(),
        "release": RELEASE,
        "multiprocess": environ["wsgi.multiprocess"],
        "n": query(environ).get("n"),
    }


@app.json("/orphan")
def orphan(_environ: Environ) -> Any:
    """Start a process whose parent leaves it, and return its pid."""
    script = "sleep 0.5 >/dev/null & echo $!"
    return int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)


@app.json("/descriptors")
def descriptors(_environ: Environ) -> Any:
    """Return what a program that the application starts inherits, and its variables."""
    script = "ls /proc/self/fd | wc -l; env"
    return subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, close_fds=False, text=True, check=True).stdout
