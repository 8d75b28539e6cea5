"""The command line: how an application is named and found, and what is said if it is not."""

from __future__ import annotations

import os
import re
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
import requests
from support.server import APPS, HOST, clean_env, finish, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Finished

HINT = r"(?i)hint|did you mean|--chdir|--pythonpath"


def run(venv: Venv, app: str, *options: str, command: str = "run") -> Finished:
    """Run a server that is expected to end by itself."""
    bind = ["--bind", f"{HOST}:{free_port()}"] if command == "run" else []
    where = ["--chdir", str(APPS), "--python", str(venv.python)]
    return finish([command, *bind, *where, *options, app])


@pytest.mark.parametrize(
    ("app", "body"),
    [
        ("specs", "application 0"),
        ("specs:app", "app 0"),
        ("specs:application", "application 0"),
        ("specs:holder.app", "dotted 0"),
        ("specs:make_app()", "factory 0"),
        ('specs:make_app("named")', "named 0"),
        ("specs:make_app('named', k=7)", "named 7"),
        ("specs:make_app(k=-1)", "factory -1"),
        ("only_app", "only app 0"),
        ("package.site:app", "in a package 0"),
    ],
)
def test_ways_to_name_an_application(serve: Serve, app: str, body: str) -> None:
    server = serve(app)
    assert requests.get(server.url, timeout=10).text == body


IMPORT_FAILURES = [
    ("rwa:app", [r"No module named 'rwa'", HINT]),
    ("package.siet:app", [r"No module named 'package\.siet'"]),
    ("broken_import:app", ["No module named 'a_package_that_is_not_there'", r"broken_import\.py"]),
    ("broken_raise:app", ["RuntimeError: no database at import", r"broken_raise\.py\", line \d+"]),
    ("broken_exit:app", ["SystemExit", r"broken_exit"]),
]
SPEC_FAILURES = [
    ("raw:nosuch", ["nosuch"]),
    ("raw:ap", ["'?ap'?"]),
    ("raw:not_callable", ["not_callable", "(?i)callable"]),
    ("raw:not_callable.more", ["more"]),
    ("specs:make_app(", [r"make_app\("]),
    ("specs:make_app(undefined)", ["make_app"]),
    ("specs:make_app(no_such=1)", ["no_such"]),
    ("broken_names", ["application", "app"]),
]


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("app", "patterns", "code"),
    [(app, patterns, 3) for app, patterns in IMPORT_FAILURES] + [(app, patterns, 4) for app, patterns in SPEC_FAILURES],
)
def test_failures_to_load(venv: Venv, command: str, app: str, patterns: list[str], code: int) -> None:
    end = run(venv, app, command=command)
    output = end.stderr + (end.stdout if command == "check" else "")
    for pattern in patterns:
        assert re.search(pattern, output), (pattern, output)
    assert end.code == code, output
    assert end.seconds < 2


def test_a_typo_shows_a_traceback_only_where_it_helps(venv: Venv) -> None:
    """What fails inside the application has the application's frames; none are the server's."""
    end = run(venv, "broken_raise:app")
    assert "Traceback (most recent call last)" in end.stderr
    assert "in connect" in end.stderr
    assert not re.search(r"goroutine \d+|panic", end.stderr)


