"""Puts verdicts into words and tables."""

from __future__ import annotations

from .cases import Case
from .runner import Verdict


def text(name: str, verdicts: list[Verdict], seconds: float, verbose: bool) -> str:
    """Returns the summary of one server and its failing cases."""
    failed = [v for v in verdicts if v.failures]
    lines = [f"{name}: {len(verdicts) - len(failed)}/{len(verdicts)} passed in {seconds:.0f} s"]
    for v in failed:
        lines.append(f"  {v.case.id}  [{v.case.section}]")
        for want, got in v.failures:
            lines += [f"      expected: {want}", f"      came:     {got}"]
        if verbose:
            lines += [f"      sent:     {ascii(s)[:600]}" for s in v.case.send]
            lines.append(f"      raw:      {v.raw[:600]!a}")
    for v in verdicts:
        if v.once:
            lines.append(f"  {v.case.id} passed only when run again; at first {v.once}"[:400])
    return "\n".join(lines)


def markdown(results: dict[str, list[Verdict]]) -> str:
    """Returns a table of families against servers, and one of the cases that somebody fails."""
    names = list(results)
    families: dict[str, int] = {}
    for v in results[names[0]]:
        families[v.case.family] = families.get(v.case.family, 0) + 1
    passed = {
        (n, f): sum(1 for v in results[n] if v.case.family == f and not v.failures) for n in names for f in families
    }
    lines = ["| family | cases | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    lines += [
        f"| {f} | {count} | " + " | ".join(str(passed[n, f]) for n in names) + " |" for f, count in families.items()
    ]
    totals = [sum(passed[n, f] for f in families) for n in names]
    lines.append(f"| **all** | **{sum(families.values())}** | " + " | ".join(f"**{t}**" for t in totals) + " |")
    lines += ["", "| case | rule | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for row in zip(*results.values(), strict=True):
        if any(v.failures for v in row):
            case: Case = row[0].case
            lines.append(
                f"| {case.id} | {case.section} | " + " | ".join("fails" if v.failures else "ok" for v in row) + " |"
            )
    return "\n".join(lines) + "\n"


def document(results: dict[str, list[Verdict]]) -> dict:
    """Returns the results as a JSON document."""
    return {
        name: [
            {
                "id": v.case.id,
                "section": v.case.section,
                "passed": not v.failures,
                "again": bool(v.once),
                "failures": [{"expected": w, "came": g} for w, g in v.failures],
            }
            for v in verdicts
        ]
        for name, verdicts in results.items()
    }
