"""--reload: what is saved is served, and what does not load is shown."""

from __future__ import annotations

import shutil
import signal
import statistics
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import APPS, HOST, finish, free_port

if TYPE_CHECKING:
    from typing import Protocol

    from conftest import Serve
    from support.interpreters import Venv
    from support.server import Server

    class Start(Protocol):
        """Starts the project's app:app under --reload."""

        def __call__(self, *options: str, **how: object) -> Server:
            """Start it with further options."""


APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [{}]
"""


def app_with(body: str, imports: str = "") -> str:
    """Return the source of an application that answers with the value of an expression."""
    return f"{imports}\n{APP.format(body)}"


class Project:
    """A folder of sources, saved as editors do."""

    def __init__(self, folder: Path) -> None:
        """Begin without any."""
        self.folder = folder

    def save(self, name: str, source: str) -> float:
        """Write a file in place and return when that was."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return time.monotonic()

    def replace(self, name: str, source: str) -> float:
        """Put a new file in the place of the old one, which vim has renamed before."""
        path = self.folder / name
        path.rename(f"{path}~")
        self.save(name, source)
        Path(f"{path}~").unlink()
        return time.monotonic()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that answers "one"."""
    project = Project(tmp_path / "project")
    project.save("app.py", app_with("b'one'"))
    return project


@pytest.fixture
def start(serve: Serve, project: Project) -> Start:
    """Start the project's app under --reload and wait until it is served."""

    def start(*options: str, app: str = "app:app", **how: object) -> Server:
        return serve(app, "--reload", *options, chdir=project.folder, **how)

    return start


def get(server: Server, path: str = "/") -> requests.Response:
    """Ask on a new connection."""
    return requests.get(server.url + path, timeout=10, headers={"Connection": "close"})


def served(server: Server, text: str, status: int = 200, timeout: float = 20.0, path: str = "/") -> float:
    """Wait until an answer contains a text, and return when that was."""

    def answer() -> float | None:
        response = get(server, path)
        return time.monotonic() if response.status_code == status and text in response.text else None

    return proc.wait_for(answer, timeout, f"{text!r} to be served")


def reloads(server: Server) -> int:
    """Return how many reloads have begun."""
    return server.stderr.count("reloading: ")


def reloaded(server: Server, times: int) -> None:
    """Wait until that many reloads are done."""
    proc.wait_for(lambda: server.stderr.count("reloaded: ") >= times, 20, f"{times} reloads to be done")


def quiet(server: Server, seconds: float = 1.5) -> None:
    """Check that no reload begins for a while."""
    before = reloads(server)
    time.sleep(seconds)
    assert reloads(server) == before, server.stderr


# What does not load ---------------------------------------------------------------


def test_a_syntax_error_and_its_fix(start: Start, project: Project) -> None:
    server = start()
    served(server, "one")
    shown, fixed = [], []
    for n in range(5):
        saved = project.save("app.py", f"def app_{n}(environ, start_response")
        shown.append(served(server, f"app_{n}(environ", 500) - saved)
        saved = project.save("app.py", app_with(f"b'fixed {n}'"))
        fixed.append(served(server, f"fixed {n}") - saved)
    print(f"shown after {statistics.median(shown):.2f} s, the fix served after {sorted(round(s, 2) for s in fixed)}")
    # What users are promised, on a machine that is not busy with something else.
    assert min(fixed) < 1
    assert server.stderr.count("the application does not load") == 5
    assert server.stop() == 0


