"""Builds the Go binary into the wheel; the rest is in pyproject.toml.

The binary opens whichever libpython it is told to, so that one wheel a platform
serves every CPython: its tag is py3-none-PLATFORM.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.errors import ExecError

# distutils' own command, by the only road that setuptools keeps open.
build_scripts = Distribution().get_command_class("build_scripts")

ROOT = Path(__file__).resolve().parent


class BinaryDistribution(Distribution):
    """A distribution that is tied to a platform."""

    def has_ext_modules(self) -> bool:
        """Sends the files to platlib."""
        return True


class BuildBinary(build_scripts):
    """Puts the Go binary where distutils expects the scripts."""

    def get_source_files(self) -> list[str]:
        """Returns nothing: MANIFEST.in names the Go sources."""
        return []

    def run(self) -> None:
        """Builds the command, and what `gowsgi build` puts in front of a program."""
        check_toolchain()
        self.build("gowsgi-launcher", cgo=False)
        self.build("gowsgi", cgo=True)

    def build(self, name: str, cgo: bool) -> None:
        """Builds a command of the Go module."""
        target = Path(self.build_dir).resolve() / name
        # pip may build in a checkout of another owner, where asking git fails;
        # the version comes from _version.py anyway.
        option = "-tags=urfave_cli_no_docs" if cgo else "-ldflags=-s -w"  # as in the Makefile
        command = ["go", "build", "-trimpath", option, "-buildvcs=false", "-o", str(target), f"./cmd/{name}"]
        self.announce(shlex.join(command), 2)
        result = subprocess.run(command, cwd=ROOT, env={**os.environ, "CGO_ENABLED": str(int(cgo))}, check=False)
        if result.returncode != 0:
            raise ExecError("the Go part of gowsgi could not be built; go's own message is above")


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and any CPython."""

    def get_tag(self) -> tuple[str, str, str]:
        """Returns the tag, less the version of the Python that builds."""
        return "py3", "none", super().get_tag()[2]


def check_toolchain() -> None:
    """Says in one sentence what is missing for the build.

    Raises:
        ExecError: If go is missing or too old, or there is no C compiler.
    """
    match = re.search(r"^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text(), re.MULTILINE)
    assert match, "go.mod states no version"
    needed = int(match[1]), int(match[2])
    wanted = f"go {needed[0]}.{needed[1]} or newer"
    if shutil.which("go") is None:
        raise ExecError(f"gowsgi is built with {wanted}, and there is no go on PATH: see https://go.dev/doc/install")
    # In the module's folder, a go with GOTOOLCHAIN=auto fetches a newer one.
    result = subprocess.run(["go", "env", "GOVERSION", "CC"], cwd=ROOT, capture_output=True, text=True, check=False)
    version, _, compiler = result.stdout.partition("\n")
    found = re.match(r"(?:go|devel go)(\d+)\.(\d+)", version)
    if result.returncode != 0 or not found or (int(found[1]), int(found[2])) < needed:
        detail = result.stderr.strip() or f"this is {version or 'an unknown version'}"
        raise ExecError(f"gowsgi is built with {wanted}: {detail}")
    words = shlex.split(compiler.strip()) or ["gcc"]
    if shutil.which(words[0]) is None:
        raise ExecError(
            f"gowsgi is built with a C compiler, and there is no {words[0]}: install gcc or clang, or set CC"
        )


setup(
    distclass=BinaryDistribution,
    # distutils builds scripts only for a distribution that names one.
    scripts=["gowsgi"],
    cmdclass={"bdist_wheel": PlatformWheel, "build_scripts": BuildBinary},
)
