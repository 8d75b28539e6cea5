"""Takes gowsgi's command line and runs uWSGI, for the tests behind nginx.

GOWSGI_TEST_SERVER="python3 tests/support/as_uwsgi.py" with UWSGI naming a uWSGI that is made
for the interpreter of the tests' venv (pyuwsgi's command will do).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Replace this process by uWSGI."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--bind", "-b", action="append")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--workers", "-w", default="1")
    parser.add_argument("--chdir", default=".")
    parser.add_argument("--python")
    parser.add_argument("--buffer-size", default="65535")
    parser.add_argument("--access-logfile")  # it has its own
    parser.add_argument("app")
    known, _others = parser.parse_known_args()
    module, _, name = known.app.partition(":")
    options = ["--master", "--die-on-term", "--enable-threads", "--lazy-apps", "--need-app", "--vacuum"]
    options += ["--processes", known.workers, "--threads", known.threads, "--buffer-size", known.buffer_size]
    options += ["--chdir", known.chdir, "--module", module, "--callable", name or "application", "--listen", "100"]
    if known.python:
        venv = Path(known.python).absolute().parent.parent
        options += ["--pythonpath", str(next(venv.glob("lib/python*/site-packages")))]  # pyuwsgi ignores --home
    for bind in known.bind:
        protocol, _, where = bind.rpartition("://") if "://" in bind else bind.rpartition("unix:")
        kind = "--socket" if protocol.startswith("uwsgi") else "--http11-socket"
        options += [kind, where]
    uwsgi = os.environ["UWSGI"]
    os.execv(uwsgi, [uwsgi, *options])


if __name__ == "__main__":
    main()
