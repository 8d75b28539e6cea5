"""The tally of all suites, and the table that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import fetch
from .outcomes import Tally

if TYPE_CHECKING:
    from support.interpreters import Venv

TALLY = pytest.StashKey[Tally]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes docs/foreign-tests.md."""
    parser.addoption("--foreign-table", metavar="FILE", help="write the table of the foreign suites to FILE")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start counting."""
    session.config.stash[TALLY] = Tally()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the table, of a run without failures only."""
    path = session.config.getoption("--foreign-table", None)
    if path and exitstatus == pytest.ExitCode.OK:
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(session.config.stash[TALLY].document(fetch.VERSIONS))


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """The outcomes of this run."""
    return pytestconfig.stash[TALLY]


@pytest.fixture(scope="session")
def venv() -> Venv:
    """The environment that everything here runs in."""
    return fetch.environment()
