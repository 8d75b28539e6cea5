"""Runs a whole suite of another project in a process of its own, and reads its results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from support import proc
from support.server import REPO, clean_env, command, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.interpreters import Venv

Results = dict[str, tuple[str, str]]  # By test: passed, failed, error or skipped; the details.

INSIDE = "tests/foreign/inside"
OUTPUT_TAIL = 8000  # Characters shown when a suite does not come to its end.


def run(command: Sequence[str], results: Path, *, timeout: float, cwd: Path, **env: str) -> Results:
    """Run a command that leaves its results in a file; everything it started is ended.

    Raises:
        AssertionError: It did not end in time, or left no results.
    """
    output = results.with_suffix(".log")
    with output.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean_env(**env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        msg = f"not done after {timeout} s:\n{_tail(output)}"
        raise AssertionError(msg) from None
    finally:
        _end(process)
    assert results.exists(), f"left with {process.returncode}, without results:\n{_tail(output)}"
    return {name: (outcome, details) for name, (outcome, details) in json.loads(results.read_text()).items()}


def run_inside(venv: Venv, suite: str, source: Path, arguments: str, folder: Path, timeout: float) -> Results:
    """Run a suite inside gowsgi (see inside/loop.py) and return its results."""
    port = free_port()
    inside = REPO / INSIDE
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "4", "--python", str(venv.python)]
    # The whole suite runs in one request.
    options += ["--chdir", str(inside), "--graceful-timeout", "2", "--timeout", "0"]
    return run(
        [*command(), "run", *options, "loop:application"],
        folder / "results.json",
        timeout=timeout,
        cwd=folder,
        FOREIGN_PORT=str(port),
        FOREIGN_SUITE=suite,
        FOREIGN_SOURCE=str(source),
        FOREIGN_ARGUMENTS=arguments,
        FOREIGN_RESULTS=str(folder / "results.json"),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid in proc.tree(process.pid) if process.poll() is None else []:
        os.kill(pid, signal.SIGKILL)
    process.wait(10)


def _tail(output: Path) -> str:
    return output.read_text(errors="replace")[-OUTPUT_TAIL:]
