import textwrap

import pytest

from gowsgi import apps
from gowsgi.apps import AppImportError, AppSpecError

WSGI = "def {0}(environ, start_response):\n    return [b'{0}']\n"


@pytest.fixture
def load(project):
    def load(spec, **files):
        project(**{name: textwrap.dedent(source) for name, source in files.items()})
        return apps.load(spec)

    return load


@pytest.fixture
def failure(load):
    def failure(kind, spec, **files):
        with pytest.raises(kind) as caught:
            load(spec, **files)
        return caught.value

    return failure


FACTORIES = """
def make(*args, **kwargs):
    def app(environ, start_response):
        return args, kwargs
    return app
class box:
    make = staticmethod(make)
    class inner:
        @staticmethod
        def app(environ, start_response):
            return "inner"
"""


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ("mod:make()", ((), {})),
        ("mod:make( )", ((), {})),
        ("mod:make('a', k=1)", (("a",), {"k": 1})),
        ("mod:make(-1, [1, (2, None)], k={'x': {True}})", ((-1, [1, (2, None)]), {"k": {"x": {True}}})),
        ("mod:box.make('a:b')", (("a:b",), {})),
        ("mod:box.inner.app", "inner"),
        (" mod : make() ", ((), {})),
    ],
)
def test_spec_forms(load, spec, result):
    assert load(spec, mod=FACTORIES)({}, None) == result


def test_default_attribute_prefers_application(load):
    assert load("mod", mod=WSGI.format("app") + WSGI.format("application"))({}, None) == [b"application"]
    assert load("other", other=WSGI.format("app"))({}, None) == [b"app"]


def test_module_in_package_and_odd_name(load, project):
    root = project(pkg____init__="", pkg__web=WSGI.format("app"))
    (root / "my-app.py").write_text(WSGI.format("app"))
    assert load("pkg.web:app")({}, None) == [b"app"]
    assert load("my-app:app")({}, None) == [b"app"]


@pytest.mark.parametrize(
    "spec",
    ["", ":", ":app", "a..b:app", ".a:app", "a.:app", "a b:app", "mod:", "mod:1", "mod:a b", "mod:a[0]", "mod:a(",
     "mod:a()()", "mod:a(x)", "mod:a(*[1])", "mod:a(**{})", "mod:a(1)(2)", "mod:a.b[1]()", "mod:\0", "mod:\udcff",
     "mod:a(f'x')", "mod:a(__import__('os'))"],
)  # fmt: skip
def test_malformed_spec(failure, spec):
    error = failure(AppSpecError, spec, mod="raise SystemError('imported')")
    assert error.exit_code == 4
    assert error.hint
    assert error.original is None


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("web.py", "web:app"),
        ("web.py:thing", "web:thing"),
        ("./web.py:app", "web:app"),
        ("src/web.py:app", "--chdir src web:app"),
        ("src/web:app", "--chdir src web:app"),
        ("pkg/web.py", "pkg.web:app"),
    ],
)
def test_file_instead_of_module(failure, spec, hint):
    error = failure(AppSpecError, spec, web="", src__web="", pkg____init__="", pkg__web="")
    assert error.hint == f"did you mean {hint}?"


def test_missing_module_close_name(failure):
    error = failure(AppImportError, "mayapp:app", myapp="")
    assert (error.exit_code, str(error)) == (3, "there is no module 'mayapp'")
    assert error.hint == "did you mean myapp:app?"
    assert "Traceback" not in error.traceback_text()
    assert error.traceback_text() == "ModuleNotFoundError: No module named 'mayapp'\n"


def test_missing_module_in_a_subfolder(failure):
    assert "--chdir backend zebra:app" in failure(AppImportError, "zebra:app", backend__zebra="").hint


def test_missing_module_anywhere(failure):
    hint = failure(AppImportError, "zebra:app").hint
    assert "--chdir" in hint
    assert "virtual environment" in hint


def test_missing_submodule(failure):
    error = failure(AppImportError, "pkg.wbe:app", pkg____init__="", pkg__web="")
    assert error.hint == "did you mean pkg.web:app?"
    assert failure(AppImportError, "flat.app", flat="app = 1").hint == (
        "'flat' is a module, not a package: did you mean flat:app?"
    )