def test_what_a_failing_app_answers(start: Start, project: Project) -> None:
    project.save("app.py", "import helper\n" + app_with("b''"))
    project.save("helper.py", "x = 1\nraise RuntimeError('no database')")
    server = start()
    response = requests.post(f"{server.url}/any/path?q=1", data=b"x" * 100_000, timeout=10)
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    for line in (
        "'app' cannot be imported: RuntimeError: no database",
        "Traceback (most recent call last):",
        f'  File "{project.folder}/helper.py", line 2, in <module>',
    ):
        assert line in response.text.splitlines()
    assert response.text.rstrip().splitlines()[-1] in server.stderr
    head = requests.head(server.url, timeout=10)
    assert (head.status_code, head.headers["Content-Length"]) == (500, response.headers["Content-Length"])
    # Not the app itself was broken, but what it imports.
    project.save("helper.py", "x = 1")
    project.save("app.py", "import helper\n" + app_with("b'mended'"))
    served(server, "mended")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("import helpers.later\n", "it needs the module 'helpers'"),
        ("from helper import nothing\n", "ImportError: cannot import name 'nothing'"),
        ("import sys\nsys.exit(7)\n", "it exited with 7"),
        ("1/0\n", "ZeroDivisionError: division by zero"),
        ("app = 3\ndel app\n", "has no attribute 'app'"),
        ("async def app(scope, receive, send): pass\n", "ASGI"),
    ],
)
def test_other_ways_not_to_load(start: Start, project: Project, broken: str, message: str) -> None:
    project.save("helper.py", "")
    server = start()
    project.save("app.py", broken)
    served(server, message, 500)
    project.save("app.py", app_with("b'mended'"))
    served(server, "mended")


def test_a_missing_module_is_made(start: Start, project: Project) -> None:
    project.save("app.py", app_with("helpers.later.TEXT", "import helpers.later"))
    server = start()
    served(server, "No module named 'helpers'", 500)
    project.save("helpers/later.py", "TEXT = b'made'")  # a namespace package: nothing that was missed
    project.save("helpers/__init__.py", "")
    served(server, "made")


def test_an_app_that_was_not_there(start: Start, project: Project) -> None:
    server = start(app="other:app")
    served(server, "there is no module 'other'", 500)
    project.save("other.py", app_with("b'other'"))
    served(server, "other")


def test_what_no_save_mends(venv: Venv, project: Project) -> None:
    where = ["--bind", f"{HOST}:{free_port()}", "--python", str(venv.python), "--chdir", str(project.folder)]
    for app, code in {"my app:app": 4, "app.py": 4}.items():
        end = finish(["run", "--reload", *where, app])
        assert end.code == code, end.stderr
    end = finish(["run", "--reload", *where, "--reload-extra-file", "templates/[a-", "app:app"])
    assert end.code == 1, end.stderr
    assert "malformed" in end.stderr


def test_an_import_that_never_ends(start: Start, project: Project) -> None:
    server = start()
    project.save("app.py", "while True: pass")
    server.wait_log("reloading: ")
    time.sleep(1)
    assert get(server).text == "one"
    project.save("app.py", app_with("b'two'"))
    served(server, "two")
    proc.wait_for(lambda: len(proc.tree(server.pid)) == 2, 10, "one worker to be left")


def test_an_import_that_kills(start: Start, project: Project) -> None:
    """There is nobody to show anything: the old one goes on serving."""
    server = start()
    project.save("app.py", "import os\nos.kill(os.getpid(), 9)")
    server.wait_log("the reload failed", 10)
    assert get(server).text == "one"
    project.save("app.py", app_with("b'two'"))
    served(server, "two")


# What counts ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["auto", "inotify", "poll"])
def test_engines(start: Start, project: Project, engine: str) -> None:
    server = start("--reload-engine", engine)
    saved = project.save("app.py", app_with("b'two'"))
    print(f"{engine}: {served(server, 'two') - saved:.2f} s")
    project.replace("app.py", app_with("b'three'"))
    served(server, "three")
    project.save("app.py", "import helper\n" + app_with("b'four'"))
    served(server, "No module named 'helper'", 500)
    project.save("helper.py", "")
    served(server, "four")


def test_a_module_imported_later(start: Start, project: Project) -> None:
    project.save("pages/lazy.py", "TEXT = b'lazy one'")
    project.save("app.py", app_with("__import__('pages.lazy').lazy.TEXT"))
    server = start()
    time.sleep(1.2)
    project.save("pages/lazy.py", "TEXT = b'lazy two'")
    quiet(server, 0.5)  # nothing has imported it
    served(server, "lazy two")
    time.sleep(1.5)  # seen once a second
    project.save("pages/lazy.py", "TEXT = b'lazy three'")
    served(server, "lazy three")
    assert reloads(server) == 1


def test_deleted_and_made_anew(start: Start, project: Project) -> None:
    server = start()
    (project.folder / "app.py").unlink()
    quiet(server, 0.5)
    assert get(server).text == "one"
    project.save("app.py", app_with("b'two'"))
    served(server, "two")
    shutil.rmtree(project.folder)
    quiet(server, 0.5)
    project.save("app.py", app_with("b'three'"))
    served(server, "three")


