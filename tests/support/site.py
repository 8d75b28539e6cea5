"""A deployed site: a folder with an application and a configuration file, and commands run there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import requests

from support import proc
from support.server import APPS, HOST, clean_env, command, finish, free_port

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from conftest import Serve

    from support.interpreters import Venv
    from support.server import Finished, Server


class Site:
    """A folder that holds facts.py, and a port for it."""

    def __init__(self, folder: Path, venv: Venv, serve: Serve) -> None:
        """Make the folder."""
        self.folder = folder
        self.venv = venv
        self.port = free_port()
        self._serve = serve
        folder.mkdir()
        for name in ("facts.py", "routing.py"):
            shutil.copy(APPS / name, folder)

    @property
    def url(self) -> str:
        """The port's address, without a final slash."""
        return f"http://{HOST}:{self.port}"

    def write(self, name: str, text: str) -> Path:
        """Write a file; {port} and {folder} in it are the site's."""
        path = self.folder / name
        path.write_text(text.replace("{port}", str(self.port)).replace("{folder}", str(self.folder)))
        return path

    def start(self, *words: str, ready: bool = True, env: dict[str, str] | None = None, **how: Any) -> Server:
        """Run a command there, `gowsgi run` unless a path comes first."""
        server = self._serve(
            "", ready=False, venv=self.venv, line=self._line(words), env=env, **{"cwd": self.folder, **how}
        )
        if ready:
            server.wait_log("serving ", 20)
        return server

    def finish(self, *words: str, env: dict[str, str] | None = None) -> Finished:
        """Run a command there to its end."""
        program, *rest = self._line(words)
        everything = clean_env(GOWSGI_PYTHON=str(self.venv.python), **(env or {}))
        return finish(rest, program=[program], cwd=self.folder, env=everything)

    def settings(self, *words: str, env: dict[str, str] | None = None) -> dict[str, str]:
        """Return what --print-config prints."""
        end = self.finish("--print-config", *words, env=env)
        assert end.code == 0, end.stderr
        return {name.strip(): value for name, _, value in (line.partition(" = ") for line in end.stdout.splitlines())}

    def facts(self, port: int = 0) -> Any:
        """Ask the application, on a new connection."""
        return self.facts_at("/", port)

    def facts_at(self, path: str, port: int = 0) -> Any:
        """Ask it below a prefix."""
        url = f"http://{HOST}:{port or self.port}{path}"
        return requests.get(url, headers={"Connection": "close"}, timeout=10).json()

    @staticmethod
    def _line(words: tuple[str, ...]) -> list[str]:
        return list(words) if words and words[0].startswith("/") else [*command(), "run", *words]


def zygote(server: Server) -> int:
    """Return the process that holds the configuration file's Python: the one that has no threads of Go's."""

    def alone() -> int | None:
        found = [pid for pid in proc.children(server.pid) if proc.alive(pid) and proc.threads(pid) == 1]
        return found[0] if len(found) == 1 else None  # one of before a reload ends a little later

    return proc.wait_for(alone, 10, "one process of Python's alone")


def workers(server: Server, count: int) -> list[int]:
    """Return the workers' pids once there are that many."""

    def there() -> list[int] | None:
        pids = server.workers
        return pids if len(pids) == count else None

    return proc.wait_for(there, 15, f"{count} workers")


def said(server: Server, text: str, times: int = 1) -> None:
    """Wait until the log has a text that many times."""
    proc.wait_for(lambda: server.stderr.count(text) >= times, 15, f"{text!r} {times} times")


def gone(*pids: int) -> None:
    """Wait until none of the processes is there."""
    proc.wait_for(lambda: not any(proc.alive(pid) for pid in pids), 15, f"{pids} to end")