def test_missing_dependency_is_told_apart(failure):
    error = failure(AppImportError, "mod:app", mod="import sys\nimport nothing_like_it\n")
    assert "needs the module 'nothing_like_it'" in str(error)
    assert "virtual environment" in error.hint
    assert "prefix" in error.hint
    text = error.traceback_text()
    assert 'mod.py", line 2, in <module>\n    import nothing_like_it\n' in text
    assert "apps.py" not in text
    assert "importlib" not in text


def test_package_that_misses_its_own_module_is_a_failed_import(failure):
    error = failure(AppImportError, "pkg.web:app", pkg____init__="import pkg.web\n")
    assert "cannot be imported" in str(error)
    assert "__init__.py" in error.traceback_text()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(2)", "it exited with 2"),
        ("def broken(:", "SyntaxError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("from os import nothing_there", "ImportError"),
    ],
)
def test_import_that_raises(failure, source, message):
    error = failure(AppImportError, "mod:app", mod=source)
    assert error.exit_code == 3
    assert message in str(error)
    assert "mod.py" in error.traceback_text()
    assert error.__cause__ is error.original


def test_missing_attribute(failure):
    source = "from os.path import join\nfrom typing import Optional\nx = 3\n" + WSGI.format("server")
    error = failure(AppSpecError, "mod:sever", mod=source)
    assert (str(error), error.exit_code) == ("'mod' has no attribute 'sever'", 4)
    assert error.hint == "did you mean mod:server?"
    assert failure(AppSpecError, "mod:zzz").hint.endswith("mod.py defines server")
    assert failure(AppSpecError, "mod").hint.endswith("mod.py defines server")
    assert str(failure(AppSpecError, "mod:server.zzz")) == "'mod.server' has no attribute 'zzz'"


def test_missing_attribute_beside_a_factory_or_a_submodule(failure):
    assert failure(AppSpecError, "mod", mod="def create_app():\n    pass\n").hint == "did you mean mod:create_app()?"
    error = failure(AppSpecError, "pkg:web.app", pkg____init__="", pkg__web="")
    assert error.hint == "did you mean pkg.web:app?"
    assert "nothing that can be called" in failure(AppSpecError, "empty", empty="").hint


def test_hints_survive_hostile_objects(failure):
    source = """
    class Proxy:
        def __getattribute__(self, name):
            raise RuntimeError("out of context")
        def __call__(self):
            pass
    proxy = Proxy()
    """
    assert failure(AppSpecError, "mod:app", mod=source).exit_code == 4


def test_attribute_lookup_that_raises(failure):
    error = failure(AppImportError, "mod:app", mod="def __getattr__(name):\n    1/0\n")
    assert "ZeroDivisionError" in str(error)
    error = failure(AppSpecError, "bad:app", bad="def __getattr__(name):\n    return [].nothing\n")
    assert "[].nothing" in error.traceback_text()


@pytest.mark.parametrize("spec", ["mod:make()", "mod:make(1, 2)", "mod:make(1, nope=2)", "mod:make('a', x=1, y=2)"])
def test_factory_with_wrong_arguments(failure, spec):
    error = failure(AppSpecError, spec, mod="def make(a, *, x=None):\n    pass\n")
    assert "make()" in str(error)
    assert error.hint == "it is make(a, *, x=None)"
    assert error.traceback_text() == ""


