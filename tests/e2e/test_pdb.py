"""breakpoint() in an application that is served from a terminal."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import termios
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from support.server import HOST, clean_env, command, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.interpreters import Venv

APP = """
def app(environ, start_response):
    x = 41
    breakpoint()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x is %d" % x]
"""


class Terminal:
    """A server whose standard streams are a terminal of its own."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        """Start it."""
        self.fd, slave = os.openpty()
        self.slave = slave
        self.process = subprocess.Popen(
            [*command(), "run", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=clean_env(TERM="dumb"),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.output = ""
        self._read_to = 0

    def wait(self, text: str, timeout: float = 20.0) -> None:
        """Wait until the output goes on with a text."""
        deadline = time.monotonic() + timeout
        while (found := self.output.find(text, self._read_to)) < 0:
            assert time.monotonic() < deadline, f"no {text!r} after {self.output[self._read_to :]!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                self.output += os.read(self.fd, 4096).decode(errors="replace")
        self._read_to = found + len(text)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.fd, text.encode())

    def modes(self) -> int:
        """Return what the terminal does with what is typed: echo and lines among others."""
        return termios.tcgetattr(self.slave)[3]

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        os.close(self.fd)
        os.close(self.slave)


class Asking:
    """A request that is under way."""

    def __init__(self, url: str) -> None:
        """Send it."""
        self._answers: list[requests.Response | Exception] = []
        self._thread = threading.Thread(target=self._ask, args=(url,))
        self._thread.start()

    def _ask(self, url: str) -> None:
        try:
            self._answers.append(requests.get(url, timeout=30))
        except requests.RequestException as exc:
            self._answers.append(exc)

    def answer(self) -> requests.Response | Exception:
        """Wait for the answer."""
        self._thread.join(30)
        return self._answers[0]


@pytest.fixture(params=[["--threads=1"], ["--threads=2"], ["--reload"]], ids=lambda words: words[0])
def terminal(request: pytest.FixtureRequest, venv: Venv, tmp_path: Path) -> Iterator[tuple[Terminal, str]]:
    """The application and its address."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    terminal = Terminal([*request.param, f"--bind={HOST}:{port}", f"--python={venv.python}", "app:app"], tmp_path)
    yield terminal, f"http://{HOST}:{port}"
    terminal.close()


def test_a_breakpoint(terminal: tuple[Terminal, str]) -> None:
    server, url = terminal
    server.wait("serving ")
    for n in (1, 2):
        asking = Asking(url)
        server.wait("(Pdb) ")
        server.type("p x + 1\n")
        server.wait("42")
        server.type(f"x = {n}\n")
        server.wait("(Pdb) ")
        server.type("continue\n")
        assert asking.answer().text == f"x is {n}"
    assert "SIGINT" not in server.output
    server.type("\x03")
    assert server.process.wait(10) == 0


def test_the_terminal_is_given_back(terminal: tuple[Terminal, str]) -> None:
    """Who stops the server at the prompt, where nothing echoes what is typed, has a usable shell."""
    server, url = terminal
    before = server.modes()
    server.wait("serving ")
    asking = Asking(url)
    server.wait("(Pdb) ")
    assert server.modes() != before
    for _ in range(2):  # without a master, the first lets the request finish
        if server.process.poll() is None:
            server.type("\x03")
            time.sleep(1)
    assert server.process.wait(10) == 0
    assert server.modes() == before
    assert isinstance(asking.answer(), Exception)
