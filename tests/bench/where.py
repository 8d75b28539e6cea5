#!/usr/bin/env python3
"""Tells where a server's CPU time goes, in microseconds a request.

Runs gowsgi with each application of apps.py under wrk, looks at its worker with perf,
and sorts the samples by what their stacks show: the first frame from the top that a
rule knows decides. docs/performance.md says what the rows mean.

    where.py --server bin/gowsgi --app hello,flask
"""

from __future__ import annotations

import argparse
import collections
import re
import subprocess
import tempfile
from pathlib import Path

import bench

# Rows, and what a frame of theirs looks like.
RULES = [
    ("receive", r"sys_(recvfrom|recvmsg|read|readv)$"),
    ("send", r"sys_(sendto|sendmsg|write|writev|sendfile64)$"),
    ("wait for requests", r"sys_epoll"),
    ("wake threads", r"sys_(futex|nanosleep|sched_yield)$"),
    ("other system calls", r"^do_syscall_64$"),
    ("application", r"^_?PyEval_(EvalFrame|Vector|EvalCode)"),
    ("log", r"internal/(logs|accesslog|stats)"),
    ("GIL", r"^(take_gil|drop_gil|PyEval_(Restore|Save)Thread|_PyThreadState_(Attach|Detach)|tstate_.*)$"),
    ("environ", r"^(environ_|input_new|callables_new|context_|request_begin|key_slot|value_str)"),
    (
        "answer",
        r"^(start_response_call|head_|answer_begin|take_whole|next_chunk|part_|request_|call_close|loan_|outbox_)",
    ),
    ("answer", r"bridge\.\(\*(answer|Exchange)\)|bridge\.\(\*conn\)\.(push|send|flush)|http1\.\(?\*?Answer|httpDate"),
    ("parse", r"bridge/http1\."),
    ("environ", r"gowsgi/wsgi\."),
    ("crossing", r"cgocall|cgoexp|exitsyscall|entersyscall|reentersyscall|^gw_|_Cfunc_|pyembed\."),
    ("hand-off", r"gowsgi/bridge\."),
    ("Go's scheduler", r"^runtime\.|^(_|)rt0_go|^gogo|^mstart"),
]


def sort(stack: list[tuple[str, str]]) -> str:
    """Returns the row of a sample; its frames are (symbol, object), the top first."""
    python = False
    for symbol, where in stack:
        if python and symbol.startswith("gw_"):
            return "environ"  # made and released by calls that are gowsgi's own
        python = python or "libpython" in where
        for name, pattern in RULES:
            if re.search(pattern, symbol):
                return name
    if any(".so" in where and "vdso" not in where for _, where in stack):
        return "application"
    return "interrupts and the rest"


def samples(data: str) -> collections.Counter:
    """Counts perf's samples by row."""
    script = ["perf", "script", "-i", data, "-F", "ip,sym,dso", "--no-inline"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    rows = collections.Counter()
    for block in text.split("\n\n"):
        frames = re.findall(r"^\s+[0-9a-f]+ (.*) \((.*)\)$", block, re.M)
        if frames:
            rows[sort(frames)] += 1
    return rows


def measure(server: str, app: str, options: argparse.Namespace) -> None:
    """Prints one application's table."""
    port = 26000 + abs(hash((server, app))) % 4000
    command = f"{server} run --python {bench.PEERS}/python --threads {options.t} --log-level error"
    command += f" --bind 127.0.0.1:{port} apps:{app}"
    process = subprocess.Popen(command.split(), cwd=bench.HERE, start_new_session=True)
    try:
        bench.wait_listening(port)
        url = f"http://127.0.0.1:{port}/"
        bench.wrk(options, app, url, 1)
        worker = bench.tree(process.pid)[-1]
        before = bench.cpu_seconds([worker])
        report = bench.read_report(bench.wrk(options, app, url, options.secs))
        cpu = (bench.cpu_seconds([worker]) - before) / report["requests"] * 1e6
        with tempfile.TemporaryDirectory() as folder:
            data = str(Path(folder) / "perf.data")
            record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(options.rate), "-p", str(worker), "-o", data]
            perf = subprocess.Popen([*record, "--call-graph", "dwarf,4096", "--", "sleep", str(options.secs)])
            bench.wrk(options, app, url, options.secs)
            perf.wait(60)
            rows = samples(data)
    finally:
        bench.end(process)
    print(f"== {server} {app}: {cpu:.1f} us of CPU a request, {report['rps']:.0f} requests/s, {rows.total()} samples")
    for name in dict.fromkeys([name for name, _ in RULES] + list(rows)):
        if rows[name]:
            print(
                f"{name:24s} {cpu * rows[name] / rows.total():7.2f} us {100 * rows[name] / rows.total():5.1f} %",
                flush=True,
            )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=str(bench.GOWSGI), help="programs, by commas")
    parser.add_argument("--app", default="hello,flask", help="names of applications in apps.py, by commas")
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("--rate", type=int, default=499, help="samples a second")
    parser.add_argument("-t", type=int, default=1, help="threads")
    parser.add_argument("-c", type=int, default=32, help="connections")
    parser.add_argument("--bodysize", type=int, default=10240, help="of echo's requests, bytes")
    options = parser.parse_args()
    for app in options.app.split(","):
        for server in options.server.split(","):
            measure(server, app, options)


if __name__ == "__main__":
    main()