def test_extra_files(start: Start, project: Project) -> None:
    project.save("app.py", app_with("TEXT", "TEXT = open('app.toml', 'rb').read()"))
    project.save("app.toml", "one")
    project.save("templates/a/page.html", "")
    extra = [f"--reload-extra-file={project.folder}/{name}" for name in ("app.toml", "templates/**/*.html")]
    server = start(*extra)
    time.sleep(0.3)
    project.replace("app.toml", "two")
    served(server, "two")
    project.save("templates/a/page.html", "changed")
    server.wait_log(r"reloading: .*/templates/a/page\.html changed")
    project.save("templates/a/page.txt", "no match")
    project.save("templates/new.html", "new, so no change")
    quiet(server)


def test_configuration_file(serve: Serve, project: Project) -> None:
    """Its workers are forked by a process that has a Python already; it is watched too."""
    conf = """
        reload = True
        preload_app = True
        workers = 2
        raw_env = ["ANSWER={}"]
        def post_worker_init(worker):
            worker.log.info("init of %s", worker.pid)
    """
    project.save("conf.py", conf.format("one"))
    app = app_with("os.environ['ANSWER'].encode()", "import os")
    project.save("app.py", app)
    server = serve("app:app", "-c", f"{project.folder}/conf.py", chdir=project.folder)
    served(server, "one")
    for n, (name, source, status, text) in enumerate(
        [
            ("app.py", "import os\n1/0\n", 500, "ZeroDivisionError"),
            ("app.py", app, 200, "one"),
            ("conf.py", conf.format("two"), 200, "two"),
            ("conf.py", conf.format("three"), 200, "three"),
        ],
        start=1,
    ):
        project.save(name, source)
        served(server, text, status)
        reloaded(server, n)
        assert server.stderr.count("init of") == 2 * (n + 1)
    project.save("conf.py", "1/0")
    server.wait_log("the reload failed", 20)
    assert get(server).text == "three"
    project.save("conf.py", conf.format("four"))
    served(server, "four")
    assert "preload_app in" in server.stderr
    assert server.stop() == 0


def test_neighbours_do_not_count(start: Start, project: Project) -> None:
    server = start()
    for name in ("notes.txt", "tests.py", "app.py~", ".app.py.swp", "__pycache__/app.pyc", "db.sqlite3"):
        project.save(name, "x")
    (project.folder / "app.py").chmod(0o600)
    quiet(server)


def test_two_saves_within_a_second(start: Start, project: Project) -> None:
    """Of the same size: Python's .pyc files tell them apart by size and whole seconds."""
    server = start()
    for n in range(10, 20):
        project.save("app.py", app_with(f"b'{n}'"))
        served(server, str(n))


def test_a_save_while_the_application_loads(start: Start, project: Project) -> None:
    slow = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(1)\n"
    project.save("app.py", slow + app_with("b'one'"))
    server = start(ready=False)
    server.wait_log("^importing$")
    project.save("app.py", slow + app_with("b'two'"))
    server.wait_ready()
    served(server, "two")
    assert reloads(server) == 1
    # And while a reload is under way: it begins anew.
    project.save("app.py", slow + app_with("b'three'"))
    proc.wait_for(lambda: server.stderr.count("importing") == 3, 10, "the reload to import")
    project.save("app.py", slow + app_with("b'four'"))
    served(server, "four")
    assert reloads(server) == 3
    quiet(server)


# What it does to others -------------------------------------------------------------


def test_workers_tell_once(start: Start, project: Project) -> None:
    server = start("-w3")
    for n in range(3):
        project.save("app.py", f"raise RuntimeError('no {n}')")
        served(server, f"no {n}", 500)
        reloaded(server, n + 1)
    time.sleep(0.5)
    assert reloads(server) == 3, server.stderr
    assert server.stderr.count("the application does not load") == 3
    assert server.stderr.count("Traceback") == 3
    proc.wait_for(lambda: len(proc.tree(server.pid)) == 4, 10, "three workers to be left")


