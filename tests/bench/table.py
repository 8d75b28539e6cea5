#!/usr/bin/env python3
"""Measures gowsgi beside other servers, row by row, and writes docs/benchmarks.md.

Rounds are interleaved (A B C A B C), medians are told. Figures are kept in a JSON file, so
that rows can be measured one by one, each as a whole; the document is made from all that
the file has.

    table.py                             everything: about 35 minutes on 2 cores
    table.py --rows hello-1,flask-4      these, the others stay as they are
    table.py --rows big --servers gowsgi,bjoern --rounds 1 --secs 1
    table.py --write                     only the document
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import clients
import document
from bench import COMMANDS, GOWSGI, PEERS, cpu_seconds, end, pss_megabytes, read_report, run_wrk, spawn, tree
from rows import BY_NAME, ROWS, Figures, Row, Servers

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
WARM_UP = 0.6
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}
# What a browser sends, and more of an API's kind.
HEADERS = [
    "Accept: text/html,application/xhtml+xml",
    "Accept-Encoding: gzip, deflate, br",
    "Accept-Language: en-GB,en;q=0.7",
    "Cache-Control: no-cache",
    "Cookie: session=0123456789abcdef0123456789abcdef",
    "Referer: http://localhost/index.html",
    "Sec-Fetch-Mode: navigate",
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    *(f"X-Field-{number}: value of field {number}" for number in range(50)),
]


class Server:
    """A server that runs until the block ends."""

    def __init__(self, row: Row, label: str, secs: int, port: int) -> None:
        """Prepare.

        Args:
            row: Says which application, and how many of what.
            label: A name of COMMANDS, with /THREADS behind it if not the row's.
            secs: How long a load lasts.
            port: A free one.
        """
        self.row, self.secs, self.port = row, secs, port
        name, _, threads = label.partition("/")
        self._values = {
            "port": self.port,
            "app": row.app,
            "w": row.workers,
            "t": int(threads or row.threads),
            "more": row.more.get(name, ""),
        }
        self._command = COMMANDS[name]
        self.threads = 1 if name == "bjoern" else int(threads or row.threads)

    def __enter__(self) -> Server:
        """Start, and wait for the first answer."""
        self._log = tempfile.TemporaryFile("w+")
        began = time.perf_counter()
        self.process = spawn(self._command, self._log, **self._values)
        try:
            clients.first_answer(self.port, "/", lambda: self.process.poll() is None)
            self.start = (time.perf_counter() - began) * 1000
            if self.row.workers > 1:
                time.sleep(1)  # the first answer was one worker's
        except BaseException as error:
            self._log.seek(0)
            said = self._log.read().strip()[-300:]
            self.__exit__()
            if isinstance(error, RuntimeError) and said:
                raise RuntimeError(f"{error}; its log ends with: {said}") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and all that it started."""
        end(self.process)
        self._log.close()

    def wrk(self, seconds: int, limit: float = 0) -> str:
        """Return the report of a run."""
        url = f"http://127.0.0.1:{self.port}/"
        return run_wrk(url, seconds, self.row.connections, self.row.body, HEADERS[: self.row.headers - 1], limit)

    def warm_up(self) -> None:
        """Let it find its pace."""
        self.wrk(5, WARM_UP)

    @contextlib.contextmanager
    def counted(self, figures: Figures) -> Iterator[None]:
        """Add the CPU time per request of a block that adds the number of requests, and the memory."""
        before = cpu_seconds(tree(self.process.pid))
        yield
        pids = tree(self.process.pid)
        used = cpu_seconds(pids) - before
        figures["pss"] = pss_megabytes(pids)
        if figures["requests"]:
            figures["cpu"] = used / figures["requests"] * 1e6
        else:
            figures["wrong"] = f"{figures['wrong']} no request was answered".strip()


