"""Runs cases against a server and puts what came into words."""

from __future__ import annotations

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor

from .cases import Case
from .checks import chunked, closed
from .servers import Server
from .wire import talk

LATE = 1.0  # seconds for what an application notes after its answer


@dataclasses.dataclass
class Verdict:
    """How one case went: nothing in failures means that it passed."""

    case: Case
    failures: list[tuple[str, str]]


def judge(server: Server, case: Case) -> Verdict:
    """Run one case, then see that the server still answers."""
    for check in case.want:
        if check.path and os.path.exists(check.path):
            os.remove(check.path)
    try:
        answer = talk(server.port, list(case.send))
    except OSError as error:
        return Verdict(case, [("a connection", str(error))])
    stop = time.monotonic() + LATE
    while True:
        failures = [(c.want, got) for c in (*case.want, closed(), chunked()) if (got := c.test(answer))]
        if not failures or time.monotonic() > stop or not any(check.late for check in case.want):
            break
        time.sleep(0.02)
    if not server.answers(5):
        failures.append(("the server alive afterwards", "it does not answer"))
    return Verdict(case, failures)


def run(server: Server, cases: list[Case], jobs: int = 2) -> list[Verdict]:
    """Run all cases, and what failed once more alone on a fresh server."""
    server.start()
    try:
        with ThreadPoolExecutor(jobs) as pool:
            verdicts = list(pool.map(lambda case: judge(server, case), cases))
        for at, verdict in enumerate(verdicts):
            if verdict.failures:
                if not server.answers(2):
                    server.stop()
                    server.start()
                verdicts[at] = judge(server, verdict.case)
        return verdicts
    finally:
        server.stop()


def text(name: str, verdicts: list[Verdict]) -> str:
    """A summary and the failing cases."""
    failed = [v for v in verdicts if v.failures]
    lines = [f"{name}: {len(verdicts) - len(failed)}/{len(verdicts)} passed"]
    for verdict in failed:
        lines.append(f"  {verdict.case.id}")
        for want, got in verdict.failures:
            lines += [f"      expected: {want}", f"      came:     {got}"]
    return "\n".join(lines)


def markdown(results: dict[str, list[Verdict]]) -> str:
    """Families against servers, then each case."""
    names = list(results)
    first = results[names[0]]
    families = list(dict.fromkeys(v.case.family for v in first))

    def row(label: str, cells: list[object]) -> str:
        return f"| {label} | " + " | ".join(map(str, cells)) + " |"

    lines = [HEADING, row("family", ["cases", *names]), "|---" * (len(names) + 2) + "|"]
    for family in families:
        passed = [sum(v.case.family == family and not v.failures for v in results[n]) for n in names]
        lines.append(row(family, [sum(v.case.family == family for v in first), *passed]))
    totals = [f"**{sum(not v.failures for v in results[n])}**" for n in names]
    lines += [row("**all**", [f"**{len(first)}**", *totals]), ""]
    lines += [row("case", [*names, "expected"]), "|---" * (len(names) + 2) + "|"]
    for verdicts in zip(*results.values(), strict=True):
        wants = "; ".join(c.want for c in verdicts[0].case.want).replace("|", "\\|")
        cells = ["fails" if v.failures else "ok" for v in verdicts]
        lines.append(row(verdicts[0].case.id, [*cells, wants]))
    return "\n".join(lines) + "\n"


HEADING = """# The uwsgi protocol, case by case

Each case is one connection to a server's uwsgi port: what comes back, that the connection
ends after it, and that the server serves on. Made by
`python -m tests.uwsgi --server gowsgi --server uwsgi --markdown docs/uwsgi-protocol.md`;
uWSGI is that of `make peers`, with `--buffer-size 65535`. A case that fails is run once more, alone, before it counts.
"""
