"""gowsgi's parser against h11 and llhttp: no disagreement without an explanation."""

from __future__ import annotations

import dataclasses
import random

import pytest

from . import fuzz, report
from .compare import compare
from .readers import ROOT, gowsgi
from .rules import RULES, explain

FIXED, COUNT = 1, 20_000
RANDOM_COUNT = 5_000
GOOD = b"POST /a HTTP/1.1\r\nHost: e\r\nA: b\r\nContent-Length: 5\r\n\r\nhello"


def _fail_unexplained(seed: int, result: fuzz.Result) -> None:
    if result.unexplained:
        shown = "\n".join(fuzz.describe(d) for d in result.unexplained[:5])
        pytest.fail(f"seed {seed}: {len(result.unexplained)} disagreements without a rule\n{shown}")


def test_fixed_seed() -> None:
    """The same inputs each time; they meet every rule, or the rule is a dead one."""
    result = fuzz.run(FIXED, COUNT)
    _fail_unexplained(FIXED, result)
    assert result.requests > COUNT / 2
    assert min(result.agreed.values()) > COUNT * 3 / 4
    met = {rule for rule, _ in result.counts}
    assert met == {rule.id for rule in RULES}


def test_random_seed() -> None:
    """Other inputs each time."""
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    _fail_unexplained(seed, fuzz.run(seed, RANDOM_COUNT))


@pytest.mark.parametrize("change", ["method", "target", "minor", "fields", "body", "keep", "end", "accept"])
def test_a_wrong_reading_is_noticed(change: str) -> None:
    """A parser that read this request wrongly would not be excused."""
    (right,) = gowsgi([GOOD])
    request = right.requests[0]
    wrong = {
        "method": {"method": b"PUT"},
        "target": {"target": b"/"},
        "minor": {"minor": 0},
        "fields": {"fields": request.fields[:-1]},
        "body": {"body": b"hell"},
        "keep": {"keep": False},
    }
    if change in wrong:
        reading = dataclasses.replace(right, requests=[dataclasses.replace(request, **wrong[change])])
    elif change == "end":
        reading = dataclasses.replace(right, end="closed")
    else:
        reading = dataclasses.replace(right, requests=[], end="refused", cause="invalid Host", end_at=0)
    for peer, read in fuzz.PEERS.items():
        assert compare(peer, GOOD, right, read(GOOD)) is None
        parting = compare(peer, GOOD, reading, read(GOOD))
        assert parting is not None
        assert explain(parting) is None


def test_the_document_has_the_table() -> None:
    """docs/differential.md was made from these rules, with nothing unexplained."""
    text = (ROOT / "docs" / "differential.md").read_text()
    assert "Unexplained: 0." in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    assert len(rows) == len(RULES)
    for rule, line in zip(RULES, rows, strict=True):
        assert line.startswith(report.row(rule)), "run the command that the document names"
