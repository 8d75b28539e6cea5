import json
import os
import sys

import pytest

from gowsgi import __version__, embed

SETUP = """
import json, os, sys
from gowsgi import embed
def result(*values):
    print(json.dumps(values))
"""


@pytest.fixture
def run(child):
    def run(code, **kwargs):
        return child.json(SETUP + code, **kwargs)

    return run


def test_paths_argv_and_folder(run, child):
    for name in ("site", "a", "b"):
        (child.folder / name).mkdir()
    site = str(child.folder / "site")
    path, cwd, argv, count = run("""
sys.path.append(os.path.abspath("site/../a/."))
embed.setup(json.dumps({"chdir": "site", "pythonpath": ["../c", "../b", "../b", "../a"], "argv": ["gowsgi", "x"]}))
head = list(sys.path)
embed.setup(json.dumps({"chdir": "/", "argv": ["other"]}))
result(head, os.getcwd(), sys.argv, len(sys.path) - len(head))
""")
    # As gunicorn does it: the last new entry is first, then the folder; what is there already stays where it is.
    assert path[:3] == [str(child.folder / "b"), str(child.folder / "c"), site]
    assert path[-1] == str(child.folder / "a")
    assert (cwd, argv, count) == (site, ["gowsgi", "x"], 0)


def test_defaults(run, child):
    path, argv = run("embed.setup('{}'); result(sys.path, sys.argv)")
    assert path[0] == str(child.folder)
    assert argv == ["gowsgi"]


def test_app_dir_in_place_of_the_current_folder(run, child):
    path, cwd = run("""
embed.setup(json.dumps({"app_dir": "/packed", "deferred": True}))
embed.import_from_here()
embed.configure({"chdir": "", "pythonpath": ["a"]})
result(sys.path, os.getcwd())
""")
    assert path[:2] == [str(child.folder / "a"), "/packed"]
    assert str(child.folder) not in path
    assert cwd == str(child.folder)


def test_symlinked_folder_keeps_its_name(run, child):
    (child.folder / "real").mkdir()
    link = child.folder / "link"
    link.symlink_to("real")
    assert run("os.chdir('link'); embed.setup('{}'); result(sys.path[0])", PWD=str(link)) == [str(link)]
    assert run('embed.setup(\'{"chdir": "link"}\'); result(sys.path[0])', PWD=str(child.folder)) == [str(link)]
    assert run("os.chdir('link'); embed.setup('{}'); result(sys.path[0])", PWD="/nowhere") == [
        str(child.folder / "real")
    ]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('embed.setup(\'{"chdir": "nowhere"}\')', "cannot change to the folder 'nowhere': No such file"),
        ("os.mkdir('d'); os.chdir('d'); os.rmdir('../d'); embed.setup('{}')", "current folder cannot be read"),
    ],
)
def test_folder_that_cannot_be_entered(run, code, message):
    description = json.loads(
        run(f"""
try:
    {code}
except Exception as exc:
    result(embed.describe_error(exc))
""")[0]
    )
    assert description["type"] == "gowsgi.embed.SetupError"
    assert message in description["message"]
    assert description["exit_code"] == 1


def test_prints_arrive_by_the_line(child):
    result = child.run(SETUP + "embed.setup('{}')\nprint('seen')\nprint('lost', end='')\nos._exit(0)\n")
    assert result.stdout == "seen\n"
    result = child.run(SETUP + "embed.setup('{}')\nprint('kept', end='')\nembed.before_exit()\nos._exit(0)\n")
    assert result.stdout == "kept"


def test_half_a_line_is_flushed_at_the_end(child):
    code = SETUP + "embed.setup('{}')\nembed.base_environ()['wsgi.errors'].write('half')\n"
    assert child.run(code).stderr == "half"