def test_a_syntax_error_shows_the_line(venv: Venv, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("app = (\n")
    end = run(venv, "wrong:app", "--chdir", str(tmp_path))
    assert end.code == 3, end.stderr
    assert "SyntaxError" in end.stderr
    assert "wrong.py" in end.stderr


def test_a_port_in_use(venv: Venv) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        where = ["--chdir", str(APPS), "--python", str(venv.python)]
        end = finish(["run", "--bind", f"{HOST}:{port}", *where, "raw:app"])
    assert end.code == 1, end.stderr
    assert str(port) in end.stderr
    assert re.search("(?i)in use", end.stderr)
    assert end.seconds < 2


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["--bind", f"{HOST}:99999"], "99999"),
        (["--bind", "no port"], "no port"),
        (["--bind", "192.0.2.1:0"], r"192\.0\.2\.1"),
        (["--threads", "0"], "threads"),
        (["--threads", "many"], "many"),
        (["--env", "no-equals"], "no-equals"),
        (["--log-level", "loud"], "loud"),
        (["--chdir", "/nonexistent/folder"], "/nonexistent/folder"),
        (["--python", "/nonexistent/python"], "/nonexistent/python"),
        (["--python", "/bin/true"], "/bin/true"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_bad_options(venv: Venv, options: list[str], pattern: str) -> None:
    end = run(venv, "raw:app", *options)
    assert end.code == 1, end.stderr
    assert re.search(pattern, end.stderr), end.stderr
    assert "Traceback" not in end.stderr
    assert end.seconds < 5


def test_no_application() -> None:
    end = finish(["run"])
    assert end.code == 1
    assert re.search("(?i)app", end.stderr + end.stdout)


def test_no_python_at_all(tmp_path: Path) -> None:
    """Without --python, a venv or python3 on PATH there is nothing to run."""
    shutil.copy(APPS / "specs.py", tmp_path)
    end = finish(
        ["run", "--bind", f"{HOST}:{free_port()}", "--chdir", str(tmp_path), "specs"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert end.code == 1, end.stderr
    assert re.search("(?i)python", end.stderr)
    assert "--python" in end.stderr


def test_version() -> None:
    end = finish(["version"])
    assert end.code == 0
    assert re.match(r"(gowsgi )?v?\d+\.\d+", end.stdout), end.stdout


def test_check_shows_what_would_run(venv: Venv) -> None:
    end = run(venv, "raw:app", command="check")
    assert end.code == 0, end.stderr
    for wanted in (
        venv.interpreter.full,
        str(venv.path),
        "raw:app",
        str(APPS),
        "wsgi.url_scheme",
        "REQUEST_METHOD",
        "SERVER_NAME",
    ):
        assert wanted in end.stdout, end.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help(arguments: list[str]) -> None:
    end = finish(arguments)
    assert end.code == 0
    assert "run" in end.stdout


def test_several_binds(serve: Serve) -> None:
    server = serve("specs", binds=3)
    for port in server.ports:
        assert requests.get(f"http://{HOST}:{port}/", timeout=10).text == "application 0"


def test_chdir_pythonpath_and_env(serve: Serve, tmp_path: Path) -> None:
    elsewhere = tmp_path / "lib"
    elsewhere.mkdir()
    (elsewhere / "elsewhere.py").write_text("from raw import app\n")
    options = ["--pythonpath", str(elsewhere), "--env", "E2E_ONE=1", "--env", "E2E_TWO=a=b c"]
    seen = requests.get(serve("elsewhere:app", *options).url, timeout=10).json()
    assert seen["env"] == {"E2E_ONE": "1", "E2E_TWO": "a=b c"}
    assert seen["cwd"] == str(APPS)
    assert str(elsewhere) in seen["path"]


def test_python_from_virtual_env(serve: Serve, venv: Venv) -> None:
    server = serve("raw:app", python=False, env={"VIRTUAL_ENV": str(venv.path)})
    assert requests.get(server.url, timeout=10).json()["prefix"] == str(venv.path)


def test_python_from_dot_venv(serve: Serve, venv: Venv, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("raw.py", "routing.py"):
        shutil.copy(APPS / name, folder)
    (folder / ".venv").symlink_to(venv.path)
    seen = requests.get(serve("raw:app", python=False, chdir=folder).url, timeout=10).json()
    assert os.path.realpath(seen["prefix"]) == str(venv.path)


def test_python_from_path(serve: Serve, venv: Venv) -> None:
    path = f"{venv.path / 'bin'}:{os.environ['PATH']}"
    server = serve("raw:app", python=False, env={"PATH": path})
    assert requests.get(server.url, timeout=10).json()["prefix"] == str(venv.path)


def test_the_environment_of_the_caller_reaches_the_application(serve: Serve) -> None:
    server = serve("raw:app", env={"E2E_CALLER": "yes"})
    assert requests.get(server.url, timeout=10).json()["env"] == {"E2E_CALLER": "yes"}


def test_start_line(serve: Serve, venv: Venv) -> None:
    """One line says what runs where, without colours when nobody looks."""
    server = serve("specs:app", threads=3)
    requests.get(server.url, timeout=10)
    line = server.wait_log(rf"^.*{HOST}:{server.port}.*$")[0]
    for wanted in (venv.interpreter.full, "specs:app", "3", str(server.pid), str(venv.path)):
        assert wanted in line
    assert "\x1b[" not in server.stderr


def test_log_level(serve: Serve) -> None:
    server = serve("specs:app", "--log-level", "error")
    requests.get(server.url, timeout=10)
    assert str(server.port) not in server.stderr


def test_running_from_the_current_folder(venv: Venv) -> None:
    where = {"cwd": APPS, "env": clean_env(VIRTUAL_ENV=str(venv.path))}
    assert finish(["check", "specs:app"], **where).code == 0
