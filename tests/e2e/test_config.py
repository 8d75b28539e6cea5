"""Configuration files: where settings come from, what a file may do, what a reload changes."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc
from support.load import Load
from support.server import HOST, command, free_port
from support.site import gone, said, workers, zygote

if TYPE_CHECKING:
    from support.site import Site

BIND = 'bind = "127.0.0.1:{port}"\n'


# Where settings come from ---------------------------------------------------------


def test_the_order_of_settings(site: Site) -> None:
    """The defaults, the environment's, the file's, GUNICORN_CMD_ARGS, the command line: the later wins."""
    env = {"WEB_CONCURRENCY": "2", "PORT": "8123", "FORWARDED_ALLOW_IPS": "10.0.0.1"}
    given = site.settings("facts:app", env=env)
    assert (given["workers"], given["bind"], given["forwarded_allow_ips"]) == ("2", '["0.0.0.0:8123"]', '"10.0.0.1"')
    site.write(
        "gunicorn.conf.py", "workers = 3\ntimeout = 3\nbacklog = 3\nbind = ':1'\nforwarded_allow_ips = '10.0.0.3'\n"
    )
    env["GUNICORN_CMD_ARGS"] = "--timeout=4 --backlog 4 -e A=4 -e B='4 4'"
    given = site.settings("--backlog", "5", "facts:app", env=env)
    assert [given[name] for name in ("workers", "timeout", "backlog")] == ["3", "4", "5"]
    assert (given["bind"], given["forwarded_allow_ips"]) == ('[":1"]', '"10.0.0.3"')
    assert given["raw_env"] == '["A=4", "B=4 4"]'
    assert site.settings("-e", "C=5", "facts:app", env=env)["raw_env"] == '["C=5"]'


def test_where_the_file_is(site: Site) -> None:
    """The default lies where the server is started, whatever --chdir says; a file that is named must be there."""
    (site.folder / "inner").mkdir()
    site.write("inner/gunicorn.conf.py", "workers = 7\n")
    assert site.settings("--chdir", "inner", "--pythonpath", "..", "facts:app")["workers"] == "1"
    site.write("gunicorn.conf.py", "workers = 6\n")
    assert site.settings("--chdir", "inner", "--pythonpath", "..", "facts:app")["workers"] == "6"
    for location in ("inner/gunicorn.conf.py", "file:inner/gunicorn.conf.py", "python:inner.deploy"):
        site.write("inner/deploy.py", "from facts import importer\nworkers = 7\n")
        assert site.settings("-c", location, "facts:app")["workers"] == "7"
        assert site.settings("facts:app", env={"GUNICORN_CMD_ARGS": f"-c {location}"})["workers"] == "7"
    (site.folder / "gunicorn.conf.py").unlink()
    for missing in ("./gunicorn.conf.py", "other.py"):
        end = site.finish("-c", missing, "facts:app")
        assert end.code == 1
        assert f"{missing!r} cannot be read: No such file" in end.stderr
        assert f"a relative path starts in {site.folder}" in end.stderr


def test_the_application_from_the_file(site: Site) -> None:
    site.write("gunicorn.conf.py", BIND + "wsgi_app = 'facts:app'\nthreads = 2\n")
    site.start()
    assert site.facts()["threads"] is True
    end = site.finish("--check-config", "facts:nothing")
    assert "'facts' has no attribute 'nothing'" in end.stderr


@pytest.mark.parametrize("program", ["gowsgi gunicorn", "link"])
def test_called_gunicorn(site: Site, program: str) -> None:
    site.write("gunicorn.conf.py", BIND + "workers = 2\n")
    link = site.folder / "gunicorn"
    link.symlink_to(command()[0])
    line = [command()[0], "gunicorn"] if program == "gowsgi gunicorn" else [str(link)]
    server = site.start(*line, "facts:app")
    assert site.facts()["pid"] in workers(server, 2)
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    assert server.stop() == 0
    for option in ("--version", "-v"):
        end = site.finish(*line, option)
        assert (end.code, end.stdout.split()[0], end.stderr) == (0, "gowsgi", "")


# --check-config and --print-config ------------------------------------------------


@pytest.mark.parametrize(
    ("file", "words", "code", "said"),
    [
        ("", ["facts:app"], 0, ""),
        ("print('from the file', end='')", ["facts:app"], 0, ""),
        ("1 / 0", ["facts:app"], 1, "the configuration file './gunicorn.conf.py' failed: ZeroDivisionError"),
        ("workers = = 2", ["facts:app"], 1, "SyntaxError"),
        ("import sys; sys.exit('SECRET is missing')", ["facts:app"], 1, "exited: SECRET is missing\n"),
        ("import sys; sys.exit(7)", ["facts:app"], 7, "exited with 7"),
        ("workers = 'many'", ["facts:app"], 1, "workers in ./gunicorn.conf.py: it must be a whole number, not many"),
        ("wokers = 2", ["facts:app"], 1, "did you mean 'workers'?"),
        (
            "def post_fork(worker): pass",
            ["facts:app"],
            1,
            "post_fork in ./gunicorn.conf.py: it takes 1 argument, not 2",
        ),
        ("import gunicorn_of_old", ["facts:app"], 1, "No module named 'gunicorn_of_old'"),
        ("from gunicorn import glogging", ["facts:app"], 1, "needs gunicorn's package beside it"),
        ("paste = 'x.ini'", ["facts:app"], 1, "paste in ./gunicorn.conf.py is not supported"),
        ("bind = 'a:b:c'", ["facts:app"], 1, "HOST:PORT"),
        ("chdir = 'nowhere'", ["facts:app"], 1, "cannot change to the folder"),
        ("user = 'no-such-user'", ["facts:app"], 1, "there is no such user"),
        ("max_workers = 2\nworkers = 3", ["facts:app"], 1, "--max-workers"),
        ("", ["facts:nothing"], 1, "has no attribute 'nothing'"),
        ("", ["nowhere:app"], 1, "there is no module 'nowhere'"),
        ("", [], 1, "no application"),
        ("", ["facts:app", "more"], 1, "one application at a time"),
    ],
)
@pytest.mark.parametrize("option", ["--check-config", "--print-config"])
def test_check_and_print(site: Site, option: str, file: str, words: list[str], code: int, said: str) -> None:
    """The exit codes are gunicorn's, the message has no more than needs to be known."""
    site.write("gunicorn.conf.py", file)
    end = site.finish(option, *words)
    assert end.code == code, end.stderr
    assert said in end.stderr
    assert end.stderr.startswith("gowsgi: ") == bool(code)
    assert end.stdout.startswith("from the file") == ("print" in file)
    assert "gowsgi/" not in end.stderr  # in a traceback
    hooks = "def on_starting(server): raise SystemExit('a hook')\n"
    site.write("gunicorn.conf.py", hooks + file)
    assert site.finish(option, *words).code == code


