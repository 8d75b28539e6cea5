"""An application that tells where it runs, for tests of configuration files."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from routing import Routes, query

if TYPE_CHECKING:
    from routing import Environ

app = Routes()
importer = os.getpid()


@app.json("/")
def facts(environ: Environ) -> Any:
    """Return what a configuration decides."""
    return {
        "pid": os.getpid(),
        "importer": importer,
        "cwd": os.getcwd(),
        "path": sys.path,
        "env": {name: text for name, text in os.environ.items() if name.startswith("E2E_")},
        "script": environ["SCRIPT_NAME"],
        "threads": environ["wsgi.multithread"],
        "processes": environ["wsgi.multiprocess"],
        "uid": os.getuid(),
        "gid": os.getgid(),
    }


@app.json("/descriptors")
def descriptors(_environ: Environ) -> Any:
    """Return what this process's descriptors are, but for names and numbers."""
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]  # the last is the folder
    return sorted("file" if link.startswith("/") else link.partition(":")[0] for link in links)


@app.json("/sleep")
def sleep(environ: Environ) -> Any:
    """Take as many seconds as ?s says."""
    time.sleep(float(query(environ)["s"]))
    return os.getpid()


@app.json("/raise")
def fail(_environ: Environ) -> Any:
    """Fail."""
    raise RuntimeError


@app.json("/who")
def who(environ: Environ) -> Any:
    """Tell support.load who answers."""
    return {"pid": os.getpid(), "release": str(importer), "n": query(environ)["n"]}
