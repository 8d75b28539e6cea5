"""Writes docs/benchmarks.md and its plots from the figures that were kept."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import plots
from rows import Figures, Goal, Row, Servers

NAMES = {"gthread": "gunicorn gthread", "uwsgi": "uWSGI"}
# Metric, its column, how it is written there, and beside a goal.
COLUMNS = (
    ("rps", "req/s", "{:,.0f}", "{:,.0f}/s"),
    ("alone", "req/s without them", "{:,.0f}", "{:,.0f}/s"),
    ("p50", "p50, ms", "{:.2f}", "{:.2f} ms"),
    ("p99", "p99, ms", "{:.2f}", "{:.2f} ms"),
    ("cpu", "CPU, us a request", "{:,.1f}", "{:,.1f} us"),
    ("kilobytes", "KB a connection", "{:.1f}", "{:.1f} KB"),
    ("start", "first answer, ms", "{:,.0f}", "{:,.0f} ms"),
    ("worker", "PSS of a worker, MB", "{:.1f}", "{:.1f} MB"),
    ("pss", "PSS of all, MB", "{:.1f}", "{:.1f} MB"),
)
ABOUT = """# Benchmarks

`make benchmarks` (`tests/bench/table.py`) measures this and writes this page; `make peers` installs the
others once. Load and servers share the machine and its cores: only ratios within a row mean something. Rounds are
interleaved (A B C A B C), each with a server started anew and a short warm-up; figures are medians of
{rounds}. The load is wrk's with one thread, on 32 kept connections where nothing else is said, on loopback; the
row says what is otherwise. CPU is what the server used, all its processes and the kernel on its behalf; in PSS a page
that processes share counts in parts. All single figures are in [figures.json](benchmarks/figures.json).

