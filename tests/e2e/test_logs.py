"""Logs through the real flags: formats, files that are opened anew, receivers, Python's loggers."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import gunicorn
import pytest
import requests
from support import proc
from support.load import Load
from support.server import APPS, HOST, START_TIMEOUT, clean_env, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Serve
    from support.server import Server

ATOMS = (
    "%(h)s|%(l)s|%(u)s|%(r)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(f)s|%(a)s|%(T)s|%({x-id}i)s|%({X-ID}i)s"
    "|%({x-trace}o)s|%({set-cookie}o)s|%({content-length}o)s|%({date}o)s|%({http_x_id}e)s|%({wsgi.url_scheme}e)s"
    "|%({server_protocol}e)s|%({missing}i)s|%({missing}o)s|%({missing}e)s|%(missing)s|%(m)6s|%(m)-6s|%(B)05d|%%"
)
REQUESTS = [
    ("GET", "/fields?a=b&c=%20", {"User-Agent": 'a"b', "Referer": "http://r/", "X-Id": "7"}),
    ("GET", "/fields", {"Authorization": "Basic YW5uOnB3"}),
    ("POST", "/echo", {"X-Id": "8"}),
    ("GET", "/no%C3%A9/%22/where", {}),
]


def ask(url: str, *, paths: list[str] | None = None) -> None:
    """Send the requests above, or GET some paths."""
    for method, path, headers in [("GET", path, {}) for path in paths or ()] if paths else REQUESTS:
        data = b"12345" if method == "POST" else None
        requests.request(method, url + path, headers={"User-Agent": "e2e", **headers}, data=data, timeout=10)


@pytest.fixture
def gunicorn_url(tmp_path: Path) -> Iterator[str]:
    """The application under gunicorn, whose access log is gunicorn.log."""
    port = free_port()
    arguments = ["--bind", f"{HOST}:{port}", "--chdir", str(APPS), "--access-logformat", ATOMS, "--no-control-socket"]
    arguments += ["--access-logfile", str(tmp_path / "gunicorn.log"), "logging_app:app"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments], env=clean_env(), stderr=subprocess.DEVNULL
    )
    try:
        proc.wait_for(lambda: _accepts(port), START_TIMEOUT, "gunicorn to listen")
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(15)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def lines(path: Path, count: int) -> list[str]:
    """Return a file's lines once there are so many."""
    proc.wait_for(lambda: path.exists() and path.read_text().count("\n") >= count, 10, f"{count} lines in {path}")
    return path.read_text().splitlines()


# --- formats ---


@pytest.mark.parametrize("by_python", [False, True])
def test_every_atom_as_gunicorn_has_it(serve: Serve, gunicorn_url: str, tmp_path: Path, by_python: bool) -> None:
    """The same requests give the same lines, also where Python's loggers write them."""
    file = tmp_path / "access.log"
    options = ["--access-logfile", str(file)]
    if by_python:
        options = ["--log-config-json", str(tmp_path / "log.json")]
        (tmp_path / "log.json").write_text(json.dumps(to_file(str(file), {"format": "%(message)s"})))
    server = serve("logging_app:app", "--access-logformat", ATOMS, *options)
    ask(gunicorn_url)
    ask(server.url)
    theirs, ours = lines(tmp_path / "gunicorn.log", len(REQUESTS)), lines(file, len(REQUESTS))
    for line in range(len(REQUESTS)):
        expected = theirs[line]
        if not by_python:
            # gunicorn writes the decoded path as latin-1 text, which it encodes once more.
            expected = expected.encode().replace("\u00c3\u00a9".encode(), b"\xc3\xa9").decode()
        assert ours[line] == expected


def to_file(path: str, formatter: dict[str, str]) -> dict[str, object]:
    """Return a log configuration that writes both loggers to a file."""
    return {
        "loggers": {
            name: {"level": "INFO", "handlers": ["file"], "propagate": False}
            for name in ("gunicorn.error", "gunicorn.access")
        },
        "handlers": {"file": {"class": "logging.FileHandler", "filename": path, "formatter": "form"}},
        "formatters": {"form": formatter},
        "root": {"handlers": []},
    }


