"""What setup.py says when the tools are missing; the build itself needs Go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("setuptools.command.bdist_wheel", reason="setuptools 70.1 or newer builds the wheel")

ROOT = Path(__file__).resolve().parents[2]

GO = """#!/bin/sh
case "$1" in
env) printf '{version}\\n{compiler}\\n'; printf '{stderr}' >&2; exit {status};;
build) echo "$@"; echo "cgo=$CGO_ENABLED"; exit {build};;
esac
"""


@pytest.fixture
def build(tmp_path):
    """Runs build_scripts in a copy of the project with a stand-in for go."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("setup.py", "pyproject.toml", "go.mod"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(ROOT / "python" / "gowsgi", project / "python" / "gowsgi")
    tools = tmp_path / "tools"
    tools.mkdir()

    def run(go=True, version="go1.99.1", compiler="sh", stderr="", status=0, build=0):
        if go:
            text = GO.format(version=version, compiler=compiler, stderr=stderr, status=status, build=build)
            (tools / "go").write_text(text)
            (tools / "go").chmod(0o755)
        (tools / "sh").symlink_to("/bin/sh")
        return subprocess.run(
            [sys.executable, "setup.py", "build_scripts"],
            cwd=project,
            env={**os.environ, "PATH": str(tools), "CGO_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


def test_build_command(build):
    result = build()
    assert result.returncode == 0, result.stdout
    built = [line for line in result.stdout.splitlines() if line.startswith(("build -trimpath", "cgo="))]
    assert [line.rpartition("/")[2] for line in built] == ["gowsgi-launcher", "cgo=0", "gowsgi", "cgo=1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"go": False}, "there is no go on PATH"),
        ({"version": "go1.20.3"}, "or newer: this is go1.20.3"),
        ({"version": "", "status": 1, "stderr": "toolchain not available"}, "or newer: toolchain not available"),
        ({"compiler": "no-such-cc -m64"}, "there is no no-such-cc: install gcc or clang"),
        ({"build": 2}, "could not be built"),
    ],
)
def test_missing_tools(build, options, message):
    result = build(**options)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1].startswith("error: ")
    assert message in result.stdout
    assert "Traceback" not in result.stdout