# What a file may do ---------------------------------------------------------------


def test_what_a_file_sets_reaches_the_application(site: Site) -> None:
    """Variables, folders and import paths; SCRIPT_NAME and TMPDIR are the server's to read too."""
    (site.folder / "inner").mkdir()
    (site.folder / "lib").mkdir()
    (site.folder / "tmp").mkdir()
    site.write("lib/library.py", "value = 'from lib'\n")
    site.write("inner/inner_app.py", "import library\nfrom facts import app\n")
    site.write(
        "gunicorn.conf.py",
        BIND
        + """
import os
os.environ["E2E_FILE"] = "file"
os.environ["TMPDIR"] = "{folder}/tmp"
os.environ["SCRIPT_NAME"] = "/mounted"
os.environ.pop("E2E_GONE")
raw_env = ["E2E_RAW=a=b", "E2E_BOTH=raw"]
os.environ["E2E_BOTH"] = "file"
chdir = "inner"
pythonpath = "{folder}/lib,{folder}"
errorlog = "errors.log"
body_memory = 0
print("half a line", end=" ")
print("of the file", flush=False)
""",
    )
    server = site.start("inner_app:app", ready=False, env={"E2E_GONE": "1", "E2E_KEPT": "1"})
    log = site.folder / "inner" / "errors.log"
    proc.wait_for(lambda: log.exists() and "serving" in log.read_text(), 20, "the log")
    facts = site.facts_at("/mounted/")
    assert facts["cwd"] == str(site.folder / "inner")
    assert facts["env"] == {"E2E_FILE": "file", "E2E_RAW": "a=b", "E2E_BOTH": "raw", "E2E_KEPT": "1"}
    assert facts["script"] == "/mounted"
    assert facts["path"][:3] == [str(site.folder / name) for name in ("lib", "inner", "")]  # gunicorn's order
    assert server.stdout == "half a line of the file\n"
    assert server.stop() == 0


