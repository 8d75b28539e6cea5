"""The servers under test: how each is started, watched and stopped."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import time

from .wire import request, talk

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = os.environ.get("PEERS", os.path.expanduser("~/.cache/wsgi-peers/bin"))
PRESETS = {
    "gowsgi": f"{ROOT}/bin/gowsgi run --bind uwsgi://127.0.0.1:{{port}} --threads 4 --chdir {{dir}} app:app",
    "uwsgi": PEERS + "/uwsgi --socket 127.0.0.1:{port} -M -p 1 --threads 4 --enable-threads -L --buffer-size 65535"
    " --chdir {dir} -w app --callable app --die-on-term",
}


@dataclasses.dataclass(eq=False)
class Server:
    """One server process, started anew when it dies or does not answer any more."""

    name: str
    command: str

    def __post_init__(self) -> None:
        """Make a place for the log."""
        self._folder = tempfile.TemporaryDirectory(prefix="uwsgi-server-")  # goes with this object
        self.log = os.path.join(self._folder.name, "server.log")
        self.process: subprocess.Popen | None = None
        self.port = 0

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: It did not answer within 20 seconds.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        argv = shlex.split(self.command.format(port=self.port, dir=HERE))
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                argv, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        stop = time.monotonic() + 20
        while time.monotonic() < stop and self.process.poll() is None:
            if self.answers(1):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} does not answer: {shlex.join(argv)}\n{self.tail()}")

    def tail(self) -> str:
        """The end of the log."""
        with open(self.log, errors="replace") as log:
            return log.read()[-3000:]

    def answers(self, limit: float) -> bool:
        """Tell whether a plain request is served."""
        if not self.process or self.process.poll() is not None:
            return False
        try:
            return talk(self.port, [request()], limit).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End the server and its children."""
        if not self.process:
            return
        for number, wait in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(wait)
            except (OSError, subprocess.TimeoutExpired):
                continue
        self.process = None
