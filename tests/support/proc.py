"""What the kernel says about a process: threads, descriptors, memory, descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """What one process and its descendants hold."""

    processes: int
    threads: int
    fds: int
    rss_kb: int

    def __str__(self) -> str:
        return f"{self.processes} processes, {self.threads} threads, {self.fds} descriptors, {self.rss_kb} kB resident"


def children(pid: int) -> list[int]:
    """Return the pids of the direct children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants, the process first."""
    pids = [pid]
    for seen in pids:
        pids += children(seen)
    return pids


def terminate(pid: int) -> None:
    """Ask a process that another has started to end."""
    os.kill(pid, signal.SIGTERM)


def alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return _status(pid)["State"][0] != "Z"
    except OSError:
        return False


def threads(pid: int) -> int:
    """Return how many threads a process has, 0 if it is not there."""
    try:
        return int(_status(pid)["Threads"])
    except (OSError, KeyError):  # a zombie's status has none
        return 0


def counts(pid: int) -> Counts:
    """Count what a process and its descendants hold now."""
    pids = [p for p in tree(pid) if alive(p)]
    statuses = [_status(p) for p in pids]
    return Counts(
        processes=len(pids),
        threads=sum(int(s["Threads"]) for s in statuses),
        fds=sum(len(os.listdir(f"/proc/{p}/fd")) for p in pids),
        rss_kb=sum(int(s["VmRSS"].split()[0]) for s in statuses),
    )


def descriptors(pid: int) -> list[str]:
    """Return what every descriptor of a process and its descendants points to."""
    found = []
    for p in tree(pid):
        for fd in Path(f"/proc/{p}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(f"{p}:{fd.name} -> {os.readlink(fd)}")
    return sorted(found)


def wait_for(probe: Callable[[], T], timeout: float, what: str, every: float = 0.02) -> T:
    """Return the first true value of probe, or fail after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if value := probe():
            return value
        if time.monotonic() > deadline:
            msg = f"waited {timeout} s for {what}"
            raise AssertionError(msg)
        time.sleep(every)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
