"""Werkzeug's tests of its development server, with gowsgi in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.server import command

from . import fetch, suites
from .left_out import werkzeug

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Venv

    from .outcomes import Tally


def test_serving(venv: Venv, tmp_path: Path, tally: Tally) -> None:
    """Every test passes but those of the tables."""
    not_run = [f"tests/test_serving.py::{name}".replace("[[]", "[") for name in werkzeug.SERVING_NOT_RUN]
    results = suites.run(
        [str(venv.python), str(fetch.REPO / suites.INSIDE / "suite_serving.py"), *command()],
        tmp_path / "results.json",
        timeout=80,
        cwd=tmp_path,
        GOWSGI_PYTHON=str(venv.python),
        FOREIGN_SOURCE=str(fetch.source("Werkzeug")),
        FOREIGN_ARGUMENTS=json.dumps([f"--deselect={name.removesuffix('*')}" for name in not_run]),
        FOREIGN_RESULTS=str(tmp_path / "results.json"),
    )
    assert results, "no test was run"
    suite = "Werkzeug, test_serving"
    complaints = tally.judge(suite, results, werkzeug.SERVING)
    assert not complaints, "\n\n".join(complaints)
    tally.suite(suite).own |= werkzeug.SERVING_NOT_RUN
