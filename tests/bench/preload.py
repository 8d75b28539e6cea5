#!/usr/bin/env python3
"""Memory of four workers with a large application, imported once (--preload) or by each.

    preload.py [--megabytes 200] [--requests 200] [--workers 4] [--python PEERS/python]

For gowsgi and gunicorn in one run: the proportional set size (PSS: shared pages count
in part) of every process, after requests that each read some of the application's
objects. gunicorn comes from the venv of bench.py --setup, and both servers run its Python.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOWSGI = HERE.parents[1] / "bin" / "gowsgi"
PEERS = Path(os.environ.get("PEERS", os.path.expanduser("~/.cache/wsgi-peers/bin")))

# What applications hold: dicts, lists and texts that refer to each other.
APP = """
import os

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20

before, data = resident(), {}
while resident() - before < MEGABYTES:
    for i in range(len(data), len(data) + 1000):
        data[f"key {i}"] = {"id": i, "name": f"name {i}", "tags": [f"tag {i % 97}", str(i)], "next": (i + 1, i + 2)}
count = len(data)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/collect":
        import gc
        gc.collect()
        body = str(os.getpid()).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    start = int(environ["QUERY_STRING"])
    body = "".join(str(data[f"key {i % count}"]) for i in range(start, start + 100)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def pss(pid: int) -> float:
    """Return a process's proportional set size, in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(pid)


def children(pid: int) -> list[int]:
    """Return a process's children."""
    return [int(p) for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]


def role(pid: int) -> str:
    """Tell a zygote, in which Go has not started, from a worker."""
    gowsgi = Path(f"/proc/{pid}/exe").resolve().name == GOWSGI.name
    return "zygote" if gowsgi and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1 else "worker"


def ask(port: int, path: str) -> bytes:
    """Send one request on a connection of its own."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read()


def collect(port: int, workers: int) -> None:
    """Have every worker collect its garbage, as each does at some time."""
    done: set[bytes] = set()
    with ThreadPoolExecutor(2 * workers) as pool:
        while len(done) < workers:
            done |= set(pool.map(lambda _: ask(port, "/collect"), range(2 * workers)))


def sizes(master: int) -> dict[str, list[float]]:
    """Return each role's PSS."""
    found: dict[str, list[float]] = {"master": [pss(master)], "zygote": [], "worker": []}
    for pid in children(master):
        found[role(pid)].append(pss(pid))
    return found


def measure(command: list[str], folder: str, port: int, requests: int, workers: int) -> list[dict[str, list[float]]]:
    """Return each role's PSS under a server, after requests and after a collection."""
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            try:
                ask(port, "/?0")
            except OSError:
                time.sleep(0.1)
            else:
                break
        while len([pid for pid in children(server.pid) if role(pid) == "worker"]) < workers:
            time.sleep(0.1)
        time.sleep(2)  # gunicorn's other workers may still import
        rng = random.Random(1)
        for _ in range(requests):
            ask(port, f"/?{rng.randrange(10**6)}")
        after_requests = sizes(server.pid)
        collect(port, workers)
        return [after_requests, sizes(server.pid)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main() -> None:
    """Measure four ways, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--python", default=str(PEERS / "python"))
    options = parser.parse_args()
    python = str(Path(options.python).absolute())
    common = ["-w", str(options.workers), "-t", "0", "large:app"]
    servers = {
        "gunicorn": [python, "-m", "gunicorn", "--no-control-socket"],
        "gowsgi": [str(GOWSGI), "run", "--python", python],
    }
    print(f"{options.megabytes} MB of objects, {options.workers} workers, {options.requests} requests; PSS in MB")
    print("| server | all | master | zygote | a worker | all after gc.collect() in each worker |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.py").write_text(APP.replace("MEGABYTES", str(options.megabytes)))
        for preload in ([], ["--preload"]):
            for name, command in servers.items():
                with socket.create_server(("127.0.0.1", 0)) as probe:
                    port = probe.getsockname()[1]
                line = [*command, *preload, "-b", f"127.0.0.1:{port}", *common]
                found, later = measure(line, folder, port, options.requests, options.workers)
                each = found["worker"]
                cells = [sum(map(sum, found.values())), sum(found["master"]), sum(found["zygote"])]
                cells += [sum(each) / len(each), sum(map(sum, later.values()))]
                print(f"| {' '.join([name, *preload])} | {' | '.join(f'{cell:.0f}' for cell in cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
