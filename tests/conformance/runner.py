"""Runs cases against a server and judges them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .cases import Await, Case, Half, Mark, Pieces, Reset
from .checks import brief
from .servers import SERIAL, Server
from .wire import Connection, Talk

QUIET = 0.15  # to see that nothing more comes
CLOSING = 1.0  # to see that the server closes
NOTING = 1.5  # for the app's notes to come
MANY = 40  # so many failures are run again together, not one by one


@dataclasses.dataclass
class Verdict:
    """How one case went: nothing in failures means it passed.

    Attributes:
        case: The case.
        failures: What was expected and what came.
        raw: All bytes from the server.
        once: The failures of a first run, if a second one passed.
    """

    case: Case
    failures: list[tuple[str, str]]
    raw: bytes = b""
    once: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def perform(server: Server, case: Case) -> Talk:
    """Plays the steps of a case and gathers what came back."""
    token = "t" + secrets.token_hex(8)
    steps = [fill(s, token) for s in case.send]
    first = next((s.data if isinstance(s, Pieces) else s for s in steps if isinstance(s, (bytes, Pieces))), b"")
    method = re.match(rb"(?:\r\n)*([!-~]+)", first)
    methods = list(case.methods) or [method[1].decode() if method else "GET"]
    link = Connection(server.port, methods, case.limit)
    try:
        for step in steps:
            act(link, step, case.limit)
        if link.sock.fileno() >= 0:
            needs = {c.need for c in case.want}
            link.until(max(c.count for c in case.want), case.limit)
            if "close" in needs:
                link.linger(CLOSING)
            elif "quiet" in needs:
                link.linger(QUIET)
    finally:
        link.close()
    stop = time.monotonic() + NOTING
    path = os.path.join(server.events, token)
    while True:
        link.talk.events = read_events(path)
        late = any(c.need == "events" and c.test(link.talk) for c in case.want)
        if not late or time.monotonic() > stop:
            return link.talk
        time.sleep(0.02)


def fill(step: object, token: str) -> object:
    """Puts the token in."""
    if isinstance(step, bytes):
        return step.replace(b"@T@", token.encode())
    if isinstance(step, Pieces):
        return dataclasses.replace(step, data=fill(step.data, token))
    return step


def act(link: Connection, step: object, limit: float) -> None:
    """Plays one step."""
    if link.sock.fileno() < 0:
        time.sleep(step if isinstance(step, float) else 0)
        return
    match step:
        case bytes():
            link.send(step)
        case float():
            link.linger(step)
        case Half():
            link.half_close()
        case Reset():
            link.reset()
        case Await(what=int() as count):
            link.until(count, limit)
        case Await(what=what):
            link.has(what, limit)
        case Mark(name=name):
            link.talk.marks[name] = link.talk.raw
        case Pieces(data=data, size=size, pause=pause):
            for at in range(0, len(data), size):
                link.send(data[at : at + size])
                time.sleep(pause)
        case _:
            raise TypeError(f"no such step: {step!r}")


def read_events(path: str) -> list[list]:
    """Reads the app's notes."""
    try:
        with open(path) as notes:
            return [json.loads(line) for line in notes if line.endswith("\n")]
    except FileNotFoundError:
        return []


def judge(server: Server, case: Case) -> Verdict:
    """Runs one case, then sees that the server still answers."""
    try:
        talk = perform(server, case)
    except OSError as err:
        return Verdict(case, [("a connection", str(err))])
    failures = [(c.want, got) for c in case.want if (got := c.test(talk))]
    if not failures and talk.fault:
        failures = [("well-formed responses", brief(talk))]
    if dead := server.answers(3):
        failures.append(("the server alive afterwards", dead))
    return Verdict(case, failures, talk.raw[:2000])


def run(server: Server, cases: list[Case], jobs: int) -> list[Verdict]:
    """Runs all cases, and what failed once more alone on a fresh server, so that no neighbour is to blame."""
    jobs = 1 if server.name in SERIAL else jobs
    lock = threading.Lock()

    def one(case: Case) -> Verdict:
        verdict = judge(server, case)
        if verdict.failures and server.answers(2):
            with lock:
                if server.answers(2):
                    server.restart()
        return verdict

    server.start()
    try:
        with ThreadPoolExecutor(jobs) as pool:
            verdicts = list(pool.map(one, cases))
        if any(v.failures for v in verdicts):
            server.restart()
        failed = [at for at, verdict in enumerate(verdicts) if verdict.failures]
        with ThreadPoolExecutor(1 if len(failed) <= MANY else jobs) as pool:
            for at, verdict in zip(failed, pool.map(one, [verdicts[at].case for at in failed]), strict=True):
                if not verdict.failures:
                    verdict.once = verdicts[at].failures
                verdicts[at] = verdict
        return verdicts
    finally:
        server.remove()
