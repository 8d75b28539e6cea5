"""Runs the unit tests of python/gowsgi on every interpreter found, two at a time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support import interpreters

REPO = Path(__file__).resolve().parents[1]


def run(version: str) -> bool:
    """Run them on one version, and print what they say; whether all is well."""
    python = interpreters.venv_for(version).python
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "python/tests"]
    tests = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(f"== python/tests on {version}\n{tests.stdout}", end="", flush=True)
    return tests.returncode == 0


def main() -> int:
    """Return the number of interpreters that failed."""
    versions = list(interpreters.discover())
    with ThreadPoolExecutor(2) as pool:
        good = list(pool.map(run, versions))
    if failed := [version for version, ok in zip(versions, good, strict=True) if not ok]:
        print(f"python/tests failed on {' '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
