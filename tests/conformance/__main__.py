"""The command: python -m tests.conformance --server 'NAME=COMMAND' ... or --server PRESET."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import pathlib
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import report
from .cases import collect
from .runner import Verdict, run
from .servers import PRESETS, Server, stop_all


def main(argv: list[str] | None = None) -> int:
    """Runs the suite against each server; returns 1 if the first one fails any case."""
    ap = argparse.ArgumentParser(prog="tests.conformance", description=__doc__)
    ap.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="a command with {port}, {dir}, {app}; or one of " + ", ".join(PRESETS) + "; or peers for all of them",
    )
    ap.add_argument("--only", action="append", default=[], metavar="GLOB", help="cases whose id matches")
    ap.add_argument("--jobs", type=int, default=4, help="connections at a time")
    ap.add_argument("--abreast", type=int, default=1, help="servers at a time")
    ap.add_argument("--verbose", action="store_true", help="show what was sent and came for failing cases")
    ap.add_argument("--list", action="store_true", help="list the cases and stop")
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--markdown", metavar="FILE")
    args = ap.parse_args(argv)
    cases = [c for c in collect() if not args.only or any(fnmatch.fnmatch(c.id, g) for g in args.only)]
    if args.list:
        for case in cases:
            print(f"{case.id:45} {case.section:25} " + "; ".join(c.want for c in case.want))
        print(len(cases), "cases")
        return 0
    if not cases:
        ap.error("no case matches")
    names = [
        n
        for s in args.server or ["gowsgi"]
        for n in ([p for p in PRESETS if not p.startswith("gowsgi")] if s == "peers" else [s])
    ]
    commands = {}
    for item in names:
        name, given, command = item.partition("=")
        if not given and name not in PRESETS:
            ap.error(f"no preset {name}; give NAME=COMMAND")
        commands[name] = command or PRESETS[name]

    def test(name: str) -> tuple[str, list[Verdict]]:
        began = time.monotonic()
        try:
            verdicts = run(Server(name, commands[name]), cases, args.jobs)
        except RuntimeError as err:
            print(err, flush=True)
            verdicts = [Verdict(c, [("a server", "it does not start")]) for c in cases]
        print(report.text(name, verdicts, time.monotonic() - began, args.verbose), flush=True)
        return name, verdicts

    def leave(number: int, frame: object) -> None:
        stop_all()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    with ThreadPoolExecutor(args.abreast) as pool:
        results = dict(pool.map(test, commands))
    if args.markdown:
        pathlib.Path(args.markdown).write_text(report.markdown(results))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report.document(results), indent=1))
    return int(any(v.failures for v in next(iter(results.values()))))


if __name__ == "__main__":
    sys.exit(main())