def test_another_process_is_all_there_is(site: Site) -> None:
    """The file's Python has no listener, workers no more descriptors than without a file."""
    site.write("conf.py", "workers = 2\n")
    plain = site.start("-b", f"{HOST}:{site.port}", "facts:app")
    expected = requests.get(f"{site.url}/descriptors", timeout=10).json()
    plain.stop()
    server = site.start("-c", "conf.py", "-b", f"{HOST}:{site.port}", "facts:app")
    assert requests.get(f"{site.url}/descriptors", timeout=10).json() == expected
    links = [os.readlink(fd) for fd in Path(f"/proc/{zygote(server)}/fd").iterdir()]
    assert len([link for link in links if link.startswith("socket:")]) == 1  # to its master
    assert "libpython" not in Path(f"/proc/{server.pid}/maps").read_text()


def test_passed_sockets_are_not_the_files(site: Site) -> None:
    """systemd's listeners are the master's and the workers': the port is free once those have gone."""
    site.write("conf.py", "workers = 1\n")
    listeners = [socket.create_server((HOST, 0)) for _ in range(4)]
    fds = [listener.fileno() for listener in listeners]
    script = (
        "import os,sys\nfds=[int(fd) for fd in sys.argv[1].split(',')]\n"
        "copies=[os.dup(os.dup(fd)) for fd in fds]\n"
        "for to, fd in enumerate(copies, 3): os.dup2(fd, to)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))\nos.execv(sys.argv[2], sys.argv[2:])"
    )
    launcher = ["python3", "-c", script, ",".join(map(str, fds))]
    server = site.start(*command(), "run", "-c", "conf.py", "facts:app", launcher=launcher, pass_fds=fds)
    for listener in listeners:
        assert site.facts(listener.getsockname()[1])["env"] == {}
    inodes = {os.fstat(fd).st_ino for fd in fds}
    held = {os.stat(fd).st_ino for fd in Path(f"/proc/{zygote(server)}/fd").iterdir() if fd.exists()}
    assert not inodes & held
    site.write("conf.py", "bind = ':1'\n")
    server.signal(signal.SIGHUP)
    server.wait_log("the sockets are those that this process was given", 15)
    server.wait_log("reloaded", 15)
    assert site.facts(listeners[0].getsockname()[1])