def test_factory_that_raises(failure):
    for source in ("def make():\n    len(5)\n", "import sys\ndef make():\n    sys.exit(1)\n"):
        error = failure(AppImportError, "mod:make()", mod=source)
        assert "in make" in error.traceback_text()
        assert "apps.py" not in error.traceback_text()
        import sys

        del sys.modules["mod"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("app = None", "is None"),
        ("app = 5", "is a int"),
        ("def app():\n    return make\n", "takes 0 arguments"),
        ("def app(config=None):\n    return make\n", "takes 1 argument,"),
        ("async def app(scope, receive, send):\n    pass\n", "takes 3 arguments"),
        ("async def app(environ, start):\n    pass\n", "is async"),
        ("class C:\n    async def __call__(self, scope, receive, send): pass\napp = C()", "takes 3 arguments"),
        ("class C:\n    def go(self): pass\napp = C().go", "takes 0 arguments"),
    ],
)
def test_not_a_wsgi_application(failure, source, message):
    error = failure(AppSpecError, "mod:app", mod=source)
    assert message in str(error)
    assert error.hint
    if "receive" in source:
        assert "ASGI" in error.hint
    if "return make" in source:
        assert error.hint == "if it is a factory, call it: mod:app()"


@pytest.mark.parametrize("body", ["return None", "return 5"])
def test_factory_that_returns_no_application(failure, body):
    error = failure(AppSpecError, "mod:make()", mod=f"def make():\n    {body}\n")
    assert "returned" in str(error)
    assert "did you mean" not in error.hint


@pytest.mark.filterwarnings("error")
def test_async_factory(failure):
    assert "async" in str(failure(AppSpecError, "mod:make()", mod="async def make():\n    pass\n"))


def test_calling_what_is_not_callable(failure):
    assert "cannot be called" in str(failure(AppSpecError, "mod:app()", mod="app = 5"))


@pytest.mark.parametrize(
    "source",
    [
        "def app(*args): pass",
        "def app(a, b, c=None): pass",
        "def app(a, *rest): pass",
        "class app:\n    def __init__(self, environ, start_response): pass",
        "class C:\n    def __call__(self, a, b): pass\napp = C()",
        "class C:\n    def __call__(*args): pass\napp = C()",
        "class C:\n    __call__ = staticmethod(lambda a, b: None)\napp = C()",
        "class C:\n    def go(self, a, b): pass\napp = C().go",
        "import functools\napp = functools.partial(lambda x, a, b: None, 1)",
        "from unittest.mock import MagicMock\napp = MagicMock()",
    ],
)
def test_applications_of_every_make(load, source):
    assert callable(load("mod:app", mod=source))


def test_a_name_is_given_once():
    assert apps.parse("m:make(a=1, b=2)").arguments is not None
    with pytest.raises(AppSpecError, match="each name once"):
        apps.parse("m:make(a=1, a=2)")


def test_file_by_its_path(load, project, tmp_path):
    code = "application = lambda e, s: [__name__, __file__]\nmake = lambda: application\n"
    project(sub__site=code, **{"plain": code})
    (tmp_path / "sub" / "old.wsgi").write_text(code)
    path = tmp_path / "sub" / "site.py"
    name = "uwsgi_file_" + str(path)[:-3].replace("/", "_").replace(".", "_")
    for spec in (f"file:{path}:application", f"file:{path}", f" file:{path}:make()"):
        assert apps.load(spec)({}, None) == [name, str(path)]
    # A relative one is named by what was written, as under uWSGI.
    assert apps.load("file:sub/site.py")({}, None) == ["uwsgi_file_sub_site", str(path)]
    assert apps.load("file:sub/old.wsgi")({}, None)[0] == "uwsgi_file_sub_old_wsgi"
    assert apps.load("file:sub/site.py") is apps.load("file:sub/site.py:application")  # imported once


@pytest.mark.parametrize(
    ("spec", "kind", "text"),
    [
        ("file:", AppSpecError, "no file is named"),
        ("file::app", AppSpecError, "no file is named"),
        ("file:none.py:app", AppImportError, "'none.py' cannot be imported"),
        ("file:mod.py:nothing", AppSpecError, "'mod.py' has no attribute 'nothing'"),
        ("file:bad.py", AppImportError, "ZeroDivisionError"),
        ("file:mod.py:1+", AppSpecError, "neither an attribute nor a call"),
    ],
)
def test_file_that_is_no_use(failure, spec, kind, text):
    error = failure(kind, spec, mod="app = print\n", bad="1 / 0\n")
    assert text in str(error)
    # What failed is not there half made.
    assert failure(kind, spec).exit_code == error.exit_code
