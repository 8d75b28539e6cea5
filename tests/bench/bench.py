#!/usr/bin/env python3
"""Compares WSGI servers side by side in one run.

For each server: requests a second, p50 and p99 latency, CPU of the server in
microseconds a request, and its memory (PSS). Rounds are interleaved (A B C A B C),
medians are printed, with the ratio to the best: on a shared machine only ratios of
one run mean something. The load is wrk's, on loopback, from this machine.

    bench.py --setup PYTHON              make the venv of peers (PEERS names its bin)
    bench.py --app hello,flask --only gowsgi,granian -t 8
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
GOWSGI = HERE.parents[1] / "bin" / "gowsgi"
PEERS = os.environ.get("PEERS", os.path.expanduser("~/.cache/wsgi-peers/bin"))
PINS = (
    "flask==3.1.3",
    "granian==2.8.7",
    "gunicorn==27.0.1",
    "waitress==3.0.2",
    "pyuwsgi==2.0.30.post1",
    "bjoern==3.2.2",
)
# bjoern has no workers of its own: they are forked once it listens.
BJOERN = (
    "import os, bjoern, apps; bjoern.listen(apps.{app}, '127.0.0.1', {port}, listen_backlog=2048);"
    " any(os.fork() == 0 for _ in range({w} - 1)); bjoern.run()"
)
# {port}, {app}, {w} workers, {t} threads, {peers} the bin folder, {more} options.
COMMANDS = {
    "gowsgi": f"{GOWSGI} run --python {{peers}}/python --workers {{w}} --threads {{t}} --log-level error {{more}}"
    " -b 127.0.0.1:{port} apps:{app}",
    "granian": "{peers}/granian --interface wsgi --workers {w} --blocking-threads {t} --no-ws --log-level error"
    " {more} --host 127.0.0.1 --port {port} apps:{app}",
    "bjoern": f'{{peers}}/python -c "{BJOERN}"',
    "gthread": "{peers}/gunicorn -w {w} --threads {t} -k gthread --log-level error {more}"
    " -b 127.0.0.1:{port} apps:{app}",
    "uwsgi": "{peers}/uwsgi --http11-socket 127.0.0.1:{port} -M -p {w} --threads {t} --enable-threads -L {more}"
    " -w apps --callable {app} --die-on-term",
    "waitress": "{peers}/waitress-serve --threads={t} {more} --listen=127.0.0.1:{port} apps:{app}",
}


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except OSError:
                pass  # the thread ended
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that processes have used."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_megabytes(pids: list[int]) -> float:
    """Memory of processes, shared pages divided among those who share them."""
    kilobytes = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        kilobytes += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.M)[0])
    return kilobytes / 1024


def wait_listening(port: int) -> None:
    """Returns when something accepts on a port; gives up after 10 s."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            time.sleep(0.5)
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not listen")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and what it started."""
    for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 2)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (OSError, subprocess.TimeoutExpired):
            continue
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # all gone


def run_wrk(url: str, seconds: int, connections: int, body: int, headers: Sequence[str], limit: float = 0) -> str:
    """Runs wrk, with a POST if there is a body; returns its report, if it may run to its end."""
    command = ["timeout", str(limit or seconds + 10), "wrk", "-t1", f"-c{connections}", "--latency", f"-d{seconds}"]
    for header in headers:
        command += ["-H", header]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body:
            script.write(f'wrk.method="POST"\nwrk.body=string.rep("x",{body})\n')
            script.flush()
            command += ["-s", script.name]
        return subprocess.run([*command, url], capture_output=True, text=True, check=False).stdout


def wrk(options: argparse.Namespace, app: str, url: str, seconds: int) -> str:
    """Runs wrk as the command line says."""
    return run_wrk(url, seconds, options.c, options.bodysize if app == "echo" else 0, ())


def spawn(command: str, log: IO[str], **values: object) -> subprocess.Popen[bytes]:
    """Starts a server in a session of its own."""
    path = os.pathsep.join([str(HERE), os.environ.get("BENCH_SITE", "")])
    return subprocess.Popen(
        shlex.split(command.format(**{"more": "", "peers": PEERS, **values})),
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=log,
    )


