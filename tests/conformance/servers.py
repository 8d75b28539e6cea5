"""The servers under test: how each is started, watched and stopped."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = os.environ.get("PEERS", os.path.expanduser("~/.cache/wsgi-peers/bin"))
PRESETS = {
    "gowsgi": f"{ROOT}/bin/gowsgi run --bind 127.0.0.1:{{port}} --threads 1 --chdir {{dir}} {{app}}",
    "gowsgi-8": f"{ROOT}/bin/gowsgi run --bind 127.0.0.1:{{port}} --threads 8 --chdir {{dir}} {{app}}",
    "gunicorn": PEERS + "/gunicorn -w 1 --log-level error -b 127.0.0.1:{port} --chdir {dir} {app}",
    "gthread": PEERS
    + "/gunicorn -w 1 --threads 8 -k gthread --log-level error -b 127.0.0.1:{port} --chdir {dir} {app}",
    "granian": PEERS + "/granian --interface wsgi --workers 1 --blocking-threads 8 --no-ws --log-level error"
    " --host 127.0.0.1 --port {port} {app}",
    "waitress": PEERS + "/waitress-serve --threads=8 --listen=127.0.0.1:{port} {app}",
    "uwsgi": PEERS + "/uwsgi --http11-socket 127.0.0.1:{port} -M -p 1 --threads 8 --enable-threads -L"
    " -w app --callable app --die-on-term",
    "cheroot": PEERS + '/python -c "from cheroot import wsgi; from app import app; '
    "wsgi.Server(('127.0.0.1', {port}), app, numthreads=8).start()\"",
    "bjoern": PEERS + "/python -c \"import bjoern; from app import app; bjoern.run(app, '127.0.0.1', {port})\"",
}
SERIAL = {"gunicorn"}  # one connection at a time

LIVE: set[Server] = set()


def stop_all() -> None:
    """Stops every server that still runs."""
    for server in list(LIVE):
        server.stop()


def free_port() -> int:
    """Finds a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclasses.dataclass(eq=False)
class Server:
    """One server process, restarted when it dies or stops answering."""

    name: str
    command: str
    starts: int = 0

    def __post_init__(self) -> None:
        """Makes the place for the app's notes and the log."""
        self.events = tempfile.mkdtemp(prefix="conformance-")
        self.log = os.path.join(self.events, "server.log")
        self.process: subprocess.Popen | None = None
        self.port = 0

    def start(self) -> None:
        """Starts the server and waits until it answers.

        Raises:
            RuntimeError: It did not answer within 20 seconds.
        """
        self.port, self.starts = free_port(), self.starts + 1
        argv = shlex.split(self.command.format(port=self.port, dir=HERE, app="app:app"))
        if "/" in argv[0]:
            argv[0] = os.path.abspath(argv[0])
        env = dict(os.environ, CONFORMANCE_EVENTS=self.events, PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=HERE, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        LIVE.add(self)
        stop = time.monotonic() + 20
        while time.monotonic() < stop and self.process.poll() is None:
            if not self.answers(1):
                return
            time.sleep(0.05)
        self.stop()
        with open(self.log, errors="replace") as log:
            raise RuntimeError(f"{self.name} does not answer: {shlex.join(argv)}\n{log.read()[-2000:]}")

    def answers(self, limit: float) -> str:
        """Asks for /ok on a fresh connection; returns '' or what went wrong."""
        process = self.process
        if not process or process.poll() is not None:
            return "server exited" + (f" with {process.returncode}" if process else "")
        try:
            with socket.create_connection(("127.0.0.1", self.port), limit) as sock:
                sock.settimeout(limit)
                sock.sendall(b"GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                got = b""
                while chunk := sock.recv(4096):
                    got += chunk
                    if got.endswith(b"ok"):
                        break
        except OSError as err:
            return f"server does not answer: {err}"
        return "" if b" 200 " in got[:14] else f"server answers {got[:60]!r}"

    def stop(self) -> None:
        """Ends the server and its children."""
        if not self.process:
            return
        for sig, wait in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self.process.pid, sig)
                self.process.wait(wait)
            except (OSError, subprocess.TimeoutExpired):
                continue
        self.process = None
        LIVE.discard(self)

    def remove(self) -> None:
        """Stops for good: the notes and the log go too."""
        self.stop()
        shutil.rmtree(self.events, ignore_errors=True)

    def restart(self) -> None:
        """Stops what is left and starts afresh; on a loaded machine at the second try."""
        self.stop()
        try:
            self.start()
        except RuntimeError:
            self.start()
