import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "gowsgi"

RUNNER = """
import json, sys
given = json.load(sys.stdin)
try:
    import gowsgi
except ImportError:
    pass
else:
    raise SystemExit("gowsgi is importable without the bootstrap")
loaded = set(sys.modules)
# As the C side does it: compiled, then run in a namespace of its own.
exec(compile(given["bootstrap"], "<gowsgi bootstrap>", "exec"), {"_sources": given["sources"]})
assert set(sys.modules) == loaded, "the bootstrap imports something"
"""


@pytest.fixture
def run(tmp_path):
    def run(code):
        sources = {
            "gowsgi" if path.stem == "__init__" else f"gowsgi.{path.stem}": path.read_text()
            for path in PACKAGE.glob("*.py")
            if path.stem != "_bootstrap"
        }
        given = {"bootstrap": (PACKAGE / "_bootstrap.py").read_text(), "sources": sources}
        result = subprocess.run(
            [sys.executable, "-I", "-S", "-c", RUNNER + code],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=20,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run


def test_package_and_modules(run):
    out = run("""
import gowsgi, gowsgi.apps
from gowsgi import embed
embed.setup("{}")
try:
    import gowsgi.nothing
except ModuleNotFoundError as exc:
    missing = exc.name
loader = gowsgi.__loader__
try:
    loader.get_source("gowsgi.nothing")
except ImportError as exc:
    unknown = exc.name
import re
print(json.dumps([gowsgi.__version__, gowsgi.__package__, gowsgi.apps.__package__, gowsgi.__path__, missing, unknown,
                  hasattr(gowsgi, "__file__"), loader.is_package("gowsgi"), loader.is_package("gowsgi.apps"),
                  loader is sys.meta_path[0], "gowsgi.apps" in sys.modules]))
""")
    version = (PACKAGE / "_version.py").read_text().split('"')[-2]
    assert out == [version, "gowsgi", "gowsgi", [], "gowsgi.nothing", "gowsgi.nothing", False, True, False, True, True]


def test_tracebacks_show_lines_of_gowsgi(run):
    text, trimmed = run("""
import traceback
from gowsgi import embed
from gowsgi.streams import FileWrapper
class Broken:
    def read(self, size):
        1 / 0
def app():
    next(FileWrapper(Broken()))
try:
    app()
except ZeroDivisionError as exc:
    text = traceback.format_exc()
    trimmed = embed.format_exception(exc)
print(json.dumps([text, trimmed]))
""")
    assert 'File "<gowsgi>/streams.py", line' in text
    assert "self.filelike.read(self.blksize)" in text
    # Only the frames at the top are left out: this one tells what happened.
    assert text == trimmed


def test_app_errors_show_no_frames_of_gowsgi(run, tmp_path):
    (tmp_path / "broken.py").write_text("def make():\n    1/0\nmake()\n")
    out = run("""
from gowsgi import embed
embed.setup("{}")
found = []
for spec in ("broken:app", "missing:app"):
    try:
        embed.load(spec)
    except Exception as exc:
        found.append(json.loads(embed.describe_error(exc)))
print(json.dumps(found))
""")
    broken, missing = out
    assert broken["exit_code"] == missing["exit_code"] == 3
    assert "broken.py" in broken["traceback"]
    assert "<gowsgi>" not in broken["traceback"]
    assert missing["traceback"] == "ModuleNotFoundError: No module named 'missing'\n"
