"""The command: python -m tests.differential [--seed N] [--count N] [--markdown FILE]."""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

from . import report
from .fuzz import describe, run


def main(argv: list[str] | None = None) -> int:
    """Runs the parsers against each other; returns 1 if a disagreement has no explanation."""
    ap = argparse.ArgumentParser(prog="tests.differential", description=__doc__)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--count", type=int, default=20_000, help="inputs")
    ap.add_argument("--markdown", metavar="FILE", help="write the table there")
    args = ap.parse_args(argv)
    began = time.monotonic()
    result = run(args.seed, args.count)
    for d in result.unexplained[:20]:
        print(describe(d))
    explained = sum(result.counts.values())
    print(
        f"seed {args.seed}: {result.inputs} inputs in {time.monotonic() - began:.0f} s, "
        f"{explained} disagreements explained, {len(result.unexplained)} not"
    )
    if args.markdown:
        pathlib.Path(args.markdown).write_text(report.markdown(args.seed, args.count, result))
    return int(bool(result.unexplained))


if __name__ == "__main__":
    sys.exit(main())