def test_a_request_under_way_is_finished(start: Start, project: Project) -> None:
    project.save(
        "app.py",
        """
        import os, sys, time
        def app(environ, start_response):
            print("asked", file=sys.stderr)
            while environ["QUERY_STRING"] and not os.path.exists("go"):
                time.sleep(0.01)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"one"]
        """,
    )
    server = start()
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(get(server, "/?slow").text))
    slow.start()
    server.wait_log("^asked$")
    project.save("app.py", app_with("b'two'"))
    server.wait_log("reloaded", 20)
    time.sleep(0.5)  # the old one still takes what came before
    served(server, "two")
    assert answers == []
    project.save("go", "")
    slow.join(20)
    assert answers == ["one"]


def test_many_saves_leave_nothing(start: Start, project: Project) -> None:
    server = start("-w2")
    served(server, "one")
    before = proc.counts(server.pid)
    for n in range(300):
        project.save("app.py", app_with(f"b'save {n}'") if n % 7 else f"raise RuntimeError('broken {n}')")
        time.sleep(0.03)
    served(server, "save 299")
    proc.wait_for(lambda: len(proc.tree(server.pid)) == 3, 20, "two workers to be left")
    quiet(server)
    after = proc.counts(server.pid)
    print(f"{reloads(server)} reloads; before: {before}; after: {after}")
    assert (after.processes, after.fds) == (before.processes, before.fds), proc.descriptors(server.pid)
    assert after.threads <= before.threads + 6  # Go's own
    assert server.stop() == 0


def test_stopping_while_it_reloads(start: Start, project: Project) -> None:
    server = start("-w2")
    project.save("app.py", "import time\ntime.sleep(30)")
    server.wait_log("reloading: ")
    pids = proc.tree(server.pid)
    server.signal(signal.SIGTERM)
    assert server.wait(5) == 0
    # What a worker had started to ask an interpreter about itself ends by itself.
    proc.wait_for(lambda: not any(proc.alive(pid) for pid in pids), 5, "all to end")


# Frameworks -------------------------------------------------------------------------


def test_flask(start: Start, project: Project, each_venv: Venv) -> None:
    source = """
        from flask import Flask, render_template
        app = Flask(__name__)
        app.config["TEMPLATES_AUTO_RELOAD"] = True
        @app.get("/")
        def index():
            return render_template("index.html", text={!r})
    """
    project.save("app.py", source.format("one"))
    project.save("templates/index.html", "<p>{{ text }}</p>")
    server = start(venv=each_venv)
    served(server, "<p>one</p>")
    project.replace("app.py", source.replace("@app.get", "@app.gett").format("two"))
    served(server, "AttributeError: 'Flask' object has no attribute 'gett'", 500)
    saved = project.replace("app.py", source.format("three"))
    print(f"Flask on {each_venv.version}: served again after {served(server, '<p>three</p>') - saved:.2f} s")
    project.save("templates/index.html", "<b>{{ text }}</b>")  # Jinja's own business
    served(server, "<b>three</b>")
    assert reloads(server) == 2


def test_django(start: Start, project: Project, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(APPS / "django_project", project.folder / "django_project", ignore=ignored)
    settings, urls = ((project.folder / "django_project" / name).read_text() for name in ("settings.py", "urls.py"))
    env = {"E2E_DJANGO_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "django_project.settings"}
    server = start(app="django_project.wsgi", env=env)
    served(server, "Not Found", 404, path="/nothing")
    for broken, message in (
        (settings + "INSTALLED_APPS += ['no.such.app']\n", "No module named 'no'"),
        (settings.replace("import os", "import oss as os"), "No module named 'oss'"),
    ):
        project.save("django_project/settings.py", broken)
        served(server, message, 500)
    saved = project.save("django_project/settings.py", settings + "DEBUG = True\n")
    print(f"Django: served again after {served(server, 'DEBUG = True', 404, path='/nothing') - saved:.2f} s")
    # What Django imports with the first request.
    time.sleep(1.5)
    project.save("django_project/urls.py", urls + "1/0\n")
    server.wait_log(r"reloading: .*/urls\.py changed")
    served(server, "", 500, path="/nothing")
    assert "ZeroDivisionError: division by zero" in server.stderr
    project.save("django_project/urls.py", urls)  # not imported, so imported with the next request
    served(server, "DEBUG = True", 404, path="/nothing")
