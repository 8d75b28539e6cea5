"""Brings the other projects' source distributions and one virtual environment to run them in.

Everything comes from the package index through pip, when it is first needed, and lies
in .cache/foreign afterwards. What does not come fails the tests.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import interpreters
from support.interpreters import REPO, Venv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CACHE = REPO / ".cache" / "foreign"
PIP_TIMEOUT = 300.0  # Seconds for one download or installation.

VERSIONS = {
    "gunicorn": "27.0.1",
    "waitress": "3.0.2",
    "Django": "5.2.19",
    "Werkzeug": "3.1.9",
    "Flask": "3.1.3",
    "WebTest": "3.0.7",
}

# What runs inside gowsgi: the projects themselves, and what their tests import.
INSTALLED = (
    *(f"{name}=={VERSIONS[name]}" for name in ("waitress", "Django", "Werkzeug", "Flask", "WebTest")),
    "legacy-cgi==2.6.4; python_version >= '3.13'",  # WebOb imports cgi, which 3.13 left out
    "jinja2==3.1.6",
    "pytest==8.4.2",  # Flask 3.1.3's tests use what 9 renamed
    "ephemeral-port-reserve==1.1.4",  # Werkzeug's tests
    "cryptography==50.0.2",
    "watchdog==7.1.0",
)


@functools.cache
def source(name: str) -> Path:
    """Return the unpacked source distribution of a project."""
    version = VERSIONS[name]
    folder = CACHE / "src" / f"{name}-{version}"
    with _locked(f"{name}.lock"):
        if not folder.exists():
            work = CACHE / f"{name}.new"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            options = ["--no-binary", ":all:", "--no-deps", "--dest", str(work)]
            _pip("download", *options, f"{name}=={version}")
            (archive,) = work.glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                _unpack(tar, work / "src")
            (inner,) = (work / "src").iterdir()
            folder.parent.mkdir(exist_ok=True)
            inner.rename(folder)
            shutil.rmtree(work)
    return folder


@functools.cache
def environment() -> Venv:
    """Return the virtual environment, of the newest interpreter, that the suites run in."""
    interpreter = list(interpreters.discover().values())[-1]
    path = CACHE / f"venv-{interpreter.version}"
    stamp = path / ".made-from"
    wanted = hashlib.sha256(repr((interpreter.executable, interpreter.full, INSTALLED)).encode()).hexdigest()
    with _locked("venv.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(path, ignore_errors=True)
            _check([str(interpreter.executable), "-m", "venv", "--without-pip", str(path)])
            _pip("--python", str(path / "bin" / "python"), "install", *INSTALLED)
            stamp.write_text(wanted)
    return Venv(interpreter, path)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test runs may share the folder.
        yield


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
    else:
        tar.extractall(folder)


def _pip(*arguments: str) -> None:
    _check([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments])


def _check(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False)
    if run.returncode:
        msg = f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}"
        raise RuntimeError(msg)
