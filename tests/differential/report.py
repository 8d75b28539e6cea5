"""Writes the table of docs/differential.md."""

from __future__ import annotations

from .fuzz import Result
from .rules import RULES, Rule

_INTRO = """\
# What gowsgi reads otherwise than h11 and llhttp

Made by `python -m tests.differential --count {count} --markdown docs/differential.md`; `tests/differential` says how.

A grammar with mutations makes connections: one to three requests, some right, most wrong
in a place or two. gowsgi's parser, Python's h11 (as uvicorn and hypercorn use it) and
llhttp (Node's parser, through httptools) read each. Two readings agree if they have the
same requests (method, target, version, fields, body, whether the connection stays) and
stop for the same reason. Where they part, a rule below has to explain it, whose condition
is checked on the bytes, apart from what the parsers say; what no rule explains fails the
test. Limits on sizes are off: they are no matter of the RFCs.

{inputs:,} inputs (seed {seed}): gowsgi accepted {requests:,} requests and refused {refused:,} inputs
at some place. h11 agreed on {h11:,} inputs, llhttp on {llhttp:,}. Unexplained: {unexplained}.

The numbers behind a rule count the inputs in which it was the first to part the two.

| rule | who accepts | decided by | why gowsgi does so | h11 | llhttp | for instance |
|---|---|---|---|---|---|---|
"""
_SIDES = {"gowsgi": "gowsgi", "both": "both, differently", "any": "varies"}
_LONGEST = 120


def row(rule: Rule) -> str:
    """What of a rule's row does not depend on a run."""
    who = _SIDES.get(rule.side) or " and ".join(rule.peers)
    return f"| {rule.id} | {who} | {rule.section} | {rule.why} |".replace("`", "")


def markdown(seed: int, count: int, result: Result) -> str:
    """The whole document."""
    text = _INTRO.format(
        seed=seed, count=count, inputs=result.inputs, requests=result.requests, refused=result.refused,
        h11=result.agreed["h11"], llhttp=result.agreed["llhttp"], unexplained=len(result.unexplained),
    )  # fmt: skip
    for rule in RULES:
        counts = [str(result.counts[rule.id, peer]) if peer in rule.peers else "" for peer in ("h11", "llhttp")]
        examples = [result.examples[key] for peer in rule.peers if (key := (rule.id, peer)) in result.examples]
        text += f"{row(rule)} {counts[0]} | {counts[1]} | {_code(min(examples, key=len, default=b''))} |\n"
    return text


def _code(data: bytes) -> str:
    shown = ascii(data[:_LONGEST].decode("latin-1"))[1:-1].replace("|", "\\|").replace("`", "'")
    return f"`{shown}`{' ...' if len(data) > _LONGEST else ''}" if data else ""
