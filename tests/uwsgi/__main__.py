"""The command: python -m tests.uwsgi --server PRESET or --server 'NAME=COMMAND'."""

from __future__ import annotations

import argparse
import fnmatch
import pathlib
import sys

from .cases import CASES
from .runner import markdown, run, text
from .servers import PRESETS, Server


def main() -> int:
    """Run the cases against each server; 1 if the first one fails any."""
    parser = argparse.ArgumentParser(prog="tests.uwsgi", description=__doc__)
    names = ", ".join(PRESETS)
    parser.add_argument(
        "--server",
        action="append",
        metavar="NAME=COMMAND",
        help=f"a command with {{port}} and {{dir}}, which serves app:app of that folder; or one of {names}",
    )
    parser.add_argument("--only", action="append", metavar="GLOB", help="cases whose id matches")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--markdown", metavar="FILE")
    options = parser.parse_args()
    cases = [c for c in CASES if not options.only or any(fnmatch.fnmatch(c.id, glob) for glob in options.only)]
    if options.list:
        for case in cases:
            print(f"{case.id:35} " + "; ".join(c.want for c in case.want))
        return 0
    results = {}
    for item in options.server or ["gowsgi"]:
        name, given, command = item.partition("=")
        if not given and name not in PRESETS:
            parser.error(f"no preset {name}; give NAME=COMMAND")
        results[name] = run(Server(name, command if given else PRESETS[name]), cases, options.jobs)
        print(text(name, results[name]), flush=True)
    if options.markdown:
        pathlib.Path(options.markdown).write_text(markdown(results))
    return int(any(v.failures for v in next(iter(results.values()))))


if __name__ == "__main__":
    sys.exit(main())
