"""--preload: the application is imported once, its memory is shared, and reloads import it anew."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.load import Load
from support.server import HOST
from support.site import gone, said, workers, zygote

if TYPE_CHECKING:
    from support.server import Server
    from support.site import Site


def start(site: Site, *words: str, **how: object) -> Server:
    """Serve facts:app on the site's port."""
    return site.start("-b", f"{HOST}:{site.port}", "--preload", *words, "facts:app", **how)


def test_it_is_imported_once(site: Site) -> None:
    server = start(site, "-w", "3")
    first = zygote(server)
    facts = [site.facts() for _ in range(20)]
    assert {each["importer"] for each in facts} == {first}
    assert {each["pid"] for each in facts} <= set(workers(server, 3))
    assert "libpython" not in Path(f"/proc/{server.pid}/maps").read_text()


def test_without_a_file_there_is_no_other_process_unless_it_is_asked_for(site: Site) -> None:
    server = site.start("-b", f"{HOST}:{site.port}", "facts:app")
    assert proc.children(server.pid) == workers(server, 1) == [site.facts()["importer"]]


def test_a_reload_imports_it_anew(site: Site) -> None:
    """Unlike gunicorn's, which keeps the old code."""
    server = start(site, "-w", "2", "--threads", "2")
    first = zygote(server)
    text = (site.folder / "facts.py").read_text()
    with Load(site.port) as load:
        site.write("facts.py", text.replace('"script": environ["SCRIPT_NAME"]', '"script": "new code"'))
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded", 15)
        gone(first)
        assert site.facts()["script"] == "new code"
        site.write("facts.py", text.replace("app = Routes()", "app = Routs()"))
        server.signal(signal.SIGHUP)
        server.wait_log("the reload failed; the old workers go on serving", 15)
        server.wait_log("NameError: name 'Routs' is not defined")
    assert load.failures == []
    assert site.facts()["importer"] == zygote(server)
    assert site.facts()["script"] == "new code"
    assert server.stop() == 0


def test_one_that_does_not_load(site: Site) -> None:
    """The codes are those of workers that cannot import it; on --check-config they are gunicorn's."""
    for app, text, code in (
        ("nowhere:app", "", 3),
        ("facts:nothing", "", 4),
        ("broken:app", "import sys; sys.exit(5)", 3),
    ):
        site.write("broken.py", text)
        end = site.finish("--preload", "-b", f"{HOST}:{site.port}", app)
        assert end.code == code
        assert end.stderr.count("cannot load the application") == 1
        assert site.finish("--preload", "--check-config", app).code == 1


def test_an_upgrade(site: Site) -> None:
    """The new master imports the new code in a process of its own."""
    server = start(site)
    old = zygote(server)
    server.signal(signal.SIGUSR2)
    said(server, "serving facts:app", 2)
    new = int(re.findall(r"pid=(\d+)$", server.stderr, re.M)[-1])
    try:
        with Load(site.port) as load:
            assert server.stop() == 0
        assert load.failures == []
        assert site.facts()["importer"] not in (old, server.pid, new)
    finally:
        os.kill(new, signal.SIGTERM)
        gone(new)


def test_what_runs_at_the_end(site: Site) -> None:
    """atexit's functions: once in each process that has the application."""
    site.write(
        "facts.py", (site.folder / "facts.py").read_text() + AT_EXIT.replace("{ended}", str(site.folder / "ended"))
    )
    server = start(site, "-w", "2")
    pids = [*workers(server, 2), zygote(server)]
    assert server.stop() == 0
    assert sorted(map(int, (site.folder / "ended").read_text().split())) == sorted(pids)


AT_EXIT = """
import atexit

def note():
    with open("{ended}", "a") as file:
        print(os.getpid(), file=file)

atexit.register(note)
"""

LARGE = """
data = [{"id": i, "name": f"name {i}", "tags": [str(i), (i, i + 1)]} for i in range(100_000)]

def app(environ, start_response):
    import gc
    gc.collect()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("preload", [True, False])
def test_memory_is_shared(site: Site, preload: bool) -> None:
    """Also after a full collection in the workers: the collector does not look at what was there before."""
    site.write("large.py", LARGE)
    words = ["--preload"] if preload else []
    server = site.start("-b", f"{HOST}:{site.port}", "-w", "2", *words, "large:app")
    pids = workers(server, 2)
    for _ in range(20):
        assert requests.get(site.url, headers={"Connection": "close"}, timeout=20).text == "ok"
    own = sum(map(private, pids)) / 2
    print(f"{own:.0f} kB of its own in a worker")
    assert (own < 15_000) == preload, own


def private(pid: int) -> int:
    """Return how many kB of a process's memory no other has."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))


def test_threads_of_the_application_stay_where_they_are(site: Site) -> None:
    """As in gunicorn: what runs when the workers are forked runs on in the other process only."""
    site.write("facts.py", (site.folder / "facts.py").read_text() + THREAD)
    server = start(site, ready=False)
    server.wait_log("serving", 20)
    facts = requests.get(f"{site.url}/threads", timeout=10).json()
    assert "background" not in facts
    assert server.stop() == 0


THREAD = """
import threading

threading.Thread(target=time.sleep, args=(3600,), daemon=True, name="background").start()

@app.json("/threads")
def threads(_environ):
    return [thread.name for thread in threading.enumerate()]
"""
