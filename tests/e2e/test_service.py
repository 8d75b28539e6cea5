"""In the background, and as another user."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import APPS, HOST, command, finish, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Finished


@pytest.fixture
def daemon(venv: Venv, tmp_path: Path) -> Iterator[Callable[..., Finished]]:
    """Run a daemon's command, which has a pid file; the daemon is ended with the test."""
    file = tmp_path / "pid"

    def start(app: str, *options: str) -> Finished:
        where = ["--chdir", str(APPS), "--python", str(venv.python), "--pid", str(file)]
        return finish(["run", "--daemon", *where, *options, app])

    yield start
    if file.exists():
        pid = int(file.read_text())
        tree = proc.tree(pid)
        os.kill(pid, signal.SIGTERM)
        proc.wait_for(lambda: not any(proc.alive(each) for each in tree), 15, "the daemon to end")


def test_a_daemon(daemon: Callable[..., Finished], tmp_path: Path) -> None:
    """The command returns when it serves."""
    port = free_port()
    end = daemon("slow_import:app", "--bind", f"{HOST}:{port}")
    assert (end.code, end.stdout, end.stderr) == (0, "", "")
    assert requests.get(f"http://{HOST}:{port}", timeout=10).text == "slow 0"
    pid = int((tmp_path / "pid").read_text())
    assert os.getsid(pid) == pid
    for each in proc.tree(pid):
        assert {os.readlink(f"/proc/{each}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    old = proc.children(pid)
    os.kill(pid, signal.SIGHUP)
    proc.wait_for(lambda: not any(proc.alive(each) for each in old), 15, "a reload")
    assert requests.get(f"http://{HOST}:{port}", timeout=10).text == "slow 0"
    os.kill(pid, signal.SIGTERM)
    proc.wait_for(lambda: not proc.alive(pid), 15, "the daemon to end")
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize(
    ("app", "options", "code", "said"),
    [
        ("broken_raise:app", [], 3, "RuntimeError: no database at import"),
        ("raw:nosuch", [], 4, "nosuch"),
        ("raw:app", ["--bind", "busy"], 1, "another process serves there"),
        ("raw:app", ["--threads", "0"], 1, "--threads"),
        ("raw:app", ["--user", "no-such-user"], 1, "there is no such user"),
    ],
)
def test_a_daemon_that_fails(
    daemon: Callable[..., Finished], serve: Serve, tmp_path: Path, app: str, options: list[str], code: int, said: str
) -> None:
    """The command tells, as if it were no daemon."""
    busy = f"{HOST}:{serve('raw:app').port}" if "busy" in options else ""
    if "--bind" not in options:
        options = [*options, "--bind", f"{HOST}:{free_port()}"]
    end = daemon(app, *[busy if option == "busy" else option for option in options])
    assert end.code == code, end.stderr
    assert said in end.stderr
    assert end.stderr.startswith("gowsgi: ")
    assert end.stderr.count("Traceback (most recent call last)") == (1 if code == 3 else 0)
    assert not (tmp_path / "pid").exists()


def test_another_user(serve: Serve, venv: Venv, tmp_path: Path) -> None:
    """The workers run as that user, the master as root, which alone may do that."""
    path = tmp_path / "s.sock"
    options = ["--user", "daemon", "--bind", f"unix:{path}"]
    other = pwd.getpwnam("daemon")
    server = serve("raw:app", *options, ready=False)
    if os.geteuid() != 0:
        assert server.wait() == 1
        assert "only root may start workers as somebody else" in server.stderr
        return
    if not reachable(command()[0], other.pw_uid) or not reachable(str(venv.python), other.pw_uid):
        assert server.wait() != 0  # of what lies in a folder of root's own, nothing can be run
        return
    server.wait_log("serving raw:app", 20)
    for pid, uid, gid in [(server.pid, 0, os.getegid()), (server.workers[0], other.pw_uid, other.pw_gid)]:
        status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split() == [str(uid)] * 4
        assert status["Gid"].split() == [str(gid)] * 4
    assert status["Groups"].split() == []
    assert (path.stat().st_uid, path.stat().st_gid) == (other.pw_uid, other.pw_gid)
    assert requests.get(f"{server.url}/stream?n=1", timeout=10).text == "line 0\n"
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    assert server.stop() == 0


def reachable(program: str, uid: int) -> bool:
    """Tell whether a user can run a program."""
    try:
        return subprocess.run([program, "--help"], user=uid, capture_output=True, check=False).returncode == 0
    except PermissionError:
        return False
