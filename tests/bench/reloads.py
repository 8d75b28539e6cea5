#!/usr/bin/env python3
"""Requests lost while workers and masters are replaced, for gowsgi and for gunicorn.

reloads.py [--secs 60] [--only hup,...] SERVER...   SERVER is NAME=COMMAND with {port}, in tests/apps

Six clients check every answer, three of them on kept connections. One closed before a
byte of its answer is sent again on a new one, as HTTP clients do: these are counted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from support.load import Load  # noqa: E402

MORE = {"max-requests": "--max-requests 200 --max-requests-jitter 50"}


def children(pid: int) -> list[int]:
    """Return a process's own children, oldest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return sorted(found)


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return when somebody listens there."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the server does not come up")


class Scenario:
    """One server under load, and what is done to it."""

    def __init__(self, kind: str, command: str, secs: float) -> None:
        """Prepare; kind is the name of a method."""
        self.kind, self.secs, self.port, self.done = kind, secs, free_port(), 0
        words = shlex.split(command.format(port=self.port)) + shlex.split(MORE.get(kind, ""))
        self.folder = tempfile.TemporaryDirectory()
        release = Path(self.folder.name, "release")
        release.write_text("1")
        self.log = Path(self.folder.name, "log").open("w")
        env = {**os.environ, "E2E_RELEASE": str(release)}
        self.server = subprocess.Popen(words, cwd=TESTS / "apps", env=env, stdout=self.log, stderr=self.log)
        self.master = self.server.pid

    def run(self) -> Load:
        """Return the load when it is over, and stop the server."""
        try:
            wait_for_port(self.port)
            time.sleep(2)
            with Load(self.port) as load:
                end = time.monotonic() + self.secs
                while time.monotonic() < end:
                    getattr(self, self.kind.replace("-", "_"))()
            return load
        finally:
            for pid in {self.master, self.server.pid}:
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
            self.server.wait(30)
            time.sleep(1)
            self.log.close()
            self.folder.cleanup()

    def hup(self) -> None:
        """Reload every 2 s."""
        time.sleep(2)
        os.kill(self.master, signal.SIGHUP)
        self.done += 1

    def max_requests(self) -> None:
        """Leave it to --max-requests."""
        time.sleep(1)

    def kill(self) -> None:
        """Kill a worker every 3 s: the youngest child, which is no helper of the master's."""
        time.sleep(3)
        os.kill(children(self.master)[-1], signal.SIGKILL)
        self.done += 1

    def usr2(self) -> None:
        """Replace the master every 6 s."""
        before = set(children(self.master))
        os.kill(self.master, signal.SIGUSR2)
        time.sleep(4)
        new = max(set(children(self.master)) - before)
        os.kill(self.master, signal.SIGWINCH)
        os.kill(self.master, signal.SIGTERM)
        time.sleep(2)
        self.master = new
        self.done += 1


def main() -> None:
    """Run every scenario against every server, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="+", help="NAME=COMMAND")
    parser.add_argument("--secs", type=float, default=60)
    parser.add_argument("--only", default="hup,max-requests,kill,usr2")
    options = parser.parse_args()
    print("| | server | times | answers | workers | sent again | failed |\n|---|---|---|---|---|---|---|")
    for kind in options.only.split(","):
        for one in options.server:
            name, _, command = one.partition("=")
            scenario = Scenario(kind, command, options.secs)
            load = scenario.run()
            figures = (scenario.done or "", load.answers, len(load.pids), load.sent_again, len(load.failures))
            print(f"| {kind} | {name} |", " | ".join(map(str, figures)), "|", flush=True)
            for failure in load.failures[:3]:
                print(f"{name}: {failure}", file=sys.stderr)


main()
