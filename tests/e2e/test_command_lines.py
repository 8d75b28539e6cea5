"""Kinds of command lines and configuration files that public projects start gunicorn with (docs/gunicorn.md)."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.server import command, free_port
from support.site import workers

if TYPE_CHECKING:
    from pathlib import Path

    from support.server import Server
    from support.site import Site


@pytest.fixture
def gunicorn(site: Site) -> Path:
    """Return a link by that name in a folder of its own."""
    link = site.folder / "bin" / "gunicorn"
    link.parent.mkdir()
    link.symlink_to(command()[0])
    return link


def shell(site: Site, gunicorn: Path, script: str, *words: str, env: dict[str, str] | None = None) -> Server:
    """Run a start script, in which `gunicorn` is found on PATH."""
    text = f'#!/bin/bash\nset -euo pipefail\nexport PATH="{gunicorn.parent}:$PATH"\n{script}\n'
    start = site.write("start.sh", text)
    server = site.start("/bin/bash", str(start), *words, ready=False, env=env)
    server.wait_log("serving ", 20)
    return server


SCRIPTS = {
    # The application between options, short options with glued values, an IPv6 address.
    "options around the application": (
        """exec gunicorn -b [::1]:{port} --name site -w${WORKERS:-2} facts:app --max-requests $MAX \\
        --max-requests-jitter 100 --timeout 60 --limit-request-line ${LINE:-0}""",
        2,
    ),
    # Every option with =, a child of the shell rather than in its place.
    "long options": (
        """gunicorn --bind="127.0.0.1:{port}" \\
            --workers="${WORKERS:-1}" --log-file=- --access-logfile=- --capture-output --log-level=INFO \\
            --forwarded-allow-ips='*' --worker-tmp-dir "${TMPDIR:-/dev/shm}" "${APP:-facts:app}" """,
        1,
    ),
    # Limits of 0, and statistics for which nobody listens.
    "statistics": (
        """gunicorn --bind 127.0.0.1:{port} --workers 1 --worker-class gthread --threads 20 --keep-alive 2 \\
            --max-requests 0 --max-requests-jitter 0 --limit-request-line 0 --limit-request-field_size 0 \\
            --statsd-host=localhost:1 --statsd-prefix=site --error-logfile - facts:app""",
        1,
    ),
    # A call that makes the application, and a class of workers that are no threads there.
    "a factory": (
        """exec gunicorn 'factory:create_app()' \\
            --bind '127.0.0.1:{port}' --workers 2 --worker-class "gevent" --access-logfile - """,
        2,
    ),
    # Nothing but the application and what the platform sets.
    "the environment": ("gunicorn facts:app", 3),
    # What a container's command appends.
    "further arguments": (
        'exec gunicorn facts:app --name api --bind 127.0.0.1:{port} --workers 3 --log-level=info "$@"',
        2,
    ),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_start_scripts(site: Site, gunicorn: Path, kind: str) -> None:
    site.write("factory.py", "import facts\ndef create_app(debug=False):\n    return facts.app\n")
    script, count = SCRIPTS[kind]
    env = {"MAX": "1000"}
    if kind == "the environment":
        env = {"PORT": str(site.port), "WEB_CONCURRENCY": "3"}
    words = ["--workers", "2", "--threads", "2"] if kind == "further arguments" else []
    server = shell(site, gunicorn, script, *words, env=env)
    (master,) = [server.pid] if "exec" in script else proc.children(server.pid)
    proc.wait_for(lambda: len(serving(master)) == count, 15, "the workers")
    url = site.url.replace("127.0.0.1", "[::1]") if "[::1]" in script else site.url
    assert requests.get(url, timeout=10).json()["pid"] in serving(master)
    server.signal(signal.SIGTERM) if master == server.pid else proc.terminate(master)
    assert server.wait() == 0


def serving(master: int) -> list[int]:
    """Return a master's workers."""
    return [pid for pid in proc.children(master) if proc.alive(pid) and proc.threads(pid) > 1]