def free_ports() -> Iterator[int]:
    """Yield ports that nobody has, below those that the system gives to clients."""
    for number in itertools.cycle(range(21000 + os.getpid() % 5000, 32000)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
        yield number


def taken_apart(report: str) -> Figures:
    """Return the figures of wrk's report, times in milliseconds."""
    if "requests in" not in report:
        raise RuntimeError("wrk could not connect")
    figures = read_report(report)
    for name in ("p50", "p99"):
        unit = figures[name].lstrip("0123456789.")
        figures[name] = float(figures[name].removesuffix(unit)) * UNITS[unit]
    return figures


def load_wrk(server: Server) -> Figures:
    """Load with wrk."""
    server.warm_up()
    figures: Figures = {}
    with server.counted(figures):
        if server.row.connections > server.threads * server.row.workers:
            with clients.Starving(server.port, "/", server.secs - 0.4) as more:
                figures |= taken_apart(server.wrk(server.secs))
            figures["wrong"] = f"{figures['wrong']} {more.problem}".strip()
        else:
            figures |= taken_apart(server.wrk(server.secs))
    return figures


def load_download(server: Server) -> Figures:
    """Throw large answers away."""
    clients.download(server.port, server.row.connections, WARM_UP)
    figures: Figures = {}
    with server.counted(figures):
        figures |= clients.download(server.port, server.row.connections, server.secs)
    return figures


def load_mixed(server: Server) -> Figures:
    """Send quick and slow requests at a rate."""
    clients.mixed(server.port, WARM_UP, 1200, 0.1)
    figures: Figures = {}
    with server.counted(figures):
        figures |= clients.mixed(server.port, server.secs, 1200, 0.1)
    return figures


def load_idle(server: Server) -> Figures:
    """Measure hello without and with idle connections."""
    server.warm_up()
    alone = taken_apart(server.wrk(server.secs))
    problems, figures = [alone["wrong"]], {"alone": alone["rps"]}
    number = 10000
    before = pss_megabytes(tree(server.process.pid))
    with clients.idle(server.port, number, problems):
        figures["kilobytes"] = (pss_megabytes(tree(server.process.pid)) - before) * 1024 / number
        with server.counted(figures):
            figures |= taken_apart(server.wrk(server.secs))
    figures["wrong"] = "; ".join(filter(None, [figures["wrong"], *problems]))
    return figures


def load_uploads(server: Server) -> Figures:
    """Measure hello without and with slow uploads."""
    server.warm_up()
    alone = taken_apart(server.wrk(server.secs))
    problems, figures = [alone["wrong"]], {"alone": alone["rps"]}
    with clients.Uploads(server.port, 1000, problems), server.counted(figures):
        figures |= taken_apart(server.wrk(server.secs))
    figures["wrong"] = "; ".join(filter(None, [figures["wrong"], *problems]))
    return figures


def load_start(server: Server) -> Figures:
    """Tell how long it took to the first answer, and the memory after a load."""
    report = taken_apart(server.wrk(1))
    each = [pss_megabytes([pid]) for pid in tree(server.process.pid)]
    return {"start": server.start, "worker": max(each), "pss": sum(each), "wrong": report["wrong"]}


LOADS = {
    "wrk": load_wrk,
    "download": load_download,
    "mixed": load_mixed,
    "idle": load_idle,
    "uploads": load_uploads,
    "start": load_start,
}


def measure(row: Row, options: argparse.Namespace, facts: dict[str, str]) -> Figures:
    """Return the rounds of all servers of a row."""
    only = [name for name in options.servers.split(",") if name]
    labels = [label for label in row.servers if not only or label.split("/")[0] in only]
    rounds: Servers = {label: [] for label in labels}
    ports = free_ports()
    for number in range(options.rounds):
        for label in labels:
            try:
                with Server(row, label, options.secs, next(ports)) as server:
                    figures = LOADS[row.load](server)
            except Exception as error:  # one server's failure must not end the others' run
                figures = {"wrong": f"failed: {error}"}
            shown = " ".join(f"{key}={value:.4g}" for key, value in figures.items() if key != "wrong")
            print(f"{row.name} {number + 1}/{options.rounds} {label}: {shown} {figures['wrong']}", flush=True)
            rounds[label].append({k: v if k == "wrong" else round(v, 4) for k, v in figures.items()})
    return {"secs": options.secs, "when": time.strftime("%Y-%m-%d %H:%M"), "machine": facts, "servers": rounds}


def output(*command: str) -> str:
    """Return what a command prints, or nothing if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, str]:
    """Tell what was measured, and on what."""
    model = re.search(r"^model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(), re.M)
    packages = {p["name"]: p["version"] for p in json.loads(output(f"{PEERS}/pip", "list", "--format", "json") or "[]")}
    commit = output("git", "-C", str(REPO), "rev-parse", "--short", "HEAD")
    # What this command writes itself is no change.
    if output("git", "-C", str(REPO), "status", "--porcelain", "-uno", "--", ":!docs"):
        commit += " with changes"
    return {
        "cores": f"{len(os.sched_getaffinity(0))} ({model.group(1) if model else platform.machine()})",
        "kernel": f"Linux {platform.release()}",
        "Python": f"CPython {output(f'{PEERS}/python', '-c', 'import platform; print(platform.python_version())')}",
        "gowsgi": f"{output(str(GOWSGI), 'version').removeprefix('gowsgi ')} ({commit})",
        **{name: packages.get(name, "?") for name in ("granian", "bjoern", "gunicorn", "pyuwsgi", "waitress", "Flask")},
    }


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help=f"by commas, of {', '.join(BY_NAME)}; all")
    parser.add_argument("--servers", default="", help=f"by commas, of {', '.join(COMMANDS)}; all that can do a row")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=int, default=2, help="of each measurement")
    parser.add_argument(
        "--json", type=Path, default=DOCS / "benchmarks" / "figures.json", help="where figures are kept"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder that is written to")
    parser.add_argument("--write", action="store_true", help="measure nothing, write the document")
    options = parser.parse_args()
    names = [name for name in options.rows.split(",") if name] or list(BY_NAME)
    if unknown := set(names) - set(BY_NAME):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    if not options.write and not Path(PEERS, "python").exists():
        parser.error("no servers to compare with: make peers")
    # 10,000 connections are in two processes at once; a stopped run ends its server.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kept = json.loads(options.json.read_text()) if options.json.exists() else {}
    if not options.write:
        facts = machine()
        for name in names:
            kept[name] = measure(BY_NAME[name], options, facts)
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(document.lines(kept))
    document.write(options.docs, [row for row in ROWS if row.name in kept], kept)


if __name__ == "__main__":
    main()
