import json
import sys
import types

import pytest

from gowsgi import apps, embed, reload


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing was asked before, and nothing has failed."""
    monkeypatch.setattr(reload, "_seen", set())
    monkeypatch.setattr(reload, "_found", [])
    monkeypatch.setattr(embed._server, "failure", None)


def below(folder):
    """Returns what new_files() says of a folder, by relative paths."""
    prefix = f"{folder}/"
    files = json.loads(embed.new_files("0"))
    assert len(files) == len(set(files))
    return sorted(path.removeprefix(prefix) for path in files if path.startswith(prefix))


def load(spec):
    with pytest.raises(apps.AppError) as caught:
        embed.load(spec)
    return caught.value


GOOD = "def app(environ, start_response): pass"


def test_modules_of_the_app(project):
    folder = project(site__helper="", site____init__="", lazy="", myapp="import site_.helper\n" + GOOD)
    (folder / "site").rename(folder / "site_")
    embed.load("myapp:app")
    assert below(folder) == ["myapp.py", "site_/__init__.py", "site_/helper.py"]
    known = str(len(json.loads(embed.new_files("0"))))
    assert embed.new_files(known) == "[]"
    __import__("lazy")
    assert json.loads(embed.new_files(known)) == [f"{folder}/lazy.py"]
    assert json.loads(embed.new_files(known)) == [f"{folder}/lazy.py"]


def test_packages_count_and_the_standard_library_does_not():
    files = json.loads(embed.new_files("0"))
    assert json.__file__ not in files
    assert pytest.__file__ in files
    assert not [path for path in files if "<" in path or not path.startswith("/")]


def test_a_package_below_the_standard_library(project, monkeypatch):
    folder = project(lib__mine="", lib__other="")
    (folder / "lib" / "site-packages").mkdir()
    (folder / "lib" / "mine.py").rename(folder / "lib" / "site-packages" / "mine.py")
    monkeypatch.setattr(reload, "_STDLIB", f"{folder}/lib/")
    monkeypatch.setattr(reload, "_PACKAGES", (f"{folder}/lib/site-packages/",))
    monkeypatch.setattr(sys, "path", [f"{folder}/lib", f"{folder}/lib/site-packages", *sys.path])
    __import__("mine")
    __import__("other")
    assert below(folder) == ["lib/site-packages/mine.py"]


def test_compiled_modules(project):
    import py_compile

    folder = project(both="", alone="")
    for name in ("both", "alone"):
        py_compile.compile(f"{name}.py", f"{name}.pyc")
    (folder / "alone.py").unlink()
    sys.modules["both"] = types.ModuleType("both")
    sys.modules["both"].__file__ = str(folder / "both.pyc")
    __import__("alone")
    assert below(folder) == ["alone.pyc", "both.py"]


def test_odd_entries_of_sys_modules(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was asked for")

    lazy = Lazy("lazy")
    for name, value in {"lazy": lazy, "none": None, "number": 3, "slots": object()}.items():
        monkeypatch.setitem(sys.modules, name, value)
    odd = types.ModuleType("odd")
    odd.__file__ = 3
    monkeypatch.setitem(sys.modules, "odd", odd)
    assert json.loads(embed.new_files("0"))


CHAINED = """
try:
    import a
except {0}:
    raise OSError from {1}
"""
APPS = [
    ({"myapp": "import helper\nraise OSError('no')", "helper": ""}, ["helper.py", "myapp.py"]),
    ({"myapp": "import helper", "helper": "def f(:"}, ["helper.py", "myapp.py"]),
    ({"myapp": "import helper", "helper": "1/0"}, ["helper.py", "myapp.py"]),
    ({"myapp": "import a", "a": "from b import nothing", "b": ""}, ["a.py", "b.py", "myapp.py"]),
    (
        {"myapp": CHAINED.format("ImportError as e", "e"), "a": "import b", "b": "raise ImportError"},
        ["a.py", "b.py", "myapp.py"],
    ),
    ({"myapp": CHAINED.format("ZeroDivisionError", "None"), "a": "1/0"}, ["a.py", "myapp.py"]),
    ({"myapp": "app = 3"}, ["myapp.py"]),
    ({"myapp": "raise SystemExit(3)"}, ["myapp.py"]),
]
if sys.version_info >= (3, 11):
    grouped = CHAINED.format("Exception as e", "ExceptionGroup('all', [e])").replace("OSError from", "")
    APPS.append(({"myapp": grouped, "a": "1/0"}, ["a.py", "myapp.py"]))


@pytest.mark.parametrize(("files", "watched"), APPS)
def test_files_of_an_app_that_does_not_load(project, files, watched):
    folder = project(**files)
    load("myapp:app")
    assert below(folder) == watched


def test_where_a_missing_module_could_be_made(project):
    folder = project(myapp="import package.gone", package____init__="")
    load("myapp:app")
    assert below(folder) == ["myapp.py", "package/__init__.py", "package/gone.py", "package/gone/__init__.py"]


def test_where_the_app_itself_could_be_made(project):
    folder = project()
    load("nothing.at.all:app")
    assert below(folder) == ["nothing.py", "nothing/__init__.py"]


def test_where_a_missing_submodule_could_be_made(project):
    folder = project(package__myapp="from . import gone", package____init__="")
    load("package.myapp:app")
    # An ImportError says which name from 3.12 on.
    assert ("package/gone.py" in below(folder)) == (sys.version_info >= (3, 12))


def test_the_failing_app(project):
    project(myapp="import other", other="raise ValueError('né\\udcff')")
    exc = load("myapp:app")
    answers = []
    app = embed.load("gowsgi.reload:failing_app()")
    body = app({"REQUEST_METHOD": "GET"}, lambda *args: answers.append(args))
    text = b"".join(body).decode()
    status, headers = answers[0]
    assert status == "500 Internal Server Error"
    assert dict(headers)["Content-Type"] == "text/plain; charset=utf-8"
    assert dict(headers)["Content-Length"] == str(len(text.encode()))
    assert text.startswith(str(exc).partition("né")[0])
    assert "Traceback (most recent call last)" in text
    assert "other.py" in text
    assert "né\\udcff" in text
    assert text.count("\n\n") == 0


def test_the_failing_app_shows_the_hint(project):
    project(myapp=GOOD)
    exc = load("myap:app")
    body = b"".join(reload.failing(exc)({}, lambda *args: None)).decode()
    assert body.splitlines()[0] == "there is no module 'myap'"
    assert body.splitlines()[-1] == "hint: did you mean myapp:app?"


def test_no_bytecode_of_what_was_just_saved(child):
    code = """
        import json, os, sys, time
        from gowsgi import embed
        embed.setup(json.dumps({"reload": True}))
        for name, age in {"old": 60, "fresh": 0, "coming": -60}.items():
            with open(f"{name}.py", "w") as file:
                file.write("here = 1")
            os.utime(f"{name}.py", (time.time() - age,) * 2)
            assert __import__(name).here == 1
        sys.modules["old"].__loader__._cache_bytecode("/nowhere.py", "/nowhere.pyc", b"")
        print(json.dumps(sorted(name.partition(".")[0] for name in os.listdir("__pycache__"))))
    """
    assert child.json(code, PYTHONDONTWRITEBYTECODE="") == ["old"]


def test_nothing_stands_in_for_what_cannot_be_mended(project):
    project(myapp=GOOD)
    load("my app:app")
    load("./myapp.py")
    assert embed.failure() is None
    with pytest.raises(apps.AppImportError, match="no application has failed"):
        apps.load("gowsgi.reload:failing_app()")