def test_durations_and_the_process(serve: Serve) -> None:
    server = serve("raw:app", "--access-logfile", "-", "--access-logformat", "%(T)s %(M)s %(D)s %(L)s %(p)s %(t)s")
    ask(server.url, paths=["/sleep?s=1.1"])
    line = server.wait_stdout(r"^.*\[.*$")[0]
    seconds, milliseconds, microseconds, decimal, process = line.split(" ")[:5]
    assert seconds == "1"
    assert 1100 <= int(milliseconds) == int(microseconds) // 1000 < 1900
    assert int(decimal.replace(".", "")) == int(microseconds)
    assert process == f"<{server.workers[0]}>"
    assert abs(time.mktime(time.strptime(line.partition("[")[2].split(" ")[0], "%d/%b/%Y:%H:%M:%S")) - time.time()) < 60


def test_a_bad_format_is_told_at_the_start(serve: Serve) -> None:
    server = serve("raw:app", "--access-logformat", "%(h)s %x", ready=False)
    assert server.wait() == 1
    assert server.stderr == (
        'gowsgi: the access log\'s format at "%x": a percent sign begins %(NAME)s; for itself it is %%\n'
    )


def test_a_path_cannot_forge_a_line(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    server = serve("raw:app", "--access-logfile", str(file), "--access-logformat", '"%(U)s" %({x}i)s')
    requests.get(f"{server.url}/a%0a%22%1b%5c", headers={"X": 'b"'}, timeout=10)
    assert lines(file, 1) == ['"/a\\x0a\\"\\x1b\\\\" b\\"']


def test_json(serve: Serve) -> None:
    options = ["--log-json", "--access-logfile", "-", "--access-logformat", "%({x-id}i)s %({x-trace}o)s"]
    server = serve("logging_app:app", *options)
    ask(server.url)
    requests.get(f"{server.url}/raise", timeout=10)
    requests.get(f"{server.url}/log?word=one", timeout=10)
    assert server.stop() == 0
    access = [json.loads(line) for line in server.stdout.splitlines() if line.startswith("{")]
    assert len(access) == len(REQUESTS) + 2
    first = access[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)", first.pop("time"))
    assert 0 < first.pop("duration") < 5
    assert first.pop("pid") > 0
    assert first == {
        "level": "info", "logger": "gowsgi.access", "message": "GET /fields?a=b&c=%20 200", "status": 200, "bytes": 6,
        "remote_addr": "127.0.0.1", "method": "GET", "path": "/fields", "query": "a=b&c=%20", "protocol": "HTTP/1.1",
        "referer": "http://r/", "user_agent": 'a"b', "request_headers": {"x-id": "7"},
        "response_headers": {"x-trace": "1"},
    }  # fmt: skip
    assert access[1]["user"] == "ann"
    said = [json.loads(line) for line in server.stderr.splitlines() if line.startswith("{")]
    assert all({"time", "level", "logger", "message", "pid"} <= set(line) for line in said)
    failure = next(line for line in said if line["message"] == "the application failed")
    assert failure["level"] == "error"
    assert failure["traceback"].startswith("Traceback (most recent call last):\n")
    assert [line["message"] for line in said if line["logger"] == "site"] == ["logged one"]


# --- files ---


def test_moved_files_lose_no_line(serve: Serve, tmp_path: Path) -> None:
    """As logrotate does it: move, then USR1 to the master, under load from many clients."""
    (tmp_path / "release").write_text("1")
    file, errors = tmp_path / "access.log", tmp_path / "error.log"
    options = [
        "--workers",
        "2",
        "--access-logfile",
        str(file),
        "--error-logfile",
        str(errors),
        "--access-logformat",
        "%(q)s",
    ]
    server = serve("workers:app", *options, ready=False, env={"E2E_RELEASE": str(tmp_path / "release")})
    proc.wait_for(lambda: errors.exists() and "serving " in errors.read_text(), START_TIMEOUT, "the server")
    sizes: dict[Path, int] = {}
    with Load(server.port) as load:
        for number in range(8):
            time.sleep(0.2)
            before = load.answers
            for path in (file, errors):
                path.rename(path.with_suffix(f".{number}"))
            server.signal(signal.SIGUSR1)
            proc.wait_for(lambda: file.exists() and errors.exists(), 5, "new files")
            proc.wait_for(lambda: _everybody_has(server, file), 5, "the workers to open the new file")
            sizes[file.with_suffix(f".{number}")] = file.with_suffix(f".{number}").stat().st_size
            proc.wait_for(lambda: load.answers > before, 5, "answers")  # noqa: B023  # at once
    assert not load.failures, load.failures[:3]
    assert server.stop() == 0
    for path, size in sizes.items():
        assert path.stat().st_size == size, "the old file was written to after the new one was open"
    numbers = [line for path in tmp_path.glob("access.*") for line in path.read_text().splitlines()]
    assert load.answers <= len(numbers) <= load.answers + load.sent_again
    assert len(set(numbers)) == load.answers
    assert "stopped" in errors.read_text()


def _everybody_has(server: Server, path: Path) -> bool:
    inode = (path.stat().st_dev, path.stat().st_ino)
    return all(inode in _inodes(pid) for pid in server.workers)


def _inodes(pid: int) -> set[tuple[int, int]]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            status = link.stat()
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def test_all_output_in_the_log(serve: Serve, tmp_path: Path) -> None:
    """--capture-output: prints, children and crashes, also after the file was moved."""
    file = tmp_path / "log"
    options = ["--error-logfile", "log", "--capture-output", "--access-logfile", "-", "--log-level", "info"]
    server = serve("logging_app:app", *options, "--pythonpath", str(APPS), ready=False, chdir=tmp_path)
    proc.wait_for(lambda: file.exists() and "serving " in file.read_text(), START_TIMEOUT, "the server")
    requests.get(f"{server.url}/log?word=one", timeout=10)
    file.rename(tmp_path / "log.1")
    server.signal(signal.SIGUSR1)
    proc.wait_for(lambda: file.exists() and _everybody_has(server, file), 10, "the new file")
    requests.get(f"{server.url}/log?word=two", timeout=10)
    assert server.stop() == 0
    for path, word in ((tmp_path / "log.1", "one"), (file, "two")):
        text = path.read_text()
        for said in ("logged", "printed", "complained", "wsgi.errors", "echoed"):
            assert f"{said} {word}\n" in text
        assert "hidden" not in text
        assert f'"GET /log?word={word} HTTP/1.1" 200' in text
    assert (server.stdout, server.stderr) == ("", "")


def test_without_capturing_only_the_log_is_in_the_file(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "log"
    server = serve("logging_app:app", "--log-file", str(file), ready=False)
    proc.wait_for(lambda: file.exists() and "serving " in file.read_text(), START_TIMEOUT, "the server")
    requests.get(f"{server.url}/log?word=one", timeout=10)
    assert server.stop() == 0
    text = file.read_text()
    assert "logged one\n" in text
    assert "wsgi.errors one\n" in text  # gunicorn's goes there too
    assert "printed" not in text
    assert "printed one" in server.stdout
    assert "complained one" in server.stderr


def test_handlers_of_the_application_are_opened_anew(serve: Serve, tmp_path: Path) -> None:
    """gunicorn opens every FileHandler of Python's anew at USR1."""
    file = tmp_path / "app.log"
    module = tmp_path / "filing.py"
    module.write_text(
        f"import logging\nlogging.getLogger('filing').addHandler(logging.FileHandler({str(file)!r}))\n"
        "def app(environ, start_response):\n"
        "    logging.getLogger('filing').error(environ['PATH_INFO'])\n"
        "    start_response('200 OK', [])\n    return [b'x']\n"
    )
    server = serve("filing:app", "--chdir", str(tmp_path), chdir=tmp_path)
    ask(server.url, paths=["/one"])
    assert lines(file, 1) == ["/one"]
    file.rename(tmp_path / "app.1")
    server.signal(signal.SIGUSR1)
    proc.wait_for(file.exists, 5, "the new file")
    ask(server.url, paths=["/two"])
    assert lines(file, 1) == ["/two"]


def test_files_are_the_workers_own(serve: Serve, tmp_path: Path) -> None:
    """With --user root's master makes the files for them, and again at USR1."""
    if os.geteuid() != 0:
        return  # only root may start workers as somebody else: test_service.py
    other = pwd.getpwnam("daemon")
    server = serve("raw:app", "--user", "daemon", "--access-logfile", str(tmp_path / "access.log"), ready=False)
    made = tmp_path / "access.log"
    proc.wait_for(made.exists, 10, "the file")
    proc.wait_for(lambda: made.stat().st_uid == other.pw_uid, 5, "its owner")
    assert (made.stat().st_gid, made.stat().st_mode & 0o777) == (other.pw_gid, 0o644)
    server.close()


def test_missing_folder(serve: Serve, tmp_path: Path) -> None:
    server = serve("raw:app", "--error-logfile", str(tmp_path / "no" / "log"), ready=False)
    assert server.wait() == 1
    assert server.stderr == f"gowsgi: opening the error log: open {tmp_path}/no/log: no such file or directory\n"


# --- receivers ---


class Receiver:
    """A UDP server on the loopback that keeps what it gets."""

    def __init__(self) -> None:
        """Listen."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self.got: list[str] = []

    def wait(self, done: Callable[[list[str]], object]) -> list[str]:
        """Receive until what came, each line for itself, is what the test wants."""

        def look() -> bool:
            try:
                self.got += self._socket.recv(65536).decode().split("\n")
            except TimeoutError:
                pass
            return bool(done(self.got))

        proc.wait_for(look, 10, f"messages; got {self.got}")
        return self.got


def test_syslog(serve: Serve) -> None:
    receiver = Receiver()
    options = ["--log-syslog", "--log-syslog-to", f"udp://{HOST}:{receiver.port}", "--log-syslog-facility", "local7"]
    server = serve("logging_app:app", *options, "--access-logformat", "%(m)s %(U)s")
    ask(server.url, paths=["/fields", "/log?word=one", "/raise"])
    receiver.wait(
        lambda got: any("the application failed" in line for line in got) and any("/raise" in line for line in got)
    )
    worker = server.workers[0]
    got = receiver.got
    assert f"<190>gunicorn.logging_app.app.access: [{worker}] GET /fields" in got
    assert f"<190>gunicorn.logging_app.app.error: [{worker}] logged one" in [line.rstrip("\0") for line in got]
    assert any(
        re.match(rf"<187>gunicorn\.logging_app\.app\.error: \[{worker}\] the application failed: ", line)
        for line in got
    )
    assert any(re.match(rf"<190>gunicorn\.logging_app\.app\.error: \[{server.pid}\] serving ", line) for line in got)
    assert "serving logging_app:app" in server.stderr


def test_syslog_without_access_lines(serve: Serve) -> None:
    receiver = Receiver()
    options = [
        "--log-syslog",
        "--log-syslog-to",
        f"udp://{HOST}:{receiver.port}",
        "--disable-redirect-access-to-syslog",
    ]
    server = serve("raw:app", *options, "--log-syslog-prefix", "site")
    ask(server.url, paths=["/fields", "/raise"])
    got = receiver.wait(lambda got: any("the application failed" in line for line in got))
    assert not [line for line in got if ".access:" in line]
    assert all(line.startswith("<1") and "gunicorn.site.error: [" in line for line in got if line.startswith("<"))


def test_syslog_that_is_not_there(serve: Serve, tmp_path: Path) -> None:
    """It delays nothing, and one line says so."""
    server = serve("raw:app", "--log-syslog", "--log-syslog-to", f"unix://{tmp_path}/nobody", "--access-logfile", "-")
    began = time.monotonic()
    ask(server.url, paths=["/fields"] * 50)
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert server.stdout.count("GET /fields") == 50
    assert server.stderr.count("syslog cannot be reached; trying again") == 2  # the master's and the worker's


def test_statsd(serve: Serve) -> None:
    receiver = Receiver()
    options = ["--statsd-host", f"{HOST}:{receiver.port}", "--statsd-prefix", "site", "--dogstatsd-tags", "a:b"]
    server = serve("raw:app", "--workers", "2", *options)
    ask(server.url, paths=["/fields", "/raise", "/status?code=201"])
    wanted = [
        r"site\.gunicorn\.workers:2\|g\|#a:b",
        r"site\.gunicorn\.request\.status\.404:1\|c\|@1\.0\|#a:b",
        r"site\.gunicorn\.request\.status\.500:1\|c\|@1\.0\|#a:b",
        r"site\.gunicorn\.request\.status\.201:1\|c\|@1\.0\|#a:b",
        r"site\.gunicorn\.log\.exception:1\|c\|@1\.0\|#a:b",
        r"site\.gunicorn\.request\.duration:\d+\.\d+\|ms\|#a:b",
    ]
    receiver.wait(lambda got: all(any(re.fullmatch(one, line) for line in got) for one in wanted))
    receiver.wait(lambda got: got.count("site.gunicorn.requests:1|c|@1.0|#a:b") == 3)
    server.signal(signal.SIGTTIN)
    receiver.wait(lambda got: "site.gunicorn.workers:3|g|#a:b" in got)


# --- Python's loggers ---

INI = """
[loggers]
keys=root,error,access
[handlers]
keys=file
[formatters]
keys=json
[logger_root]
level=INFO
handlers=
[logger_error]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.error
[logger_access]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.access
[handler_file]
class=logging.handlers.WatchedFileHandler
formatter=json
args=('%(here)s/out.log',)
[formatter_json]
class=logging_app.JSONLines
"""


@pytest.mark.parametrize("kind", ["ini", "json", "dict"])
def test_log_configuration(serve: Serve, tmp_path: Path, kind: str) -> None:
    """A formatter of the application's own makes both logs."""
    out = tmp_path / "out.log"
    config = to_file(str(out), {"()": "logging_app.JSONLines"})
    (tmp_path / "log.ini").write_text(INI)
    (tmp_path / "log.json").write_text(json.dumps(config))
    (tmp_path / "conf.py").write_text(f"logconfig_dict = {config!r}")
    options = {
        "ini": ["--log-config", str(tmp_path / "log.ini")],
        "json": ["--log-config-json", str(tmp_path / "log.json")],
        "dict": ["--config", str(tmp_path / "conf.py")],
    }[kind]
    server = serve("logging_app:app", *options, "--workers", "2")
    requests.get(f"{server.url}/fields?q=1", headers={"User-Agent": 'a"b'}, timeout=10)
    ask(server.url, paths=["/raise", "/log?word=one"])
    proc.wait_for(lambda: out.exists() and out.read_text().count("gunicorn.access") == 3, 5, "the lines")
    said = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["logger"] for line in said} <= {"gunicorn.error", "gunicorn.access", "site"}
    access = [line for line in said if line["logger"] == "gunicorn.access"]
    # Two workers write them: in any order.
    assert sorted((line["path"], line["status"]) for line in access) == [
        ("/fields", "200"), ("/log", "200"), ("/raise", "500"),
    ]  # fmt: skip
    assert 'a\\"b' in [line["agent"] for line in access]
    failure = next(line for line in said if "exception" in line)
    assert failure["message"].startswith("the application failed: worker=")
    assert "Traceback (most recent call last)" in failure["exception"]
    out.rename(tmp_path / "out.1")
    server.signal(signal.SIGUSR1)
    time.sleep(0.3)
    ask(server.url, paths=["/fields"])
    proc.wait_for(lambda: out.exists() and "/fields" in out.read_text(), 5, "lines in the new file")
    assert server.stop() == 0
    assert "gowsgi: stopped" in server.stderr


def test_bad_log_configuration(serve: Serve, tmp_path: Path) -> None:
    server = serve("raw:app", "--log-config", str(tmp_path / "none.ini"), ready=False)
    assert server.wait() == 1
    assert f"the log configuration {tmp_path}/none.ini: No such file or directory" in server.stderr


def test_logger_class(serve: Serve) -> None:
    server = serve("logging_app:app", "--logger-class", "logging_app.OwnLogger")
    ask(server.url, paths=["/fields"])
    assert server.stop() == 0
    assert "access 200 OK 6 GET /fields info True\n" in server.stdout
    assert "info stopping: " in server.stdout


def test_logger_class_of_gunicorns(serve: Serve, tmp_path: Path) -> None:
    """A subclass of gunicorn.glogging.Logger works where gunicorn is installed."""
    (tmp_path / "own.py").write_text(
        "from gunicorn.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def atoms(self, resp, req, environ, request_time):\n"
        "        return {**super().atoms(resp, req, environ, request_time), 'own': 'mine'}\n"
    )
    path = ",".join([str(tmp_path), str(Path(gunicorn.__file__).parents[1])])
    file = tmp_path / "access.log"
    options = [
        "--logger-class",
        "own.Own",
        "--access-logfile",
        str(file),
        "--access-logformat",
        "%(own)s %(s)s %({x-trace}o)s",
    ]
    server = serve("logging_app:app", *options, "--pythonpath", path)
    ask(server.url, paths=["/fields"])
    assert lines(file, 1) == ["mine 200 1"]
    file.rename(tmp_path / "access.1")
    server.signal(signal.SIGUSR1)
    proc.wait_for(file.exists, 5, "the new file")
    time.sleep(0.2)
    ask(server.url, paths=["/fields"])
    assert lines(file, 1) == ["mine 200 1"]
    assert server.stop() == 0
