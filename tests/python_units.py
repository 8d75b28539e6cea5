"""Runs the unit tests of python/gowsgi on every interpreter found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import interpreters

REPO = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run them one after another; the number of interpreters that failed."""
    failed = []
    for version in interpreters.discover():
        python = interpreters.venv_for(version).python
        print(f"== python/tests on {version}", flush=True)
        run = subprocess.run([str(python), "-m", "pytest", "-q", "python/tests"], cwd=REPO, check=False)
        if run.returncode:
            failed.append(version)
    if failed:
        print(f"python/tests failed on {' '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