def test_a_daemon_by_the_file(site: Site) -> None:
    site.write("gunicorn.conf.py", BIND + "daemon = True\npidfile = 'pid'\nerrorlog = 'log'\nwsgi_app = 'facts:app'\n")
    end = site.finish()
    assert (end.code, end.stdout, end.stderr) == (0, "", "")
    pid = int((site.folder / "pid").read_text())
    tree = proc.tree(pid)
    try:
        assert site.facts()["pid"] in tree
        os.kill(pid, signal.SIGHUP)
        log = site.folder / "log"
        proc.wait_for(lambda: "reloaded" in log.read_text(), 15, "a reload")
        tree = proc.tree(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
        gone(pid, *tree)
    assert not (site.folder / "pid").exists()
    site.write("gunicorn.conf.py", "daemon = True\n1 / 0")
    end = site.finish("facts:app")
    assert (end.code, end.stderr.count("ZeroDivisionError: division by zero")) == (1, 2)


def reachable(program: Path, uid: int) -> bool:
    """Tell whether a user can run a program: those below root's own folder nobody else can."""
    try:
        return subprocess.run([program, "-c", "import typing"], user=uid, check=False).returncode == 0
    except PermissionError:
        return False


def test_another_user_by_the_file(site: Site) -> None:
    """The workers are that user's, and can open their logs and sockets anew; the file's Python stays root's."""
    nobody = pwd.getpwnam("nobody")
    for folder in (site.folder, *site.folder.parents):
        if any(part.startswith("pytest-of-") for part in folder.parts):
            os.chmod(folder, 0o755)  # pytest's own are root's alone
    site.write(
        "gunicorn.conf.py",
        """
import os
bind = ["127.0.0.1:{port}", "unix:s.sock"]
user = "nobody"
proc_name = "e2e-named"
errorlog = "log"
accesslog = "access"
def child_exit(server, worker):
    server.log.info("child_exit as %d", os.getuid())
""",
    )
    server = site.start("facts:app", ready=False)
    if os.geteuid() != 0 or not reachable(site.venv.python, nobody.pw_uid):
        assert server.wait() != 0
        return
    log, access = site.folder / "log", site.folder / "access"
    proc.wait_for(lambda: log.exists() and "serving" in log.read_text(), 20, "the log")
    facts = site.facts()
    assert (facts["uid"], facts["gid"]) == (nobody.pw_uid, nobody.pw_gid)
    (worker,) = workers(server, 1)
    status = Path(f"/proc/{worker}/status").read_text()
    assert "Groups:\t \n" in status
    assert "Name:\te2e-named\n" in status
    for path in (log, access, site.folder / "s.sock"):
        assert path.stat().st_uid == nobody.pw_uid
        if path.is_file():
            path.rename(path.with_name(path.name + ".1"))
    server.signal(signal.SIGUSR1)
    proc.wait_for(log.exists, 5, "the new log")
    # The worker hears of it from the master, a moment later.
    proc.wait_for(lambda: site.facts() and access.exists() and access.read_text(), 10, "the new access log")
    os.kill(worker, signal.SIGKILL)
    proc.wait_for(lambda: "child_exit as 0" in log.read_text(), 10, "the hook")
    assert [path.stat().st_uid for path in (log, access)] == [nobody.pw_uid] * 2
    server.signal(signal.SIGHUP)
    proc.wait_for(lambda: "reloaded" in log.read_text(), 15, "a reload")
    assert site.facts()["uid"] == nobody.pw_uid
    assert server.stop() == 0


def test_logs_that_are_opened_anew(site: Site) -> None:
    """USR1 reaches the file's Python: what its hooks say is in the new log, also when a reload has failed."""
    site.write("conf.py", BIND + "errorlog = 'log'\ncapture_output = True\n" + HOOK)
    server = site.start("-c", "conf.py", "facts:app", ready=False)
    log = site.folder / "log"
    proc.wait_for(lambda: log.exists() and "serving" in log.read_text(), 20, "the log")
    site.write("facts.py", "raise RuntimeError('broken')")
    server.signal(signal.SIGHUP)
    proc.wait_for(lambda: "the reload failed" in log.read_text(), 15, "a reload")
    log.rename(site.folder / "log.1")
    server.signal(signal.SIGUSR1)
    proc.wait_for(log.exists, 5, "the new log")
    time.sleep(0.3)
    (worker,) = workers(server, 1)
    os.kill(worker, signal.SIGKILL)
    proc.wait_for(lambda: f"child_exit of {worker}" in log.read_text(), 10, "the hook")
    assert "printed" in log.read_text()
    assert f"child_exit of {worker}" not in (site.folder / "log.1").read_text()


HOOK = """
def child_exit(server, worker):
    print("printed", flush=True)
    server.log.info("child_exit of %d", worker.pid)
"""


# Reloading ------------------------------------------------------------------------


def test_a_reload_reads_the_file_anew(site: Site) -> None:
    site.write("conf.py", BIND + "raw_env = ['E2E_A=1', 'E2E_B=1']\nworkers = 2\n")
    server = site.start("-c", "conf.py", "facts:app")
    assert site.facts()["env"] == {"E2E_A": "1", "E2E_B": "1"}
    first = zygote(server)
    site.write("second.py", "from facts import app\nimport os\nos.environ['E2E_C'] = 'second'\n")
    site.write("conf.py", BIND + "raw_env = ['E2E_A=2']\nworkers = 1\nwsgi_app = 'second:app'\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded: workers=1", 15)
    gone(first)
    assert site.facts()["env"] == {"E2E_A": "2"}  # the command line's application
    site.write("conf.py", "1 / 0")
    with Load(site.port) as load:
        server.signal(signal.SIGHUP)
        server.wait_log("the reload failed; the old workers go on serving", 15)
        server.wait_log("ZeroDivisionError: division by zero")
    assert load.failures == []
    assert site.facts()["env"] == {"E2E_A": "2"}
    workers(server, 1)
    site.write("conf.py", BIND + "threads = 2")
    server.signal(signal.SIGHUP)
    said(server, "reloaded: workers=1", 2)
    workers(server, 1)
    assert site.facts()["threads"] is True
    assert server.stop() == 0
    assert "Z" not in server.stderr.split("stopped")[-1]


def test_a_reload_while_another_runs(site: Site) -> None:
    """The last word counts: what is being read when a HUP comes is not used."""
    site.write("conf.py", BIND + "import os\nraw_env = ['E2E_N=1']\n")
    server = site.start("-c", "conf.py", "facts:app")
    site.write(
        "conf.py", BIND + "import time\nprint('reading 2', flush=True)\ntime.sleep(1.5)\nraw_env = ['E2E_N=2']\n"
    )
    server.signal(signal.SIGHUP)
    server.wait_stdout("reading 2")
    site.write("conf.py", BIND + "raw_env = ['E2E_N=3']\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    workers(server, 1)
    assert site.facts()["env"] == {"E2E_N": "3"}
    assert server.stderr.count("reloaded") == 1
    zygote(server)


def test_a_release_behind_a_link(site: Site) -> None:
    """The file, and what it names by relative paths, come from where the link points now."""
    for number in (1, 2):
        release = site.folder / str(number)
        release.mkdir()
        for name in ("facts.py", "routing.py"):
            (release / name).write_text((site.folder / name).read_text())
        site.write(f"{number}/conf.py", BIND + "import helper\nraw_env = ['E2E_N=' + helper.n]\nerrorlog = '-'\n")
        site.write(f"{number}/helper.py", f"n = '{number}'")
    link = site.folder / "current"
    link.symlink_to("1")
    launcher = ["sh", "-c", f'cd {link} && exec "$@"', "sh"]
    server = site.start(*command(), "run", "-c", "conf.py", "--chdir", ".", "facts:app", launcher=launcher)
    assert site.facts()["env"] == {"E2E_N": "1"}
    link.unlink()
    link.symlink_to("2")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)
    workers(server, 1)
    assert site.facts()["env"] == {"E2E_N": "2"}
    assert site.facts()["cwd"] == str(site.folder / "2")


def test_other_addresses(site: Site) -> None:
    """What stays is not interrupted, what is new is served, what has gone is refused."""
    other, third = free_port(), free_port()
    site.write("conf.py", "bind = ['127.0.0.1:{port}', 'unix:a.sock']\npidfile = 'one.pid'\n")
    server = site.start("-c", "conf.py", "facts:app")
    site.write("conf.py", f"bind = ['127.0.0.1:{other}', '127.0.0.1:{{port}}', 'unix:b.sock']\npidfile = 'two.pid'\n")
    with Load(site.port) as load:
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded", 15)
        server.wait_log(f"listening on http://127.0.0.1:{other}, http://127.0.0.1:{site.port}, unix:", 5)
        time.sleep(0.3)
    assert load.failures == []
    assert site.facts(other)["pid"] == workers(server, 1)[0]
    assert sorted(path.name for path in site.folder.glob("*.sock")) == ["b.sock"]
    assert [path.name for path in site.folder.glob("*.pid")] == ["two.pid"]
    assert ask_unix(site.folder / "b.sock").startswith(b"HTTP/1.1 200 OK")
    site.write("conf.py", f"bind = '127.0.0.1:{third}'\n")
    server.signal(signal.SIGHUP)
    said(server, "reloaded", 2)
    workers(server, 1)
    assert site.facts(third)
    for port in (other, site.port):
        with pytest.raises(requests.ConnectionError):
            site.facts(port)
    assert list(site.folder.glob("*.sock")) == list(site.folder.glob("*.pid")) == []
    assert server.stop() == 0


def test_another_address_that_cannot_be_had(site: Site) -> None:
    """The old workers go on, and nothing of the new ones stays."""
    busy = socket.create_server((HOST, 0))
    site.write("conf.py", "bind = ['127.0.0.1:{port}']\n")
    server = site.start("-c", "conf.py", "facts:app")
    site.write("conf.py", f"bind = ['unix:s.sock', '127.0.0.1:{busy.getsockname()[1]}']\n")
    server.signal(signal.SIGHUP)
    server.wait_log("the reload failed; .*another process serves there", 15)
    assert site.facts()
    assert not (site.folder / "s.sock").exists()
    # So does an application that does not load at the new address.
    site.write("conf.py", f"bind = ['unix:s.sock', '127.0.0.1:{free_port()}']\nwsgi_app = 'nowhere'\n")
    site.write("facts.py", "1 / 0")
    server.signal(signal.SIGHUP)
    said(server, "the reload failed", 2)
    proc.wait_for(lambda: not (site.folder / "s.sock").exists(), 10, "the socket to go")
    assert site.facts()
    assert server.stop() == 0


def ask_unix(path: Path) -> bytes:
    """Return the beginning of an answer to GET / over a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.recv(100)


def test_a_socket_goes_with_the_server(site: Site) -> None:
    """Also when the application does not load."""
    for app, code in (("facts:app", 0), ("nowhere:app", 3)):
        for more in ([], ["--preload"], ["-c", "conf.py"]):
            site.write("conf.py", "workers = 1\n")
            server = site.start("-b", "unix:s.sock", *more, app, ready=not code)
            assert (server.wait(20) if code else server.stop()) == code
            assert not (site.folder / "s.sock").exists()


# Files that hang, and ends --------------------------------------------------------


HANGS = "import time\nprint('hangs', flush=True)\ntime.sleep(3600)\n"


def test_a_file_that_hangs_at_the_start(site: Site) -> None:
    site.write("conf.py", HANGS)
    server = site.start("-c", "conf.py", "facts:app", ready=False)
    server.wait_stdout("hangs")
    tree = proc.tree(server.pid)
    assert len(tree) == 2
    server.signal(signal.SIGTERM)
    assert server.wait(3) == -signal.SIGTERM
    gone(*tree)


@pytest.mark.timeout(60)
def test_a_file_that_hangs_at_a_reload(site: Site) -> None:
    """The old workers serve; the log tells; TERM does not wait for it."""
    site.write("conf.py", BIND)
    server = site.start("-c", "conf.py", "facts:app")
    site.write("conf.py", HANGS)
    server.signal(signal.SIGHUP)
    server.wait_stdout("hangs")
    tree = proc.tree(server.pid)
    assert len(tree) == 4
    server.wait_log("running the configuration conf.py takes more than 10s; waiting", 15)
    assert site.facts()
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 2
    gone(*tree)


@pytest.mark.parametrize("what", ["file", "import", "on_starting", "serving"])
def test_a_killed_master_takes_all_with_it(site: Site, what: str) -> None:
    """Whatever the file's Python does then."""
    hook = f"def on_starting(server):\n    {HANGS.replace(chr(10), chr(10) + '    ')}\n"
    site.write("conf.py", BIND + {"file": HANGS, "on_starting": hook}.get(what, ""))
    if what == "import":
        site.write("facts.py", HANGS)
    server = site.start("-c", "conf.py", "--preload", "facts:app", ready=what == "serving")
    if what != "serving":
        server.wait_stdout("hangs")
    tree = proc.tree(server.pid)
    assert len(tree) == (3 if what == "serving" else 2)
    server.signal(signal.SIGKILL)
    gone(*tree)


def test_term_while_the_application_is_preloaded(site: Site) -> None:
    site.write("facts.py", HANGS)
    server = site.start("-b", f"{HOST}:{site.port}", "--preload", "facts:app", ready=False)
    server.wait_stdout("hangs")
    tree = proc.tree(server.pid)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 2
    gone(*tree)


def test_no_process_is_left(site: Site) -> None:
    """Not even a zombie, after reloads that went well and others."""
    site.write("conf.py", BIND + "workers = 2\n")
    server = site.start("-c", "conf.py", "facts:app")
    for number in range(1, 4):
        server.signal(signal.SIGHUP)
        said(server, "reloaded", number)
    site.write("conf.py", BIND + "1 / 0")
    for number in range(1, 4):
        server.signal(signal.SIGHUP)
        said(server, "the reload failed", number)
    proc.wait_for(lambda: len(proc.children(server.pid)) == 3, 10, "the old processes to be reaped")
    fds = len(os.listdir(f"/proc/{server.pid}/fd"))
    site.write("conf.py", BIND + "workers = 2\n")
    server.signal(signal.SIGHUP)
    said(server, "reloaded", 4)
    proc.wait_for(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= fds, 10, "descriptors to be closed")
    assert server.stop() == 0