def test_closed_or_replaced_standard_streams(child):
    code = SETUP + (
        "sys.stdout = None\nsys.stderr = object()\nembed.setup('{}')\nembed.before_exit()\n"
        "embed.base_environ()['wsgi.errors'].write('half')\nembed.before_exit()\nos._exit(0)\n"
    )
    result = child.run(code)
    assert (result.returncode, result.stderr) == (0, "half")


def test_base_environ(run):
    environ = embed.base_environ()
    assert environ is not embed.base_environ()
    assert environ["SERVER_SOFTWARE"] == f"gowsgi/{__version__}"
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.file_wrapper"] is embed.FileWrapper
    assert [environ[f"wsgi.{key}"] for key in ("multithread", "multiprocess", "run_once", "input_terminated")] == [
        False, False, False, True,
    ]  # fmt: skip
    assert run("""
embed.setup('{"threads": 2, "multiprocess": true, "error_fd": 1}')
environ = embed.base_environ()
result(environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.errors"].fileno())
""") == [True, True, 1]


FOREIGN_THREAD = """
import ctypes, threading
embed.setup('{}')
ready, forever = threading.Event(), threading.Event()
seen = {}
def work(arg):
    embed.register_thread("gowsgi-1")
    seen["name"] = threading.current_thread().name
    ready.set()
    forever.wait(60)
    return None
# A thread that Python did not start, as the executors are.
callback = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(work)
thread = ctypes.c_ulong()
assert ctypes.CDLL(None).pthread_create(ctypes.byref(thread), None, callback, None) == 0
assert ready.wait(10)
"""


def test_foreign_thread_is_named_and_never_waited_for(child):
    # The time limit of the fixture is the check that shutdown does not hang.
    seen, threads, main = child.json(
        SETUP
        + FOREIGN_THREAD
        + """
embed.register_thread("gowsgi-0")
result(seen["name"], sorted((t.name, t.daemon) for t in threading.enumerate()), threading.main_thread().name)
""",
        timeout=15,
    )
    assert seen == "gowsgi-1"
    assert threads == [["MainThread", False], ["gowsgi-1", True]]
    assert main == "MainThread"


def test_dump_stacks(run):
    stacks, there = run(FOREIGN_THREAD + "result(json.loads(embed.dump_stacks()), thread.value)", timeout=15)
    assert [entry["ident"] for entry in stacks] == [there]
    assert stacks[0]["stack"].startswith("Thread 'gowsgi-1' (native id ")
    assert "in work\n" in stacks[0]["stack"]


def test_ping(run):
    # Far off, it goes nowhere; the next one takes its place.
    assert run("embed.setup('{}'); result(embed.ping('60.0 2'), embed.ping('60.0 2'))") == ["set", "set"]
    assert run(
        "embed.setup('{}'); import faulthandler; faulthandler.dump_traceback_later(60); result(embed.ping('60.0 2'))"
    ) == [""]


def test_info():
    info = json.loads(embed.info())
    assert info["implementation"] == "cpython"
    assert info["version"].startswith("{}.{}.{}".format(*sys.version_info))
    assert info["executable"] == sys.executable
    assert (info["prefix"], info["base_prefix"]) == (sys.prefix, sys.base_prefix)
    assert info["path"] == sys.path
    assert info["gil"] is getattr(sys, "_is_gil_enabled", lambda: True)()
    assert info["platform"] == f"{sys.platform}-{os.uname().machine}"
    assert "MainThread" in info["threads"]


def test_start_imports_little(child):
    loaded = child.json(
        "import sys; before = set(sys.modules); import json as j; base = set(sys.modules)\n"
        "from gowsgi import embed; embed.setup('{}')\n"
        "print(j.dumps(sorted(set(sys.modules) - base)))",
        flags=["-S"],
    )
    heavy = {"ast", "inspect", "typing", "traceback", "difflib", "importlib", "logging", "sysconfig", "select", "json"}
    assert heavy.isdisjoint(loaded)
    assert "gowsgi.embed" in loaded
