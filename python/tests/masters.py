"""A master for tests, which asks a zygote over a real socket pair."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

from test_config import KNOWN

LIMIT = 20

# After run() has returned this is a worker: it evaluates what it is sent.
PROGRAM = """
import json, os, signal, socket, sys
from gowsgi import embed, zygote
fd = int(sys.argv[1])
options = json.dumps({"owned_signals": ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"], "deferred": True})
embed.setup(options)
descriptors = json.loads(zygote.run(fd))
embed.setup(options)
line = socket.socket(fileno=descriptors["line"])
names = {}
exec("import json, os, signal, sys, threading, time; from gowsgi import embed", names)
def hook(name, **more):
    return embed.worker_hook(json.dumps({"name": name, **more}))
names["hook"] = hook
names["descriptors"] = descriptors
while packet := line.recv(65536).decode():
    try:
        answer = eval(packet, names)
    except BaseException as exc:
        answer = json.loads(embed.describe_error(exc))
    line.send(json.dumps(answer).encode())
"""


class Worker:
    def __init__(self, pid, line):
        self.pid = pid
        self.line = line

    def eval(self, expression):
        self.line.send(expression.encode())
        return json.loads(self.line.recv(1 << 20))

    def end(self):
        """Closes the line, at which the program ends, and returns how it did."""
        self.line.close()
        return wait(self.pid)


def wait(pid, limit=LIMIT):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"process {pid} has not ended")


class Master:
    def __init__(self, folder, env):
        self.folder = folder
        self.workers = []
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.settimeout(LIMIT)
        self.output = folder / "output"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                cwd=folder, env=env, stdout=output, stderr=output, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        theirs.close()

    def ask(self, do, **request):
        self.line.send(json.dumps({"do": do, **request}).encode())
        return json.loads(self.line.recv(1 << 20))

    def configure(self, source="", app=None, **settings):
        (self.folder / "gunicorn.conf.py").write_text(source)
        answer = self.ask("config", config="gunicorn.conf.py", known=KNOWN)
        assert "error" not in answer, answer
        complete = {
            **{
                name: {"list": None, "dict": {}, "bool": False, "hook": False}.get(kind, "")
                for name, kind in KNOWN.items()
            },
            **{"workers": 2, "timeout": 30, "loglevel": "info", "bind": ["127.0.0.1:80"], "wsgi_app": "app:app"},
            **{"errorlog": "-", "worker_class": "sync", "keepalive": 75, "default_proc_name": "gunicorn"},
        }
        if app is not None:
            (self.folder / "app.py").write_text(app)
        settings = complete | answer["settings"] | settings
        options = {"chdir": settings.get("chdir", ""), "pythonpath": settings.get("pythonpath", [])}
        options["env"] = settings.get("raw_env", [])
        settled = self.ask("settings", settings=settings, options=options)
        assert settled == {}, settled
        return answer

    def hook(self, name, **args):
        return self.ask("hook", name=name, args={"pid": os.getpid(), "num_workers": 2, **args})

    def fork(self, age=1, listeners=(), **request):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(LIMIT)
        packet = json.dumps({"do": "fork", "age": age, "num_workers": 2, **request}).encode()
        socket.send_fds(self.line, [packet], [theirs.fileno(), *listeners])
        theirs.close()
        answer = json.loads(self.line.recv(1 << 20))
        if "error" in answer:
            ours.close()
            return answer
        self.workers.append(Worker(answer["pid"], ours))
        return self.workers[-1]

    def log(self):
        return self.output.read_text()

    def descriptors(self):
        return sorted(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self):
        self.line.close()
        return self.process.wait(LIMIT)

    def close(self):
        """Ends what is left; a process that does not end by itself is killed, and an error."""
        for worker in self.workers:
            worker.line.close()
            try:
                wait(worker.pid)
            except ChildProcessError:
                pass  # the test has waited for it
        self.line.close()
        try:
            self.process.wait(LIMIT)
        finally:
            self.process.kill()
            self.process.wait()
