"""waitress's functional tests, with gowsgi in waitress's place: see inside/waitress_runner.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.server import command

from . import fetch, suites
from .left_out import waitress as left_out

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Venv

    from .outcomes import Tally

TIMEOUT = 150.0


@pytest.mark.timeout(TIMEOUT + 30)
def test_functional(venv: Venv, tmp_path: Path, tally: Tally) -> None:
    """Every test passes but those of the table."""
    source = fetch.source("waitress")
    results = suites.run(
        [
            str(venv.python),
            str(fetch.REPO / suites.INSIDE / "waitress_runner.py"),
            str(source),
            str(tmp_path / "results.json"),
            *command(),
        ],
        tmp_path / "results.json",
        timeout=TIMEOUT,
        cwd=tmp_path,
        GOWSGI_PYTHON=str(venv.python),
    )
    complaints = tally.judge("waitress, test_functional", results, left_out.TABLE)
    assert not complaints, "\n\n".join(complaints)
