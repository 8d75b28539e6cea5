"""Finds the CPythons to test with and makes one virtual environment for each."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REPO = Path(__file__).resolve().parents[2]
VENVS = REPO / ".cache" / "venvs"
REQUIREMENTS = (
    REPO / "tests" / "apps" / "requirements.txt",
    REPO / "examples" / "flask" / "requirements.txt",
    REPO / "python" / "tests" / "requirements.txt",
)
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

# Asked of every candidate. A shared libpython is what gowsgi opens; the file is
# looked for too, since sysconfig also names libraries that were not installed.
PROBE = """
import json, os, platform, sys, sysconfig
get = sysconfig.get_config_var
library = get("INSTSONAME") or get("LDLIBRARY") or ""
folders = [get("LIBDIR"), os.path.join(get("LIBDIR"), get("MULTIARCH") or ""), sys.base_prefix + "/lib"]
found = any(os.path.exists(os.path.join(folder, library)) for folder in folders if folder)
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "full": platform.python_version(),
    "cpython": sys.implementation.name == "cpython",
    "shared": bool(found and ".so" in library),
    "executable": os.path.realpath(sys.executable),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython with a shared library."""

    version: str
    full: str
    executable: Path


@dataclass(frozen=True)
class Venv:
    """A virtual environment with the packages that the tested applications need."""

    interpreter: Interpreter
    path: Path

    @property
    def python(self) -> Path:
        """The venv's interpreter."""
        return self.path / "bin" / "python"

    @property
    def version(self) -> str:
        """The interpreter's version, as in 3.13."""
        return self.interpreter.version


@functools.cache
def discover() -> dict[str, Interpreter]:
    """Return one interpreter a version, oldest first.

    GOWSGI_TEST_PYTHONS (paths, colon-separated) replaces the search on PATH, in
    pyenv and in .cache (see python_from_go.py). GOWSGI_TEST_REQUIRE ("3.10 3.13")
    names the versions that must be there.

    Raises:
        RuntimeError: No interpreter fits, or a required version is missing.
    """
    named = os.environ.get("GOWSGI_TEST_PYTHONS")
    candidates = [Path(p) for p in named.split(":") if p] if named else _candidates()
    found: dict[str, Interpreter] = {}
    for candidate in candidates:
        interpreter = _probe(candidate)
        if interpreter and interpreter.version not in found:
            found[interpreter.version] = interpreter
        elif named and not interpreter:
            msg = f"{candidate}, of GOWSGI_TEST_PYTHONS, is no CPython with a shared library"
            raise RuntimeError(msg)
    required = os.environ.get("GOWSGI_TEST_REQUIRE", "").split()
    if missing := [version for version in required if version not in found]:
        msg = f"no CPython with a shared library for {missing}; found {sorted(found)}"
        raise RuntimeError(msg)
    if not found:
        msg = "no CPython with a shared library found; name some in GOWSGI_TEST_PYTHONS"
        raise RuntimeError(msg)
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


@functools.cache
def venv_for(version: str) -> Venv:
    """Return the venv of a version, making it first where it is not there yet."""
    interpreter = discover()[version]
    path = VENVS / version
    stamp = path / ".made-from"
    wanted = _fingerprint(interpreter)
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test runs may share the folder.
        if not stamp.exists() or stamp.read_text() != wanted:
            make(interpreter, path, REQUIREMENTS)
            stamp.write_text(wanted)
    return Venv(interpreter, path)


def _candidates() -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [
        python for version in VERSIONS for python in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    ]
    found += [Path(p) for version in VERSIONS if (p := shutil.which(f"python{version}"))]
    found += sorted((REPO / ".cache").glob("python3.*/bin/python3.[0-9]*[0-9]"))
    return found + [Path(p) for p in [shutil.which("python3")] if p]


def _probe(python: Path) -> Interpreter | None:
    command = [str(python), "-c", PROBE]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        answer = json.loads(run.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if answer["version"] not in VERSIONS or not (answer["cpython"] and answer["shared"]):
        return None
    return Interpreter(answer["version"], answer["full"], Path(answer["executable"]))


def _fingerprint(interpreter: Interpreter) -> str:
    text = f"{interpreter.executable} {interpreter.full}\n"
    text += "".join(path.read_text() for path in REQUIREMENTS)
    return hashlib.sha256(text.encode()).hexdigest()


def make(interpreter: Interpreter, path: Path, requirements: Iterable[Path]) -> None:
    """Make a venv with what the files list, in place of what is there."""
    shutil.rmtree(path, ignore_errors=True)
    options = [word for file in requirements for word in ("-r", str(file))]
    # This interpreter's pip, since not every CPython brings one.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(path / "bin" / "python")]
    for command in (
        [str(interpreter.executable), "-m", "venv", "--without-pip", str(path)],
        [*pip, "install", "--quiet", *options],
    ):
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if run.returncode:
            msg = f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}"
            raise RuntimeError(msg)
