import ctypes
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PYTHON_DIR = Path(__file__).resolve().parents[1]


class Child:
    """Runs code in an interpreter of its own, as state of a process is tested."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, code, *, flags=(), timeout=20, **env):
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        return subprocess.run(
            [sys.executable, *flags, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(PYTHON_DIR), "PYTHONDONTWRITEBYTECODE": "1", **env},
        )

    def json(self, code, **kwargs):
        result = self.run(code, **kwargs)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture
def child(tmp_path):
    return Child(tmp_path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files below a fresh current folder that is first on sys.path."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**files):
        for name, source in files.items():
            path = tmp_path / (name.replace("__", "/", 1) + ".py" if not name.startswith("__") else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if not name.startswith("gowsgi"):
            del sys.modules[name]


PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def master(tmp_path):
    """The master of a zygote; the workers become this process's children."""
    from masters import Master

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    paths = os.pathsep.join([str(PYTHON_DIR), str(tmp_path)])
    master = Master(tmp_path, {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"})
    yield master
    master.close()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
