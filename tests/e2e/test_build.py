"""`gowsgi build`: one file that serves where there is nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import requests
from support import interpreters, proc
from support.server import HOST, REPO, Finished, Server, clean_env, command, finish, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.interpreters import Venv

BUILD_TIMEOUT = 400.0  # Seconds: packages are fetched, everything is compressed.
START_TIMEOUT = 60.0
# What a build fetches stays for the next.
CACHE = {"XDG_CACHE_HOME": str(REPO / ".cache" / "build")}

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT + START_TIMEOUT)

# One WSGI application, and what should not come along with it.
APP = """
import ctypes, json, os, subprocess, sys

def app(environ, start_response):
    here = os.path.dirname(__file__)
    answer = {
        "release": RELEASE, "cwd": os.getcwd(), "path": sys.path, "python": sys.executable,
        "setting": os.environ.get("FROM_CONFIG"), "bytecode": os.path.exists(__cached__), "uid": os.getuid(),
    }
    if environ["PATH_INFO"] == "/python":
        code = "import sys; print(sys.prefix)"
        answer["prefix"] = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
    if environ["PATH_INFO"] == "/native":
        answer["native"] = ctypes.CDLL(os.path.join(here, "libnative.so")).answer()
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Launch(Protocol):
    """Starts a server by a whole command line, in which {bind} is its address."""

    def __call__(self, *line: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Server:
        """Start it and wait until it listens."""


@pytest.fixture
def launch(tmp_path: Path, venv: Venv) -> Iterator[Launch]:
    """Servers that are ended with the test."""
    started: list[Server] = []
    numbers = itertools.count()

    def launch(*line: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Server:
        port = free_port()
        logs = tmp_path / f"launched-{next(numbers)}"
        logs.mkdir()
        words = [str(word).replace("{bind}", f"{HOST}:{port}") for word in line]
        server = Server(logs, "", venv, line=words, cwd=cwd, env=env)
        server.ports = [port]
        started.append(server)
        server.wait_log(" serving ", START_TIMEOUT)
        return server

    yield launch
    for server in started:
        server.close()


def build(*arguments: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Run `gowsgi build` and return its report."""
    run = try_build(*arguments, cwd=cwd, **env)
    assert run.code == 0, run.stderr
    return run.stdout


def try_build(*arguments: str | Path, cwd: Path | None = None, **env: str) -> Finished:
    """Run `gowsgi build`, which may fail."""
    words = ["build", *map(str, arguments)]
    return finish(words, timeout=BUILD_TIMEOUT, cwd=cwd, env=clean_env(**CACHE, **env))


def get(server: Server, path: str = "/") -> dict:
    """Return what the application says."""
    answer = requests.get(server.url + path, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sha256(file: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


# Where there is nothing --------------------------------------------------------------


def in_root(root: Path, *line: str, read_only: bool = False) -> list[str]:
    """Return a command that runs another in a folder as its root, in which only /proc is mounted."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    script = ["set -e"]
    if read_only:
        script += ['mount --bind "$0" "$0"', 'mount -o remount,bind,ro "$0"']
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
        # Who is root only in a namespace cannot make a device, as the file otherwise does.
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / "urandom").touch()
        script.append('mount --bind /dev/urandom "$0/dev/urandom"')
    script += ['mount -t proc proc "$0/proc"', 'exec chroot "$0" "$@"']
    return [*unshare, "sh", "-c", "; ".join(script), str(root), *line]


def empty_root(folder: Path, file: Path) -> Path:
    """Return a folder with /proc, /tmp and the file."""
    for name in ("proc", "tmp"):
        (folder / name).mkdir(parents=True)
    shutil.copy(file, folder / "server")
    return folder


def end_inside(server: Server) -> int:
    """Stop what runs as the first process of a namespace, and return its exit code."""
    [inside] = proc.children(server.pid)
    os.kill(inside, signal.SIGTERM)  # unshare does not pass it on
    return server.wait()


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Run README.md's lines; return the file they make and what it answers."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(REPO / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    text = (REPO / "README.md").read_text()
    lines = re.search(r"^## One file\n\n```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    assert len(lines.splitlines()) < 20
    port = free_port()
    env = clean_env(GOWSGI_CACHE=str(folder / "cache"), **CACHE)
    env["PATH"] = f"{Path(command()[0]).parent}:{env['PATH']}"
    script = "set -e\n" + lines.replace("0.0.0.0:8000", f"{HOST}:{port}")
    shell = subprocess.Popen(["sh", "-c", script], cwd=folder, env=env, start_new_session=True)
    try:
        answer = proc.wait_for(lambda: _answer(shell, port), BUILD_TIMEOUT, "README's server to answer")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(30)
    return folder / "examples" / "onefile" / "server", answer


def _answer(shell: subprocess.Popen, port: int) -> dict | None:
    assert shell.poll() is None, f"the lines ended with {shell.returncode}"
    try:
        return requests.get(f"http://{HOST}:{port}/solve/1,2,3,4,5,6", timeout=30).json()
    except requests.ConnectionError:
        return None


def test_readme(readme: tuple[Path, dict]) -> None:
    """The lines in README.md do what they say, numpy's native code included."""
    assert readme[1] == pytest.approx([-4, 4.5])


def test_empty_root(readme: tuple[Path, dict], tmp_path: Path, launch: Launch) -> None:
    """It serves where there is no Python, no C library and no shell; it unpacks once."""
    root = empty_root(tmp_path / "root", readme[0])
    seconds = []
    for _ in range(2):
        begun = time.monotonic()
        server = launch(*in_root(root, "/server", "--bind", "{bind}", "--workers", "2"))
        assert get(server, "/solve/1,2,3,4,5,6") == pytest.approx([-4, 4.5])
        seconds.append(time.monotonic() - begun)
        says = get(server)
        assert says["prefix"].startswith("/var/cache/gowsgi/")
        assert end_inside(server) == 0, server.stderr
    print(f"start to first answer: {seconds[0]:.2f} s the first time, {seconds[1]:.2f} s the second")
    assert len(list((root / "var" / "cache" / "gowsgi").iterdir())) == 1


def test_same_bytes(readme: tuple[Path, dict], tmp_path: Path) -> None:
    """Another folder, user's mask, temporary folder, time and PYTHONHASHSEED: the same file."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(REPO / "examples" / "onefile", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in folder.iterdir():
        os.utime(file, (1, 1))
        file.chmod(0o600)
    (tmp_path / "tmp").mkdir()
    old = os.umask(0o077)
    try:
        build("app:app", "-o", tmp_path / "other", cwd=folder, TMPDIR=str(tmp_path / "tmp"), PYTHONHASHSEED="7")
    finally:
        os.umask(old)
    assert sha256(tmp_path / "other") == sha256(readme[0])
    assert not list((tmp_path / "tmp").iterdir()), "something is left of the build"


def test_together(readme: tuple[Path, dict], tmp_path: Path) -> None:
    """First starts at the same time get in nobody's way."""
    env = clean_env(GOWSGI_CACHE=str(tmp_path / "cache"))
    starts = [
        subprocess.Popen([readme[0], "--version"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for start in starts:
        out, err = start.communicate(timeout=START_TIMEOUT)
        assert (start.returncode, err) == (0, "")
        assert out.startswith("gowsgi version ")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_read_only(readme: tuple[Path, dict], tmp_path: Path, launch: Launch) -> None:
    """Where nothing can be written it says what to do; unpacked beforehand it serves."""
    root = empty_root(tmp_path / "root", readme[0])
    line = in_root(root, "/server", "--bind", "{bind}", read_only=True)
    run = subprocess.run(line, env=clean_env(), capture_output=True, text=True, timeout=START_TIMEOUT, check=False)
    assert run.returncode == 1
    assert "read-only file system" in run.stderr
    assert "set GOWSGI_CACHE to one" in run.stderr
    env = {"GOWSGI_CACHE": "/cache"}
    unpack = in_root(root, "/server", "--version")
    subprocess.run(unpack, env=clean_env(**env), check=True, timeout=START_TIMEOUT, capture_output=True)
    server = launch(*line, env=env)
    assert get(server)["prefix"].startswith("/cache/")
    assert end_inside(server) == 0


def test_damage(readme: tuple[Path, dict], tmp_path: Path) -> None:
    """A byte that has changed is found before anything of it is run."""
    file = tmp_path / "server"
    data = bytearray(readme[0].read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    file.chmod(0o755)
    env = clean_env(GOWSGI_CACHE=str(tmp_path / "cache"))
    run = subprocess.run(
        [file, "--version"], env=env, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    assert run.returncode == 1
    assert "the archive is damaged" in run.stderr
    assert not list((tmp_path / "cache").iterdir())


# What is in it -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application and much else."""
    folder = tmp_path_factory.mktemp("project") / "project"
    files = {
        "site.json": "{}",
        "package/__init__.py": "",
        "package/deep/kept.txt": "kept",
        "package/deep/secret.key": "secret",
        "data/large.bin": "large",
        "broken.py": "this is no Python",
        ".git/config": "git",
        ".env": "SECRET=1",
        "environment/pyvenv.cfg": "home = /usr",
        "node_modules/thing/index.js": "js",
        "package/__pycache__/old.cpython-314.pyc": "old",
        "run.sh": "#!/bin/sh",
        "gunicorn.conf.py": "raw_env = ['FROM_CONFIG=yes']",
    }
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "app.py").write_text(APP.replace("RELEASE", "1"))
    (folder / "run.sh").chmod(0o755)
    (folder / "instance").mkdir()
    (folder / "linked.json").symlink_to("site.json")
    # An object whose search path is of the kind that ends the search.
    source = "int answer(void) { return 42; }"
    flags = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-Wl,--enable-new-dtags,-rpath,/nowhere", "-lresolv"]
    compiler = ["gcc", "-x", "c", "-", "-o", str(folder / "libnative.so"), *flags]
    subprocess.run(compiler, input=source, text=True, check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def bare(project: Path) -> tuple[Path, str]:
    """A file without packages, and the report of it."""
    file = project.parent / "bare"
    stage = project.parent / "folder-of-the-build"
    stage.mkdir()
    without = ["--exclude", "*.key", "--exclude", "data/*.bin"]
    report = build("app:app", "--chdir", project, "-o", file, *without, TMPDIR=str(stage))
    return file, report


def unpacked(file: Path, cache: Path) -> Path:
    """Return the folder that the file unpacks to."""
    subprocess.run([file, "--version"], env=clean_env(GOWSGI_CACHE=str(cache)), check=True, timeout=START_TIMEOUT)
    [folder] = cache.iterdir()
    return folder


def test_contents(bare: tuple[Path, str], tmp_path: Path) -> None:
    """The application's folder is there, less what is nobody's business."""
    folder = unpacked(bare[0], tmp_path / "cache")
    app = folder / "app"
    names = {str(path.relative_to(app)) for path in app.rglob("*") if not path.is_dir() or not any(path.iterdir())}
    assert {name for name in names if "__pycache__" not in name} == {
        "app.py",
        "broken.py",
        "gunicorn.conf.py",
        "instance",
        "libnative.so",
        "linked.json",
        "package/__init__.py",
        "package/deep/kept.txt",
        "run.sh",
        "site.json",
    }
    assert os.access(app / "run.sh", os.X_OK)
    assert not os.access(app / "app.py", os.X_OK)
    assert (app / "__pycache__" / "app.cpython-314.pyc").exists()
    assert not (app / "package" / "__pycache__" / "old.cpython-314.pyc").exists()
    library = folder / "lib" / "python3.14"
    assert not {"test", "idlelib", "tkinter", "ensurepip"} & {path.name for path in library.iterdir()}
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"folder-of-the-build" not in path.read_bytes(), f"{path} names a folder of the build"


def test_report(bare: tuple[Path, str]) -> None:
    """The report says how large it is, of what, and what was left out."""
    file, report = bare
    assert sha256(file) in report
    assert f"{file.stat().st_size / 2**20:.1f} MiB" in report
    for part in ("CPython", "system libraries", "application", "gowsgi", "launcher"):
        assert re.search(rf"^{part} +[\d.]+ [KM]?i?B +[\d.]+ [KM]?i?B$", report, re.MULTILINE), report
    for name in (".git", ".env", "environment", "node_modules", "package/deep/secret.key", "data/large.bin"):
        assert f"\n  {name}\n" in report.partition("left out of the application:")[2]
    assert "no Python of this version: app/broken.py" in report


def test_keep(project: Path, tmp_path: Path) -> None:
    """What is left out by default can be had; tkinter's libraries come along."""
    file = tmp_path / "server"
    build(
        "app:app",
        "-q",
        "--chdir",
        project,
        "-o",
        file,
        "--keep",
        ".env",
        "--keep",
        "*tkinter*",
        "--exclude",
        "libnative.so",
    )
    folder = unpacked(file, tmp_path / "cache")
    assert (folder / "app" / ".env").exists()
    assert (folder / "lib" / "python3.14" / "tkinter" / "__init__.py").exists()
    code = "import _tkinter; print(_tkinter.TK_VERSION)"
    subprocess.run([folder / "bin" / "python3", "-c", code], check=True, timeout=30)


def test_runs_as_run(bare: tuple[Path, str], tmp_path: Path, launch: Launch) -> None:
    """It is in the folder it was started in, takes run's options and the packed settings."""
    (tmp_path / "json.py").write_text("raise SystemExit('the current folder comes first')")
    env = {"GOWSGI_CACHE": str(tmp_path / "cache"), "PYTHONHOME": "/nowhere", "PYTHONPATH": str(tmp_path)}
    server = launch(bare[0], "--bind", "{bind}", "--threads", "2", cwd=tmp_path, env=env)
    says = get(server)
    [folder] = (tmp_path / "cache").iterdir()
    assert says["cwd"] == str(tmp_path)
    assert says["path"][0] == f"{folder}/app"
    assert str(tmp_path) not in says["path"]
    assert says["python"] == f"{folder}/bin/python3.14"
    assert says["setting"] == "yes", "gunicorn.conf.py was not read"
    assert says["bytecode"] is True
    server.wait_log("serving app:app .*threads=2")
    assert get(server, "/python")["prefix"] == str(folder)
    (tmp_path / "gunicorn.conf.py").write_text("raw_env = ['FROM_CONFIG=here']")
    other = launch(bare[0], "--bind", "{bind}", cwd=tmp_path, env=env)
    assert get(other)["setting"] == "here", "the current folder's settings come first"


def test_native(bare: tuple[Path, str], tmp_path: Path, launch: Launch) -> None:
    """An object with a search path of its own finds the system's libraries in the file."""
    root = empty_root(tmp_path / "root", bare[0])
    server = launch(*in_root(root, "/server", "--bind", "{bind}"))
    assert get(server, "/native")["native"] == 42
    assert get(server, "/python")["prefix"].startswith("/var/cache/gowsgi/")


def test_another_user(bare: tuple[Path, str], tmp_path: Path, launch: Launch) -> None:
    """Workers of another user can read what root has unpacked."""
    root = empty_root(tmp_path / "root", bare[0])
    line = in_root(root, "/server", "--bind", "{bind}", "--user", "65534", "--group", "65534")
    if os.geteuid() != 0:
        run = subprocess.run(line, env=clean_env(), capture_output=True, text=True, timeout=START_TIMEOUT, check=False)
        assert run.returncode != 0
        return
    assert get(launch(*line))["uid"] == 65534


def test_reload_and_replace(bare: tuple[Path, str], project: Path, tmp_path: Path, launch: Launch) -> None:
    """HUP brings new workers of the same file, USR2 the file that is there by then."""
    second = tmp_path / "second"
    shutil.copytree(project, second, symlinks=True)
    (second / "app.py").write_text(APP.replace("RELEASE", "2"))
    build("app:app", "-q", "--chdir", second, "-o", tmp_path / "new")
    file = tmp_path / "server"
    shutil.copy(bare[0], file)
    server = launch(file, "--bind", "{bind}", env={"GOWSGI_CACHE": str(tmp_path / "cache")})
    before = server.workers
    server.signal(signal.SIGHUP)
    proc.wait_for(lambda: server.workers and not set(before) & set(server.workers), START_TIMEOUT, "new workers")
    assert get(server)["release"] == 1
    (tmp_path / "new").rename(file)
    server.signal(signal.SIGUSR2)
    pid = int(server.wait_log(r"started a new master: pid=(\d+)", START_TIMEOUT)[1])
    try:
        server.wait_log(rf"serving app:app .*pid={pid}", START_TIMEOUT)
        server.signal(signal.SIGQUIT)
        server.wait()
        assert get(server)["release"] == 2
    finally:
        os.kill(pid, signal.SIGTERM)
        proc.wait_for(lambda: not proc.alive(pid), START_TIMEOUT, "the new master's end")


def test_mends_itself(bare: tuple[Path, str], tmp_path: Path) -> None:
    """What a cleaner of /tmp has taken is there again at the next start."""
    folder = unpacked(bare[0], tmp_path / "cache")
    (folder / "lib" / "libc.so.6").unlink()
    (folder / "lib" / "python3.14" / "os.py").write_text("")
    assert unpacked(bare[0], tmp_path / "cache") == folder
    assert (folder / "lib" / "python3.14" / "os.py").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--python", "python3"], "--python: this file brings its own, 3.14."),
        (["other:app"], "one application at a time"),
        (["--no-such-option"], "flag provided but not defined: -no-such-option"),
    ],
)
def test_refuses(bare: tuple[Path, str], tmp_path: Path, options: list[str], says: str) -> None:
    """What only makes sense elsewhere is an error."""
    env = clean_env(GOWSGI_CACHE=str(tmp_path / "cache"))
    run = subprocess.run(
        [bare[0], *options], env=env, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    assert run.returncode == 1
    assert says in run.stderr


# From where ---------------------------------------------------------------------------


def test_virtual_environment(tmp_path: Path, launch: Launch) -> None:
    """Another CPython, with the versions that its virtual environment has."""
    venv = interpreters.venv_for(next(iter(interpreters.discover())))
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "pages.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\napp.get('/')(lambda: {'flask': 1})\n"
    )
    file = tmp_path / "server"
    report = build("pages:app", "--python", venv.python, "--chdir", tmp_path / "app", "-o", file)
    assert f"CPython {venv.interpreter.full}" in report
    server = launch(*in_root(empty_root(tmp_path / "root", file), "/server", "--bind", "{bind}"))
    assert get(server) == {"flask": 1}


def test_pyproject(tmp_path: Path) -> None:
    """Dependencies of pyproject.toml; what is missing is said by pip."""
    (tmp_path / "app.py").write_text(APP.replace("RELEASE", "1"))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["itsdangerous==2.2.0"]\n'
    )
    build("app:app", "-q", "-o", "server", cwd=tmp_path)
    first = sha256(tmp_path / "server")
    build("app:app", "-q", "-o", "server", cwd=tmp_path)
    assert sha256(tmp_path / "server") == first, "the file itself is in the folder by then"
    folder = unpacked(tmp_path / "server", tmp_path / "cache")
    site = folder / "lib" / "python3.14" / "site-packages"
    assert (site / "itsdangerous" / "__pycache__" / "signer.cpython-314.pyc").exists()
    run = try_build("app:app", "-o", "other", "--require", "./nowhere", cwd=tmp_path)
    assert run.code == 1
    assert "pip could not install the requirements of ./nowhere" in run.stderr
    assert not (tmp_path / "other").exists()


def test_go_program(tmp_path: Path) -> None:
    """A Go program with Python in it becomes one file: Flask, a Go route, its own arguments."""
    program, file = tmp_path / "goapi", tmp_path / "server"
    subprocess.run(["go", "build", "-o", program, "./examples/goapi"], cwd=REPO, check=True, timeout=BUILD_TIMEOUT)
    build("-q", "--program", program, "--chdir", REPO / "examples" / "goapi", "-o", file)
    port = free_port()
    root = empty_root(tmp_path / "root", file)
    line = in_root(root, "/server", "-addr", f"{HOST}:{port}")
    process = subprocess.Popen(line, env=clean_env(VIRTUAL_ENV="/nowhere"), start_new_session=True)
    try:

        def answer() -> requests.Response | None:
            assert process.poll() is None, "the program has ended"
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"http://{HOST}:{port}/pages/hello", auth=("ann", "secret"), timeout=30)
            return None

        assert proc.wait_for(answer, START_TIMEOUT, "Flask to answer").json()["hello"] == "ann"
        says = requests.get(f"http://{HOST}:{port}/api/time", auth=("ann", "secret"), timeout=30)
        assert says.json()["user"] == "ann"
        [inside] = proc.children(process.pid)
        os.kill(inside, signal.SIGTERM)
        assert process.wait(START_TIMEOUT) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def test_program_that_does_not_fit(tmp_path: Path) -> None:
    """What could not start where it is unpacked is refused."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh")
    for program, error in (
        ("/bin/sh", "was not linked with this module's package pyembed"),
        (script, "it is no program that is linked dynamically"),
        (tmp_path / "python3", "give it another name"),
    ):
        run = try_build("--program", program, "-o", tmp_path / "other")
        assert run.code == 1
        assert error in run.stderr
        assert not (tmp_path / "other").exists()


def test_django(tmp_path: Path, launch: Launch) -> None:
    """The Django example: its settings file migrates the database before there are workers."""
    file = tmp_path / "server"
    build("mysite.wsgi", "-q", "--chdir", REPO / "examples" / "django", "-o", file)
    root = empty_root(tmp_path / "root", file)
    server = launch(*in_root(root, "/server", "--bind", "{bind}"), env={"DATABASE": "/tmp/notes.db"})
    session = requests.Session()
    page = session.get(server.url, timeout=30).text
    assert "None yet" in page
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    answer = session.post(server.url, data={"text": "<1st>", "csrfmiddlewaretoken": token}, timeout=30)
    assert "&lt;1st&gt;" in answer.text
    assert (root / "tmp" / "notes.db").exists()
    assert end_inside(server) == 0
