"""Unix sockets, inherited descriptors, and what tells the system: with one worker and with two."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Serve
    from support.server import Server

# Moves the descriptor argv[1] to 3 and says that it is meant for this process, as systemd does.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execv(sys.argv[2], sys.argv[2:])
"""

pytestmark = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server((HOST, 0)) as made:
        yield made


def curl(path: Path) -> dict[str, str]:
    """Ask for the environ through a unix socket."""
    command = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(path), "http://test/environ"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def environ(listener: socket.socket) -> dict[str, str]:
    """Ask for the environ through a port."""
    return requests.get(f"http://{HOST}:{listener.getsockname()[1]}/environ", timeout=10).json()


def started(server: Server) -> Server:
    """Wait until a server says that it serves."""
    server.wait_log("serving raw:app", 20)
    return server


def test_unix_socket(serve: Serve, workers: str, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = started(serve("raw:app", "-w", workers, "--bind", f"unix:{path}", "--umask", "0o027"))
    assert curl(path)["REMOTE_ADDR"] == ""
    assert requests.get(f"{server.url}/environ", timeout=10).json()["REMOTE_ADDR"] == HOST
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert f"unix:{path}" in server.stderr
    assert server.stop() == 0
    assert not path.exists()


def test_relative_unix_socket(serve: Serve, workers: str, tmp_path: Path) -> None:
    """It lies in --chdir, as with gunicorn, and is removed from there."""
    (tmp_path / "app.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
    )
    server = serve("app", "-w", workers, "--bind", "unix:s.sock", "--pid", "pid", chdir=tmp_path)
    server.wait_log("serving app", 20)
    assert (tmp_path / "s.sock").is_socket()
    assert (tmp_path / "pid").read_text() == f"{server.pid}\n"
    assert server.stop() == 0
    assert not (tmp_path / "s.sock").exists()
    assert not (tmp_path / "pid").exists()


def test_stale_unix_socket(serve: Serve, workers: str, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    started(serve("raw:app", "-w", workers, "--bind", f"unix:{path}"))
    assert curl(path)["REQUEST_METHOD"] == "GET"
    other = serve("raw:app", "-w", workers, "--bind", f"unix:{path}", ready=False)
    assert other.wait() == 1
    assert "another process serves there" in other.stderr
    assert curl(path)["REQUEST_METHOD"] == "GET"


def test_inherited_descriptor(serve: Serve, workers: str, listener: socket.socket) -> None:
    fd = listener.fileno()
    server = started(serve("raw:app", "-w", workers, "--bind", f"fd://{fd}", pass_fds=[fd]))
    assert environ(listener)["SERVER_PORT"] == str(listener.getsockname()[1])
    assert server.stop() == 0


def test_socket_activation(serve: Serve, workers: str, listener: socket.socket) -> None:
    """What systemd passes takes the place of --bind."""
    fd = listener.fileno()
    launcher = ["python3", "-c", ACTIVATE, str(fd)]
    server = started(serve("raw:app", "-w", workers, launcher=launcher, pass_fds=[fd], ready=False))
    assert environ(listener)["SERVER_PORT"] == str(listener.getsockname()[1])
    assert not server.listening
    for pid in proc.tree(server.pid):
        assert b"LISTEN_FDS" not in Path(f"/proc/{pid}/environ").read_bytes() or pid == server.pid
    assert server.stop() == 0


def test_pid_file(serve: Serve, workers: str, tmp_path: Path) -> None:
    path = tmp_path / "gowsgi.pid"
    server = started(serve("raw:app", "-w", workers, "--pid", str(path)))
    assert path.read_text() == f"{server.pid}\n"
    other = serve("raw:app", "-w", workers, "-p", str(path), ready=False)
    assert other.wait() == 1
    assert str(server.pid) in other.stderr
    assert server.stop() == 0
    assert not path.exists()


def test_notifications(serve: Serve, workers: str, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(20)
        server = serve("slow_import:app", "-w", workers, env={"NOTIFY_SOCKET": str(path)}, ready=False)
        server.wait_log("^importing$")
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
        systemd.settimeout(20)
        assert systemd.recv(100) == b"READY=1"
        assert requests.get(server.url, timeout=10).text == "slow 0"
        assert server.stop() == 0
        assert systemd.recv(100) == b"STOPPING=1"