def once(name: str, command: str, options: argparse.Namespace, app: str, port: int) -> dict[str, Any]:
    """Starts a server, warms it up, measures it, ends it."""
    with Path(f"/tmp/gowsgi-bench-{name}.log").open("w") as log:
        process = spawn(command, log, port=port, app=app, w=options.w, t=options.t)
    try:
        wait_listening(port)
        url = f"http://127.0.0.1:{port}{options.path}"
        wrk(options, app, url, 1)
        before = cpu_seconds(tree(process.pid))
        report = wrk(options, app, url, options.secs)
        pids = tree(process.pid)
        used = cpu_seconds(pids) - before
        return read_report(report) | {"pss": pss_megabytes(pids), "cpu": used}
    finally:
        end(process)


def read_report(report: str) -> dict[str, Any]:
    """Takes wrk's report apart."""
    latency = dict(re.findall(r"(50|99)%\s+([\d.]+\w+)", report))
    wrong = re.findall(r"(?:Socket errors|Non-2xx).*", report)
    return {
        "requests": int(re.findall(r"(\d+) requests in", report)[0]),
        "rps": float(re.findall(r"Requests/sec:\s+([\d.]+)", report)[0]),
        "p50": latency.get("50"),
        "p99": latency.get("99"),
        "wrong": " ".join(wrong),
    }


def compare(commands: dict[str, str], app: str, options: argparse.Namespace, ports: list[int]) -> dict[str, Any]:
    """Runs the rounds of one application and prints its table."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            ports[0] += 1
            try:
                results[name].append(once(name, command, options, app, ports[0]))
            except Exception as error:  # one server's failure must not end the others' run
                print(f"# {name}: {error!r}", file=sys.stderr)
    best = max((statistics.median(r["rps"] for r in rounds) for rounds in results.values() if rounds), default=1)
    print(f"== app={app} w={options.w} t={options.t} c={options.c} rounds={options.rounds}x{options.secs}s")
    for name, rounds in results.items():
        print(row(name, rounds, best), flush=True)
    return results


def row(name: str, rounds: list[dict[str, Any]], best: float) -> str:
    """One server's line."""
    if not rounds:
        return f"{name:10s} FAILED"
    rps = statistics.median(r["rps"] for r in rounds)
    cpu = statistics.median(r["cpu"] / max(r["requests"], 1) * 1e6 for r in rounds)
    spread = f"{min(r['rps'] for r in rounds):.0f}-{max(r['rps'] for r in rounds):.0f}"
    last = rounds[-1]
    return (
        f"{name:10s} rps {rps:9.0f} ({spread}) x{rps / best:.2f} cpu {cpu:7.1f} us/req"
        f" p50 {last['p50']} p99 {last['p99']} pss {last['pss']:.0f}M {last['wrong']}"
    )


def setup(python: str) -> None:
    """Makes the venv of peers; bjoern needs libev-dev."""
    subprocess.run([python, "-m", "venv", os.path.dirname(PEERS)], check=True)
    subprocess.run([f"{PEERS}/pip", "install", "-q", *PINS], check=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of servers, by commas")
    parser.add_argument("--cmd", action="append", default=[], metavar="NAME=COMMAND", help="add or replace a server")
    parser.add_argument("--app", default="hello", help="names of applications in apps.py, by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("-w", type=int, default=1, help="workers")
    parser.add_argument("-t", type=int, default=1, help="threads")
    parser.add_argument("-c", type=int, default=32, help="connections")
    parser.add_argument("--path", default="/")
    parser.add_argument("--bodysize", type=int, default=10240, help="of echo's requests, bytes")
    parser.add_argument("--json", help="write all figures to a file")
    parser.add_argument("--setup", metavar="PYTHON", help="make the venv of peers, and stop")
    options = parser.parse_args()
    if options.setup:
        setup(options.setup)
        return
    commands = COMMANDS | dict(entry.split("=", 1) for entry in options.cmd)
    names = [name for name in options.only.split(",") if name] or list(commands)
    commands = {name: commands[name] for name in names}
    ports = [21000 + os.getpid() % 5000]
    results = {app: compare(commands, app, options, ports) for app in options.app.split(",")}
    if options.json:
        Path(options.json).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
