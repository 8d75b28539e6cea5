"""Takes gowsgi's command line and runs gunicorn, to try the tests on a known server.

GOWSGI_TEST_SERVER="python3 tests/support/as_gunicorn.py" with GUNICORN_PATH naming a
folder made by `pip install --target FOLDER gunicorn`. What fails then is where gowsgi
promises more than gunicorn does, or where the test is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Replace this process by gunicorn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--python", default=os.environ.get("VIRTUAL_ENV", "") + "/bin/python")
    parser.add_argument("--chdir", default=".")
    parser.add_argument("--graceful-timeout", default="30")
    known, rest = parser.parse_known_args()
    seconds = known.graceful_timeout.removesuffix("s")
    os.environ["PYTHONPATH"] = os.environ["GUNICORN_PATH"]
    options = ["--worker-class", "gthread", "--timeout", "60", "--keep-alive", "20"]
    options += ["--no-control-socket", "--graceful-timeout", seconds]
    python = str(Path(known.python).absolute())
    command = [python, "-m", "gunicorn", *options, "--chdir", known.chdir, *rest]
    sys.stdout.flush()
    os.execv(python, command)


if __name__ == "__main__":
    main()