def test_a_link_in_a_virtual_environment(site: Site) -> None:
    """As in a systemd unit, which has neither PATH nor VIRTUAL_ENV: the Python is that environment's."""
    for folder in ("venv/bin", "src/project"):
        (site.folder / folder).mkdir(parents=True)
    site.write("venv/pyvenv.cfg", (site.venv.path / "pyvenv.cfg").read_text())
    (site.folder / "venv" / "lib").symlink_to(site.venv.path / "lib")
    (site.folder / "venv" / "bin" / "python").symlink_to(site.venv.python)
    link = site.folder / "venv" / "bin" / "gunicorn"
    link.symlink_to(command()[0])
    site.write(
        "src/project/wsgi.py",
        "import sys\nfrom facts import *\n@app.json('/prefix')\ndef prefix(_): return sys.prefix\n",
    )
    site.write(
        "gunicorn.py", "bind = '127.0.0.1:{port}'\nworkers = 2\nthreads = 3\ntimeout = 120\nmax_requests = 5000\n"
    )
    words = ["--pid", f"{site.folder}/it.pid", "--pythonpath", f"{site.folder}/src,{site.folder}"]
    env = {"GOWSGI_PYTHON": "", "PATH": "/usr/bin:/bin"}
    server = site.start(
        str(link), *words, "--config", f"{site.folder}/gunicorn.py", "project.wsgi:app", env=env, ready=False
    )
    server.wait_log("serving project.wsgi:app", 20)
    assert requests.get(f"{site.url}/prefix", timeout=10).json() == str(site.folder / "venv")
    assert int((site.folder / "it.pid").read_text()) == server.pid
    assert server.stop() == 0


FILES = {
    # Numbers as texts, from the environment, and names that are no settings.
    "texts": """
from os import getenv
command = '/usr/bin/gunicorn'
workers = getenv('WORKERS', '2')
keepalive = getenv('KEEP_ALIVE', 2)
timeout = getenv('TIMEOUT', '90')
loglevel = getenv('LOGLEVEL', 'INFO')
worker_class = 'meinheld.gmeinheld.MeinheldWorker'
worker_connections = '1000'
errorlog = accesslog = '-'
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
""",
    # A file that computes, checks and prints.
    "computed": """
from __future__ import print_function
import json, multiprocessing, os
web_concurrency = int(os.getenv("WEB_CONCURRENCY", 2))
assert web_concurrency > 0
workers = web_concurrency
use_loglevel = os.getenv("LOG_LEVEL", "info")
loglevel = use_loglevel
log_data = {"workers": workers, "cores": multiprocessing.cpu_count()}
print(json.dumps(log_data))
def on_starting(server):
    print("Server running on http://{}:{}".format(*server.address[0]))
def when_ready(server):
    open("initialized", "w").close()
""",
    # One import for all workers, and what it has opened closed in each.
    "preloaded": """
import logging
preload_app = True
capture_output = True
workers = 2
logging.getLogger("site").info("starting with %d workers", workers)
def pre_request(worker, req):
    worker.log.info("%s %s" % (req.method, req.path))
def post_fork(server, worker):
    import facts
    facts.connection = None
""",
    # Python's own logging for both logs.
    "logging": """
workers = 2
access_log_format = '%(h)s %({x-user}o)s "%(r)s" %(s)s'
logconfig_dict = {
    "version": 1, "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error"], "propagate": True, "qualname": "gunicorn.error"},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": True, "qualname": "gunicorn.access"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"},
        "error": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"},
    },
    "formatters": {"json": {"format": '{"level": "%(levelname)s", "message": "%(message)s"}'}},
}
""",
}


@pytest.mark.parametrize("kind", FILES)
def test_configuration_files(site: Site, gunicorn: Path, kind: str) -> None:
    site.write("site_conf.py", FILES[kind])
    server = shell(site, gunicorn, "exec gunicorn -c site_conf.py -b 127.0.0.1:{port} facts:app")
    assert site.facts()["pid"] in workers(server, 2)
    if kind == "texts":
        server.wait_log("64 threads run the application instead")
        server.wait_log(r"Worker spawned \(pid: \d+\)")
        assert site.facts()["threads"] is True
    elif kind == "computed":
        first, second = server.stdout.splitlines()
        assert json.loads(first)["workers"] == 2
        assert second == f"Server running on http://127.0.0.1:{site.port}"
        proc.wait_for((site.folder / "initialized").exists, 5, "the file")
    elif kind == "preloaded":
        server.wait_log("GET /$")
    else:
        line = server.wait_stdout("^.*message.*$")[0]
        assert '127.0.0.1 - "GET / HTTP/1.1" 200' in line
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    assert site.facts()
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-k", "uvicorn.workers.UvicornWorker", "facts:app"], "use uvicorn or granian"),
        (["-k", "site.workers.ConfigurableWorker", "facts:app"], "classes of workers are gunicorn's own code"),
        (["--paste", "site.ini"], "paste.deploy.loadapp"),
    ],
)
def test_what_cannot_be(site: Site, words: list[str], said: str) -> None:
    """It is refused, with what to do instead."""
    end = site.finish("-b", f"127.0.0.1:{free_port()}", *words)
    assert end.code == 1
    assert said in end.stderr
    assert end.stderr.count("\n") == 1
