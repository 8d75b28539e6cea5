"""What is measured: the rows of the table, each with its load, its servers and its goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ALL = ("gowsgi", "granian", "bjoern", "gthread", "uwsgi", "waitress")
THREADED = tuple(name for name in ALL if name != "bjoern")
FORKING = tuple(name for name in ALL if name != "waitress")
GROWTH = ("gowsgi", "granian", "bjoern")
#: What a measurement yields: numbers by metric, and under "wrong" what went wrong.
Figures = dict[str, Any]
Servers = dict[str, list[Figures]]


@dataclass(frozen=True)
class Goal:
    """A metric of ours, compared with another figure."""

    text: str
    metric: str
    factor: float
    #: A server's name, "best" of the peers, or a figure.
    against: str | float = "best"
    #: The other side's metric, if another one.
    of: str = ""
    #: At most the factor, instead of at least.
    lower: bool = False


@dataclass(frozen=True)
class Row:
    """One load on some servers."""

    name: str
    title: str
    app: str
    goals: tuple[Goal, ...] = ()
    #: Labels: a name of bench.COMMANDS, or NAME/THREADS.
    servers: tuple[str, ...] = ALL
    #: Which function of table.LOADS makes the load.
    load: str = "wrk"
    workers: int = 1
    threads: int = 1
    connections: int = 32
    body: int = 0
    headers: int = 1
    #: Options for some servers.
    more: dict[str, str] = field(default_factory=dict)
    note: str = ""
    #: Which plot has it, and where.
    plot: str = ""
    x: int = 0


def at_least(text: str, factor: float, against: str | float = "best", of: str = "") -> Goal:
    """Returns a goal for throughput."""
    return Goal(text, "rps", factor, against, of)


def lowest(text: str, metric: str) -> Goal:
    """Returns a goal that no peer undercuts."""
    return Goal(text, metric, 1.0, lower=True)


CPU = lowest("CPU per request lowest", "cpu")
P99 = lowest("p99 lowest", "p99")
BEST = at_least("throughput best", 1.0)
PEER = at_least("≥ 1.0 of the best", 1.0)
PEER12 = at_least("≥ 1.2 of the best", 1.2)
PEER13 = at_least("≥ 1.3 of the best", 1.3)
# Where there are many connections, none shall be refused for a default limit.
GRANIAN = "--backlog 4096 --backpressure 20000"
LONG = {
    "gowsgi": "--keep-alive 300",
    "granian": GRANIAN,
    "gthread": "--keep-alive 300 --worker-connections 20000 --backlog 2048",
}
SLOW = {
    "granian": GRANIAN,
    "gthread": "--worker-connections 2000",
    "uwsgi": "--listen 2048",
    "waitress": "--connection-limit 2000 --asyncore-use-poll",
}
THROWN = "The client drops bodies in the kernel, so that the servers' cost decides and not its own."

ROWS = (
    Row(
        "hello-1",
        "hello, 1 thread",
        "hello",
        (at_least("≥ 1.0 of bjoern", 1.0, "bjoern"), at_least("≥ 1.5 of granian", 1.5, "granian")),
    ),
    Row(
        "hello-8",
        "hello, 8 threads",
        "hello",
        (
            at_least("≥ 0.9 of our own 1 thread", 0.9, "gowsgi/1"),
            at_least("≥ 1.8 of granian's 8", 1.8, "granian"),
            Goal("p99 < 4 x p50", "p99", 4.0, "gowsgi", "p50", lower=True),
        ),
        ("gowsgi", "gowsgi/1", *THREADED[1:]),
        threads=8,
    ),
    Row("flask-1", "flask JSON, 1 thread", "flask", (PEER12,)),
    Row("flask-4", "flask JSON, 4 threads", "flask", (PEER12,), THREADED, threads=4),
    Row("get10k", "10 KB answer", "get10k", (PEER,)),
    Row("echo", "echo of 10 KB", "echo", (PEER,), body=10240),
    Row("big", "1 MB answer", "big", (PEER13, CPU), load="download", connections=8, note=THROWN),
    Row(
        "stream",
        "64 x 1 KB stream",
        "stream",
        (PEER13, CPU),
        tuple(name for name in ALL if name != "uwsgi"),
        note="uWSGI's `--http11-socket` neither chunks such an answer nor ends it.",
    ),
    Row(
        "file",
        "file_wrapper of 10 MB",
        "file10m",
        (at_least("≥ 1.0 of uWSGI's sendfile", 1.0, "uwsgi"), CPU),
        load="download",
        threads=4,
        connections=4,
        note=THROWN + " bjoern has its one thread here.",
    ),
    Row(
        "sleep",
        "sleep 10 ms, 64 threads",
        "sleep10",
        (at_least("≥ 0.99 of 6,400/s", 0.99, 6400.0), CPU),
        THREADED,
        threads=64,
        connections=64,
    ),
    *(
        Row(
            f"cpu-{threads}",
            f"cpu 1 ms, {threads} thread{'s' * (threads > 1)}",
            "cpu1ms",
            (BEST, P99),
            ALL if threads == 1 else THREADED,
            threads=threads,
        )
        for threads in (1, 4, 16)
    ),
    Row(
        "mixed",
        "90 % hello, 10 % sleep 50 ms, 16 threads",
        "mixed",
        (lowest("p99 of hello lowest", "p99"),),
        THREADED,
        load="mixed",
        threads=16,
        note="1,200 requests a second at times that chance says, the same for all, whatever comes back: 6 threads"
        " sleep on average, and hardly ever 16, so that what hello waits for is the server's doing."
        " The latencies are hello's.",
    ),
    Row(
        "idle",
        "10,000 idle kept connections, and hello",
        "hello",
        (
            Goal("≤ 8 KB a connection", "kilobytes", 1.0, 8.0, lower=True),
            at_least("hello ≥ 0.9 of that without them", 0.9, "gowsgi", of="alone"),
        ),
        ("gowsgi", "granian", "bjoern", "gthread"),
        load="idle",
        more=LONG,
        note="Each connection has made one request. KB is what the server's PSS grew by; the kernel's part is not in"
        " it. uWSGI would need a thread for each, and waitress asks about each of them in every round of its loop.",
    ),
    Row(
        "uploads",
        "1,000 slow uploads of 1 MB, and hello, 4 threads",
        "upload",
        (at_least("hello ≥ 0.9 of undisturbed", 0.9, "gowsgi", of="alone"),),
        load="uploads",
        threads=4,
        more=SLOW,
        note="Each upload sends 1 KB a second, to an application that reads the body.",
    ),
    Row("hello-2w", "hello, 2 workers", "hello", (PEER12, CPU), FORKING, workers=2),
    Row("flask-2w", "flask JSON, 2 workers", "flask", (PEER12, CPU), FORKING, workers=2),
    Row(
        "start",
        "start to first answer, and memory with Flask",
        "flask",
        (
            lowest("first answer soonest", "start"),
            Goal("PSS of a worker ≤ 1.1 of bjoern's", "worker", 1.1, "bjoern", lower=True),
        ),
        load="start",
        note="From the start of the process to its first 200. PSS after a second of load, of the worker (the largest"
        " process) and of all processes, with the master.",
    ),
    *(
        Row(
            f"connections-{number}",
            f"hello, {number:,} connection{'s' * (number > 1)}",
            "hello",
            servers=GROWTH,
            connections=number,
            more={"granian": GRANIAN},
            plot="connections",
            x=number,
        )
        for number in (1, 32, 256, 1024)
    ),
    *(
        Row(
            f"headers-{number}",
            f"hello, {number} header{'s' * (number > 1)} in each request",
            "hello",
            servers=GROWTH,
            headers=number,
            plot="headers",
            x=number,
        )
        for number in (1, 10, 50)
    ),
)
BY_NAME = {row.name: row for row in ROWS}