A peer with errors (answers other than 2xx are some) in more than half of its rounds does not count as the best; one
error of ours, and a goal is not reached. In rows with more connections than threads, one connection more asks while
the load runs. A server that gives it no answer holds a thread for each kept connection and starves the others: its
figures are those of the few that it serves (uWSGI's `--http11-socket`). Ratios are compared as they are shown, with
two digits.
"""


def lines(kept: Figures) -> str:
    """Return the figures as JSON, a line for each round, so that a difference can be read."""
    rows = []
    for name, row in kept.items():
        servers = ",\n".join(
            f"   {json.dumps(label)}: [\n" + ",\n".join(f"    {json.dumps(one)}" for one in rounds) + "\n   ]"
            for label, rounds in row["servers"].items()
        )
        head = json.dumps({key: value for key, value in row.items() if key != "servers"})[1:-1]
        rows.append(f' {json.dumps(name)}: {{\n  {head},\n  "servers": {{\n{servers}\n  }}\n }}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def shown(label: str) -> str:
    """Return a label as a reader knows it."""
    name, _, threads = label.partition("/")
    return NAMES.get(name, name) + (f", {threads} thread{'s' * (threads != '1')}" if threads else "")


def middle(rounds: list[Figures], metric: str) -> float | None:
    """Return the median of a metric, or None if no round has it."""
    values = [one[metric] for one in rounds if metric in one]
    return statistics.median(values) if values else None


def wrong(rounds: list[Figures]) -> str:
    """Return what went wrong, and how often."""
    problems = [one["wrong"] for one in rounds if one["wrong"]]
    if not problems:
        return ""
    text = problems[-1].replace("|", "/").replace("\n", " ")
    return f"{text} ({len(problems)} of {len(rounds)} rounds)"


def mostly_wrong(rounds: list[Figures]) -> bool:
    """Tell whether more than half of the rounds had errors."""
    return sum(bool(one["wrong"]) for one in rounds) * 2 > len(rounds)


def unit(metric: str, value: float) -> str:
    """Return a figure with its unit."""
    return next(form for name, _, _, form in COLUMNS if name == metric).format(value)


def compared(goal: Goal, servers: Servers) -> tuple[str, float] | None:
    """Return what a goal compares us with, and its figure."""
    metric = goal.of or goal.metric
    if isinstance(goal.against, float):
        return "", goal.against
    if goal.against != "best":
        value = middle(servers.get(goal.against, []), metric)
        own = goal.against == "gowsgi"
        named = {"alone": "without them", "p50": "p50"}[metric] if own else shown(goal.against)
        return None if value is None else (named, value)
    found = [
        (value, label)
        for label, rounds in servers.items()
        if not label.startswith("gowsgi") and not mostly_wrong(rounds) and (value := middle(rounds, metric)) is not None
    ]
    if not found:
        return None
    value, label = min(found) if goal.lower else max(found)
    return shown(label), value


def verdict(goal: Goal, servers: Servers) -> list[str]:
    """Return the cells behind a goal: our figure, the other, the ratio, whether it is reached."""
    ours = middle(servers.get("gowsgi", []), goal.metric)
    other = compared(goal, servers)
    if ours is None:
        return ["none", "", "", "**no**"]
    if other is None or not other[1]:
        return [unit(goal.metric, ours), "none", "", "not known"]
    name, value = other
    ratio = round(ours / value, 2)
    reached = ratio <= goal.factor if goal.lower else ratio >= goal.factor
    against = f"{name} {unit(goal.of or goal.metric, value)}".strip()
    said = "yes" if reached else "**no**"
    if wrong(servers["gowsgi"]):
        said = "**no**: errors"
    return [unit(goal.metric, ours), against, f"{ratio:.2f}", said]


def table(head: list[str], body: list[list[str]], texts: int = 1) -> str:
    """Return a table; the first columns and the last one are texts."""
    marks = ["---" if i < texts or i == len(head) - 1 else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *body]) + "\n"


def figures(row: Row, servers: Servers) -> str:
    """Return the table of a row."""
    has = [column for column in COLUMNS if any(column[0] in one for rounds in servers.values() for one in rounds)]
    best = max((middle(rounds, "rps") or 0 for rounds in servers.values()), default=0)
    head = ["server"]
    for metric, title, _, _ in has:
        head += [title, "range", "of the best"] if metric == "rps" else [title]
    body = []
    for label, rounds in servers.items():
        cells = [shown(label)]
        for metric, _, form, _ in has:
            value = middle(rounds, metric)
            cells.append("" if value is None else form.format(value))
            if metric == "rps":
                values = [one["rps"] for one in rounds if "rps" in one]
                cells.append(f"{min(values):,.0f} to {max(values):,.0f}" if values else "")
                cells.append(f"{value / best:.2f}" if value and best else "")
        body.append([*cells, wrong(rounds)])
    return table([*head, "errors"], body)


def about(row: Row, kept: Figures, newest: Figures) -> str:
    """Return what a row is, and in what it differs from others."""
    parts = [row.note] if row.note else []
    if row.load in ("wrk", "download") and row.connections != 32:
        parts.append(f"{row.connections:,} connections.")
    if row.more:
        parts.append("Options: " + ", ".join(f"{shown(name)} `{more}`" for name, more in row.more.items()) + ".")
    if kept["machine"] != newest["machine"]:
        was = [f"{key} {value}" for key, value in kept["machine"].items() if newest["machine"].get(key) != value]
        parts.append(f"Measured {kept['when']}, with {', '.join(was) or 'less'}.")
    return " ".join(parts) + "\n\n" if parts else ""


def growth(folder: Path, rows: list[Row], kept: Figures) -> str:
    """Write the plots, and return their part of the page."""
    parts = []
    for plot, what in (("connections", "connections"), ("headers", "headers in each request")):
        own = [row for row in rows if row.plot == plot]
        if not own:
            continue
        for metric, title in (("cpu", "CPU of the server, us a request"), ("rps", "requests a second")):
            labels = dict.fromkeys(label for row in own for label in kept[row.name]["servers"])
            series = {
                label: [middle(kept[row.name]["servers"].get(label, []), metric) for row in own] for label in labels
            }
            name = f"{plot}-{metric}.svg"
            (folder / name).write_text(plots.lines(title, what, [f"{row.x:,}" for row in own], series))
            parts.append(f"![{title}, by {what}](benchmarks/{name})\n")
    return "\n".join(parts)


def write(docs: Path, rows: list[Row], kept: Figures) -> None:
    """Write the page and the plots."""
    (docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    newest = max((kept[row.name] for row in rows), key=lambda one: one["when"])
    numbers = sorted({len(rounds) for row in rows for rounds in kept[row.name]["servers"].values()})
    secs = sorted({kept[row.name]["secs"] for row in rows})
    some = " or ".join(map(str, numbers)) + " rounds of " + " or ".join(map(str, secs)) + " s"
    facts = [[key, value] for key, value in newest["machine"].items()]
    goals = []
    for row in rows:
        for i, goal in enumerate(row.goals):
            cells = verdict(goal, kept[row.name]["servers"])
            goals.append(["" if i else f"[{row.title}](#{anchor(row.title)})", goal.text, *cells])
    reached = sum(cells[-1] == "yes" for cells in goals)
    page = [
        ABOUT.format(rounds=some),
        table(["machine and versions", newest["when"]], facts, 2),
        f"## Goals\n\n{reached} of {len(goals)} are reached.\n",
        table(["work", "goal", "gowsgi", "compared with", "ratio", "reached"], goals, 2),
    ]
    page += ["## Figures\n"]
    for row in rows:
        if not row.plot:
            page.append(
                f"### {row.title}\n\n" + about(row, kept[row.name], newest) + figures(row, kept[row.name]["servers"])
            )
    if any(row.plot for row in rows):
        page.append("## Cost as work grows\n\nhello, 1 thread.\n\n" + growth(docs / "benchmarks", rows, kept))
    for row in rows:
        if row.plot:
            page.append(
                f"### {row.title}\n\n" + about(row, kept[row.name], newest) + figures(row, kept[row.name]["servers"])
            )
    (docs / "benchmarks.md").write_text("\n".join(page))


def anchor(title: str) -> str:
    """Return what a heading's link is called."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
