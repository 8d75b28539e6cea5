"""What docs/nginx.md says to type and to configure works as it is written, but for ports and folders."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.nginx import PARAMS, Nginx
from support.server import HOST, REPO, clean_env, command, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.interpreters import Venv

PAGE = (REPO / "docs" / "nginx.md").read_text()
APP = """
import json

def app(environ, start_response):
    body = json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
PARTS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def blocks(kind: str, text: str) -> list[str]:
    """The fenced blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# Each configuration with the commands before it; `uwsgi_pass` and others have several in a part.
SET_UPS = [
    pytest.param(commands, config, id=f"{name}-{number}")
    for name, text in PARTS.items()
    for number, (commands, config) in enumerate(zip(blocks("sh", text), blocks("nginx", text), strict=False))
]


class Machine:
    """The page's machine: its ports and folders, as they are in the test."""

    def __init__(self, folder: Path, venv: Venv) -> None:
        """Make the folders."""
        self.venv = venv
        self.names = {"/srv/myapp": str(folder / "srv"), "/run/myapp": str(folder / "run")}
        self.ports: dict[str, int] = {}
        for path in self.names.values():
            Path(path).mkdir()
        (folder / "srv" / "myapp.py").write_text(APP)
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._nginx: Nginx | None = None

    def translate(self, text: str) -> str:
        """Put this machine's ports and folders into a text."""
        for name, path in self.names.items():
            text = text.replace(name, path)

        def port(match: re.Match[str]) -> str:
            return match[1] + str(self.ports.setdefault(match[2], free_port()))

        text = re.sub(r"(\b127\.0\.0\.1:)(\d+)", port, text)
        return re.sub(r"(\blisten )(\d+);", lambda match: f"{match[1]}{HOST}:{port(match).split()[-1]};", text)

    def words(self, line: str) -> list[str]:
        """The words of a gowsgi command."""
        program, *words = shlex.split(self.translate(line))
        assert program == "gowsgi", line
        return [*command(), *words]

    def run(self, line: str) -> None:
        """Start a command that serves."""
        log = self.folder / f"log-{len(self._started)}"
        with log.open("wb") as out:
            words = [*self.words(line), "--python", str(self.venv.python)]
            self._started.append(
                subprocess.Popen(words, stdout=out, stderr=out, env=clean_env(), start_new_session=True)
            )
        proc.wait_for(
            lambda: "serving myapp:app" in log.read_text(), 20, f"{line} to serve; it wrote {log.read_text()}"
        )

    def serve(self, config: str) -> str:
        """Start nginx, and return where it listens."""
        debian = Path("/etc/nginx/uwsgi_params")
        (self.folder / "uwsgi_params").write_text(debian.read_text() if debian.exists() else PARAMS)
        self._nginx = Nginx(self.folder, self.translate(config))
        return f"http://{HOST}:{self.ports['80']}"

    def close(self) -> None:
        """End what was started."""
        if self._nginx:
            self._nginx.close()
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.wait(10)


@pytest.fixture
def machine(tmp_path: Path, venv: Venv) -> Iterator[Machine]:
    """The page's machine."""
    if not shutil.which("nginx") and not Path("/usr/sbin/nginx").exists():
        pytest.fail("nginx is not installed: tests/prepare.sh test")
    made = Machine(tmp_path, venv)
    yield made
    made.close()


@pytest.mark.parametrize(("commands", "config"), SET_UPS)
def test_set_up(machine: Machine, commands: str, config: str) -> None:
    for line in commands.splitlines():
        machine.run(line)
    url = machine.serve(config)
    prefix = "/shop" if "/shop" in config else ""
    headers = {"X-Forwarded-For": "198.51.100.7"}
    for _ in range(4):
        got = requests.get(f"{url}{prefix}/a%20b?c=d", headers=headers, timeout=10)
        assert got.status_code == 200, got.text
        seen = got.json()
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"]) == (prefix, "/a b", "c=d")
        assert seen["HTTP_HOST"] == url.removeprefix("http://")
        assert seen["wsgi.url_scheme"] == "http"
        # This host is believed to be a proxy, whichever way it comes: by default no other is.
        assert seen["REMOTE_ADDR"] == "198.51.100.7"
    body = b"x" * 100_000
    assert requests.post(f"{url}{prefix}/", data=body, timeout=10).json()["CONTENT_LENGTH"] == "100000"


def test_curl(machine: Machine) -> None:
    first, second = itertools.islice(
        (line for block in blocks("sh", PARTS["uwsgi_pass"]) for line in block.splitlines()), 2
    )
    machine.run(first)
    machine.run(second)
    said = []
    for line in blocks("sh", PARTS["Asking by hand"])[0].splitlines():
        done = subprocess.run(machine.words(line), capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, "all after" in done.stderr) == (0, True), done.stderr
        said.append(done.stdout)
    assert '"QUERY_STRING": "q=1"' in said[0]
    assert '"REQUEST_METHOD": "POST"' in said[1]
    assert said[2].startswith("HTTP/1.1 200 OK")
    assert said[3] == "pong\n"


def test_each_block_is_tested() -> None:
    assert len(SET_UPS) == len(blocks("nginx", PAGE)) >= 6
    used = sum(len(blocks("sh", PARTS[name])) for name in PARTS)
    assert used == len(SET_UPS) + 1
