"""Runs the suite against bin/gowsgi, with one thread and with eight."""

from __future__ import annotations

import pytest

from . import report
from .cases import collect
from .runner import run
from .servers import PRESETS, ROOT, Server


@pytest.mark.parametrize("preset", ["gowsgi", "gowsgi-8"])
def test_no_case_fails(preset: str) -> None:
    """Every case passes."""
    if not (ROOT / "bin" / "gowsgi").exists():
        pytest.fail("bin/gowsgi is not built; run make")
    verdicts = run(Server(preset, PRESETS[preset]), collect(), jobs=4)
    failed = sum(bool(v.failures) for v in verdicts)
    assert not failed, report.text(preset, verdicts, 0, verbose=True)
