"""sys.path and sys.modules are an interpreter's state: each test has one of its own."""

import json

SETUP = """
import json, os, sys
from gowsgi import apps, library
def make(folder, *names):
    os.makedirs(folder, exist_ok=True)
    for name in names:
        open(os.path.join(folder, name), "w").close()
    return os.path.abspath(folder)
def error(folders, module):
    try:
        library.use_folders(folders, module)
    except apps.AppSpecError as exc:
        return str(exc).replace(os.getcwd() + "/", "")
def result(*values):
    print(json.dumps(values))
"""


def test_folders_stay_in_the_order_of_the_loads(child):
    assert child.json(
        SETUP
        + """
before = list(sys.path)
a, b, c = make("a"), make("b"), make("c")
library.use_folders([a], "one")
library.use_folders([b, c], "two:app")
library.use_folders([a], "one:other")
result(sys.path[:3] == [a, b, c], sys.path[3:] == before)
"""
    ) == [True, True]


def test_modules_that_hide_each_other(child):
    a, again, b, stdlib, built_in, package, linked, absent, malformed, odd = child.json(
        SETUP
        + """
a = make("a", "app.py", "other.py", "__init__.py")
b = make("b", "app.py", "json.py", "sys.py")
space, other = make("c/space"), make("d/space")
os.symlink(a, "link")
def spaces():
    parts = error([os.path.dirname(space)], "space"), error([os.path.dirname(other)], "space.x:app")
    __import__("space")
    return [*parts, error([make("e", "space.py")], "space")]
sys.modules["odd"] = type(sys)("odd")
result(error([a], "app:app"), error([a], "app"), error([b], "app:app"), error([b], "json"),
       error([b], "sys"), spaces(), error([os.path.abspath("link")], "app"), error([b], "other"), error([b], "app:f("),
       error([make("e", "odd.py")], "odd"))
"""
    )
    assert [a, again, linked, absent] == [None] * 4
    assert b == "the module 'app' of b is hidden by a/app.py"
    assert stdlib.startswith("the module 'json' of b is hidden by /")
    assert built_in == "the module 'sys' of b is hidden by CPython's own"
    assert package == [None, None, "the module 'space' of e is hidden by c/space, d/space"]
    assert malformed.startswith("'f('")
    assert odd == "the module 'odd' of e is hidden by another"


def test_a_module_that_came_later_is_found(child):
    assert child.json(
        SETUP
        + """
a = make("a")
library.use_folders([a], "late")
missing = __import__("importlib.util").util.find_spec("late")
make("a", "late.py")
library.use_folders([a], "late")
import late
result(missing, late.__file__)
"""
    )[1].endswith("/a/late.py")


def test_setup_leaves_a_go_programs_folder_alone(child):
    options = json.dumps({"library": True, "chdir": "/", "threads": 2})
    assert child.json(f"""
import json, os, sys
from gowsgi import embed
before = os.getcwd(), list(sys.path)
embed.setup({options!r})
print(json.dumps([before == (os.getcwd(), sys.path), embed.base_environ()["wsgi.multithread"],
                  embed.use_folders(json.dumps({{"folders": [], "module": "x"}}))]))
""") == [True, True, ""]
