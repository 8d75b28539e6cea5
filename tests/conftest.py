"""Fixtures of all tests: virtual environments and server processes.

    pip install -r tests/requirements.txt && pytest tests/e2e

What steers a run, all of it optional:

GOWSGI_TEST_PYTHONS   interpreters to test with, colon-separated (default: those found)
GOWSGI_TEST_REQUIRE   versions that must be among them, as in "3.10 3.13"
GOWSGI_TEST_DROPS     clients that leave, in each test of test_drops.py (default: 300)
GOWSGI_TEST_HAMMER    seconds of each test of test_hammer.py (default: 5)
GOWSGI_TEST_LOAD      seconds of each test under load in test_workers.py (default: 6)
GOWSGI_TEST_SERVER    the command under test (default: bin/gowsgi)
"""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Protocol

import pytest
from support import interpreters
from support.server import Server, command
from support.site import Site

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from support.interpreters import Venv

TEST_TIMEOUT = 90  # Seconds; a test that needs more says so with @pytest.mark.timeout.
LOG_TAIL = 60  # Lines of each server's output shown with a failure.


class Serve(Protocol):
    """Starts a server that is ended with the test (or the module)."""

    started: list[Server]

    def __call__(self, app: str, *options: str, ready: bool = True, **how: object) -> Server:
        """Start serving `app` with Server's arguments; wait until it listens if `ready`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every test; stop at once where there is no server to test."""
    if any("serve" in name for item in items for name in getattr(item, "fixturenames", ())):
        program = command()[0]
        if shutil.which(program) is None:
            msg = f"{program} is not there: run make first"
            raise pytest.UsageError(msg)
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `each_venv` once for every interpreter, one that takes `site` for two."""
    for fixture, choose in (("each_venv", slice(None)), ("site", slice(1, None, 3))):
        if fixture not in metafunc.fixturenames:
            continue
        try:
            versions = list(interpreters.discover())
        except RuntimeError as error:
            raise pytest.UsageError(str(error)) from error
        scope = "module" if fixture == "each_venv" else "function"
        metafunc.parametrize(fixture, versions[choose] or versions[-1:], indirect=True, scope=scope)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the servers wrote."""
    report = yield
    if report.failed:
        for server in _servers(item):
            for name, text in (("stderr", server.stderr), ("stdout", server.stdout)):
                if text:
                    tail = "\n".join(text.splitlines()[-LOG_TAIL:])
                    report.sections.append((f"{name} of {' '.join(server.arguments)}", tail))
    return report


@pytest.fixture(scope="session")
def venv() -> Venv:
    """The virtual environment of the newest interpreter, for tests that need just one."""
    return interpreters.venv_for(list(interpreters.discover())[-1])


@pytest.fixture(scope="module")
def each_venv(request: pytest.FixtureRequest) -> Venv:
    """The virtual environment of one of the interpreters."""
    return interpreters.venv_for(request.param)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, serve: Serve) -> Site:
    """A folder to deploy, for 3.11 and 3.14 where all versions are there."""
    return Site(tmp_path / "site", interpreters.venv_for(request.param), serve)


@pytest.fixture
def serve(tmp_path: Path, venv: Venv) -> Iterator[Serve]:
    """Servers for one test."""
    yield from _fleet(tmp_path, venv)


@pytest.fixture(scope="module")
def module_serve(tmp_path_factory: pytest.TempPathFactory, venv: Venv) -> Iterator[Serve]:
    """Servers for all the tests of a module."""
    yield from _fleet(tmp_path_factory.mktemp("servers"), venv)


def _fleet(folder: Path, default: Venv) -> Iterator[Serve]:
    started: list[Server] = []
    numbers = itertools.count()

    def start(app: str, *options: str, ready: bool = True, **how: object) -> Server:
        logs = folder / f"server-{next(numbers)}"
        logs.mkdir()
        venv = how.pop("venv", default)
        server = Server(logs, app, venv, *options, **how)
        started.append(server)
        if ready:
            server.wait_ready()
        return server

    start.started = started
    yield start
    for server in started:
        server.close()


def _servers(item: pytest.Item) -> list[Server]:
    arguments = getattr(item, "funcargs", {})
    shared = [value for value in arguments.values() if isinstance(value, Server)]
    return shared + getattr(arguments.get("serve"), "started", [])
