"""SIGUSR2: a new master beside the old one, which may be a new release of the server itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.load import Load
from support.server import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Serve
    from support.server import Server

LOAD_SECONDS = float(os.environ.get("GOWSGI_TEST_LOAD", "6"))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The file that says which release the application is."""
    file = tmp_path / "release"
    file.write_text("1")
    return file


@pytest.fixture
def upgrade() -> Iterator[Callable[[Server], int]]:
    """Start a new master and return its pid; it is ended with the test."""
    started: list[int] = []

    def upgrade(server: Server) -> int:
        count = server.stderr.count("started a new master")
        server.signal(signal.SIGUSR2)
        proc.wait_for(lambda: server.stderr.count("started a new master") > count, 5, "a new master")
        pid = int(server.stderr.rpartition("started a new master: pid=")[2].split()[0])
        started.append(pid)
        return pid

    yield upgrade
    for pid in started:
        for each in reversed(proc.tree(pid) if proc.alive(pid) else []):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def serving(server: Server, pid: int) -> None:
    """Wait until a master says that it serves."""
    server.wait_log(f"serving workers:app .*pid={pid}$", 20)


def gone(pid: int) -> None:
    """Wait until a process is not there any more."""
    proc.wait_for(lambda: not proc.alive(pid), 15, f"{pid} to end")


def number(path: Path) -> int:
    """Return what a pid file says."""
    return int(path.read_text())


@pytest.mark.parametrize("forked", [[], ["--preload"]], ids=["plain", "preload"])
def test_no_request_is_lost(
    serve: Serve, release: Path, tmp_path: Path, upgrade: Callable[[Server], int], forked: list[str]
) -> None:
    """The whole way: USR2, WINCH to the old master, a look, QUIT to it; then the new one's end."""
    pid, pid2, path = tmp_path / "pid", tmp_path / "pid.2", tmp_path / "s.sock"
    server = serve(
        *("workers:app", "-w2", "--threads", "2", "--pid", str(pid), "--bind", f"unix:{path}", *forked),
        env={"E2E_RELEASE": str(release)},
    )
    with Load(server.port) as load:
        time.sleep(LOAD_SECONDS / 6)
        release.write_text("2")
        new = upgrade(server)
        serving(server, new)
        assert (number(pid), number(pid2)) == (server.pid, new)
        time.sleep(LOAD_SECONDS / 6)
        server.signal(signal.SIGWINCH)
        proc.wait_for(lambda: server.workers == [new], 15, "the old workers to end")
        time.sleep(LOAD_SECONDS / 6)
        server.signal(signal.SIGQUIT)
        assert server.wait() == 0
        proc.wait_for(lambda: not pid2.exists(), 5, "the pid file to be taken over")
        assert number(pid) == new
        assert path.is_socket()
        time.sleep(LOAD_SECONDS / 6)
    print(f"one upgrade: {load}")
    assert load.failures == []
    assert load.releases["2"] > load.answers / 4
    assert requests.get(f"{server.url}/who", timeout=10).json()["release"] == "2"
    os.kill(new, signal.SIGTERM)
    gone(new)
    assert not path.exists()
    assert not pid.exists()


def test_a_hurried_upgrade_loses_no_request(serve: Serve, release: Path, upgrade: Callable[[Server], int]) -> None:
    """WINCH and TERM to the old master at the same time: its workers hear of both."""
    server = serve("workers:app", "-w2", env={"E2E_RELEASE": str(release)})
    with Load(server.port) as load:
        new = upgrade(server)
        serving(server, new)
        server.signal(signal.SIGWINCH)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        time.sleep(0.5)
    assert load.failures == []
    assert load.sent_again == 0


def test_the_old_master_comes_back(serve: Serve, release: Path, upgrade: Callable[[Server], int]) -> None:
    """WINCH to the old one, then it is wanted after all: HUP to it, QUIT to the new one."""
    server = serve("workers:app", env={"E2E_RELEASE": str(release)})
    with Load(server.port) as load:
        new = upgrade(server)
        serving(server, new)
        server.signal(signal.SIGWINCH)
        proc.wait_for(lambda: server.workers == [new], 15, "the old workers to end")
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded", 15)
        os.kill(new, signal.SIGTERM)
        gone(new)
        server.wait_log("the new master has ended; this one goes on")
        time.sleep(0.5)
    assert load.failures == []
    assert len(server.workers) == 1
    assert server.stop() == 0


def test_a_release_that_does_not_load(serve: Serve, release: Path, upgrade: Callable[[Server], int]) -> None:
    server = serve("workers:app", "-w2", env={"E2E_RELEASE": str(release)})
    old = server.workers
    release.write_text("broken")
    with Load(server.port) as load:
        new = upgrade(server)
        server.wait_log("the new master has ended; this one goes on: .*exit status 3", 15)
        gone(new)
        time.sleep(0.5)
    assert load.failures == []
    assert "this release does not work" in server.stderr
    assert server.workers == old
    release.write_text("2")
    new = upgrade(server)
    serving(server, new)
    assert server.stop() == 0
    assert requests.get(f"{server.url}/who", timeout=10).json()["release"] == "2"


def test_the_new_master_is_the_new_program(
    serve: Serve, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upgrade: Callable[[Server], int]
) -> None:
    """The file was replaced: workers of the old master stay the old program."""
    program = tmp_path / "gowsgi"
    shutil.copy2(command()[0], program)
    monkeypatch.setenv("GOWSGI_TEST_SERVER", str(program))
    server = serve("workers:app", env={"E2E_RELEASE": str(release)}, ready=False)
    serving(server, server.pid)
    first = server.workers
    shutil.copy2(program, tmp_path / "next")
    (tmp_path / "next").rename(program)
    os.kill(first[0], signal.SIGKILL)
    proc.wait_for(lambda: server.workers not in ([], first), 15, "another worker")
    assert not same_program(server.workers[0], program)
    new = upgrade(server)
    serving(server, new)
    assert same_program(new, program)
    assert all(same_program(pid, program) for pid in proc.children(new))
    assert server.stop() == 0


def same_program(pid: int, program: Path) -> bool:
    """Tell whether a process runs what is in a file now."""
    return Path(f"/proc/{pid}/exe").stat().st_ino == program.stat().st_ino


def test_a_folder_that_is_a_link(serve: Serve, venv: object, tmp_path: Path, upgrade: Callable[[Server], int]) -> None:
    """Releases in folders of their own, and a link to the current one: HUP and USR2 follow it."""
    app = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'%d']\n"
    link = tmp_path / "current"
    for number in (1, 2, 3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "site_app.py").write_text(app % number)
    link.symlink_to("1")
    launcher = ["sh", "-c", f'cd {link} && exec "$@"', "sh"]
    server = serve("site_app:app", launcher=launcher, chdir=Path(), ready=False)
    server.wait_log("serving site_app:app", 20)
    assert requests.get(server.url, timeout=10).text == "1"
    turn(link, "2")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    # The old worker may still take what has just connected.
    proc.wait_for(lambda: requests.get(server.url, timeout=10).text == "2", 10, "the new folder's application")
    turn(link, "3")
    new = upgrade(server)
    server.wait_log(f"serving site_app:app .*pid={new}$", 20)
    assert server.stop() == 0
    proc.wait_for(lambda: requests.get(server.url, timeout=10).text == "3", 10, "the third release")


def turn(link: Path, target: str) -> None:
    """Point a link elsewhere in one step."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.rename(link)
