"""Runs inputs through all parsers and sorts the disagreements."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from . import readers
from .compare import Disagreement, compare
from .generate import Generator
from .rules import explain

PEERS = {"h11": readers.by_h11, "llhttp": readers.by_llhttp}


@dataclass
class Result:
    """What a run found.

    Attributes:
        inputs: How many were read.
        requests: How many requests gowsgi accepted in them.
        refused: How many inputs it refused somewhere.
        agreed: How many inputs each peer read as gowsgi does.
        counts: By rule and peer.
        examples: The shortest input of each rule and peer.
        unexplained: Disagreements without a rule.
    """

    inputs: int = 0
    requests: int = 0
    refused: int = 0
    agreed: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], bytes] = field(default_factory=dict)
    unexplained: list[Disagreement] = field(default_factory=list)


def run(seed: int, count: int) -> Result:
    """Makes and reads inputs."""
    return read_all(Generator(seed).inputs(count))


def read_all(inputs: list[bytes]) -> Result:
    """Reads inputs and explains what it can."""
    result = Result(inputs=len(inputs))
    ours = readers.gowsgi(inputs)
    result.requests = sum(len(reading.requests) for reading in ours)
    result.refused = sum(reading.end == "refused" for reading in ours)
    found: list[Disagreement] = []
    for data, mine in zip(inputs, ours, strict=True):
        for peer, read in PEERS.items():
            parting = compare(peer, data, mine, read(data))
            if parting is None:
                result.agreed[peer] += 1
            else:
                found.append(parting)
    _look_further(found)
    for d in found:
        rule = explain(d)
        if rule is None:
            result.unexplained.append(d)
            continue
        key = rule.id, d.peer
        result.counts[key] += 1
        if key not in result.examples or len(d.rest) < len(result.examples[key]):
            result.examples[key] = d.rest
    return result


def _look_further(found: list[Disagreement]) -> None:
    """Finds out whether the side that waits for more refuses what it has, once it ends."""
    ours = [d for d in found if d.ours == "more"]
    ended = readers.gowsgi([d.data + _END for d in ours])
    for d, reading in zip(ours, ended, strict=True):
        d.later = reading.end == "refused"
    for d in found:
        if d.theirs == "more":
            d.later = PEERS[d.peer](d.data + _END).end == "refused"


_END = b"\r\n\r\n"


def describe(d: Disagreement) -> str:
    """One disagreement, for a person."""
    what = f"they differ in {d.differs}" if d.differs else f"gowsgi: {d.ours}, {d.peer}: {d.theirs} ({d.cause})"
    return f"{d.peer}: {what}\n    {d.rest!r}\n    in {d.data!r}"
