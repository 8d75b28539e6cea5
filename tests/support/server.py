"""Starts gowsgi on a free port, keeps its output, and ends it again."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support import proc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.interpreters import Venv

REPO = Path(__file__).resolve().parents[2]
APPS = REPO / "tests" / "apps"
HOST = "127.0.0.1"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0


def command() -> list[str]:
    """Return the command under test: bin/gowsgi, or what GOWSGI_TEST_SERVER says."""
    return shlex.split(os.environ.get("GOWSGI_TEST_SERVER", str(REPO / "bin" / "gowsgi")))


def clean_env(**changes: str) -> dict[str, str]:
    """Return this process's environment without what could steer the server."""
    steering = re.compile(
        r"VIRTUAL_ENV|PYTHON|PYENV_VERSION|GOWSGI_(?!TEST)|GUNICORN_|DJANGO_|WEB_CONCURRENCY|PORT$|FORWARDED_ALLOW_IPS|LISTEN_|NOTIFY_"
    )
    env = {key: value for key, value in os.environ.items() if not steering.match(key)}
    return env | changes


def ports() -> Iterator[int]:
    """Yield ports again and again that no test beside this one gets.

    They are below those that the system gives to connections: one that it has chosen may
    be a client's before the server listens there.
    """
    each = 2000
    first = 12000 + each * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10)
    start = os.getpid() % each  # what an earlier run has used may still be in TIME_WAIT
    for n in itertools.count(start):
        yield first + n % each


PORTS = ports()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise AssertionError


@dataclass(frozen=True)
class Finished:
    """A server that ended by itself, or a command other than run."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def finish(
    arguments: Sequence[str],
    *,
    timeout: float = 20.0,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    program: Sequence[str] = (),
) -> Finished:
    """Run the command, or another program, with these arguments to its end."""
    started = time.monotonic()
    run = subprocess.run(
        [*(program or command()), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        cwd=cwd,
        env=env or clean_env(),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Finished(run.returncode, run.stdout, run.stderr, time.monotonic() - started)


class Server:
    """One running server; its output goes to files in `logs`."""

    def __init__(
        self,
        logs: Path,
        app: str,
        venv: Venv,
        *options: str,
        threads: int = 1,
        chdir: Path = APPS,
        binds: int = 1,
        env: dict[str, str] | None = None,
        python: bool = True,
        launcher: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        line: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> None:
        """Start serving `app`; `wait_ready` tells when it answers.

        Args:
            logs: An existing folder for the files stdout and stderr.
            app: The application, as MODULE:ATTRIBUTE.
            venv: Where the application runs.
            *options: Further options of `gowsgi run`.
            threads: How many threads run the application.
            chdir: The application's folder.
            binds: How many ports to listen on.
            env: Changes to the server's own environment.
            python: Whether to pass --python at all.
            launcher: A command that ends in running the one it is given.
            pass_fds: Descriptors for the server to inherit.
            line: The whole command instead of one that is made of app, options, threads
                and chdir. The Python is then in the environment.
            cwd: The folder to start in.
        """
        self.ports = [free_port() for _ in range(binds)]
        self._stdout = logs / "stdout"
        self._stderr = logs / "stderr"
        self.arguments = [
            *launcher,
            *command(),
            "run",
            *[word for port in self.ports for word in ("--bind", f"{HOST}:{port}")],
            *("--threads", str(threads)),
            *("--chdir", str(chdir)),
            *(("--python", str(venv.python)) if python else ()),
            *options,
            app,
        ]
        if line:
            self.arguments = [*launcher, *line]
            env = {"GOWSGI_PYTHON": str(venv.python), **(env or {})}
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=clean_env(**(env or {})),
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def port(self) -> int:
        """The first port."""
        return self.ports[0]

    @property
    def url(self) -> str:
        """The address of the first port, without a final slash."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The pid of the process that was started."""
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The pids of the processes that serve, below the master.

        A zygote is there too where there is one: Go has not started in it, so it has one thread.
        """
        return [pid for pid in proc.children(self.pid) if proc.alive(pid) and proc.threads(pid) > 1]

    @property
    def stdout(self) -> str:
        """What stdout has received so far."""
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What stderr has received so far."""
        return self._stderr.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def listening(self) -> bool:
        """Whether the process is there and takes connections on every port."""
        return self.running and all(self._accepts(port) for port in self.ports)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Return once every port takes connections and, if the log tells, the app is loaded."""
        tells = Path(self.arguments[0]).name.startswith("gowsgi") and "--log-level" not in self.arguments

        def listening() -> bool:
            if not self.running:
                msg = f"the server left with {self._process.returncode}:\n{self.stderr}"
                raise AssertionError(msg)
            return self.listening and (not tells or "serving " in self.stderr)

        proc.wait_for(listening, timeout, f"{shlex.join(self.arguments)} to listen")

    def wait_log(self, pattern: str, timeout: float = 5.0) -> re.Match[str]:
        """Return the first match of a pattern in stderr, waiting for it."""
        return self._wait_output("stderr", pattern, timeout)

    def wait_stdout(self, pattern: str, timeout: float = 5.0) -> re.Match[str]:
        """Return the first match of a pattern in stdout, waiting for it."""
        return self._wait_output("stdout", pattern, timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        self._process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Return the exit code, waiting for the end."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            msg = f"the server runs on after {timeout} s; stderr:\n{self.stderr}"
            raise AssertionError(msg) from None

    def stop(self) -> int:
        """Ask for a graceful stop and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End the server and everything it started, however they are."""
        started = proc.tree(self.pid) if self.running else []
        if self.running:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
        for pid in started:
            if proc.alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(5)

    def _wait_output(self, name: str, pattern: str, timeout: float) -> re.Match[str]:
        compiled = re.compile(pattern, re.MULTILINE)
        try:
            return proc.wait_for(lambda: compiled.search(getattr(self, name)), timeout, f"{pattern!r} on {name}")
        except AssertionError as error:
            msg = f"{error}; stderr:\n{self.stderr}\nstdout:\n{self.stdout}"
            raise AssertionError(msg) from None

    def _accepts(self, port: int) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, port)) == 0
