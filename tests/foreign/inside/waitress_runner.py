"""Runs waitress's functional tests against gowsgi. Arguments: SOURCE RESULTS GOWSGI...

What is not as in waitress's own run:

- `start_subprocess` starts gowsgi with the test's application instead of waitress, one
  server for all tests that want the same, with the flags that mean the same;
- the tests' requests mostly lack Host, which HTTP/1.1 must be refused for (RFC 9112,
  3.2), so their socket adds one;
- answers to HTTP/1.0 say HTTP/1.1, as RFC 9110, 2.5, wants of a server, so `assertline` takes that;
- `read_http` puts waitress's name in Server for ours, and its spelling of Connection: keep-alive,
  which is case-insensitive.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from recorder import Recorder, write

START_TIMEOUT = 20.0
HERE = Path(__file__).parent


class Talker(socket.socket):
    """A socket that adds Host to requests of HTTP/1.1 that have none."""

    def send(self, data, *flags):
        """Send all of it, and say how much of the caller's it was."""
        super().sendall(_with_host(bytes(data)), *flags)
        return len(data)


class Servers:
    """One gowsgi for each application and set of flags."""

    def __init__(self, command, source):
        """Start none yet."""
        self.command, self.source = command, source
        self.folder = Path(tempfile.mkdtemp(prefix="foreign-"))
        self.running = {}

    def get(self, target, unix, options):
        """Return the address of a server of an application."""
        flags = tuple(sorted(_flags(options)))
        key = target, unix, flags
        if key not in self.running:
            self.running[key] = self._start(target, unix, flags)
        process, address = self.running[key]
        if process.poll() is not None:
            raise RuntimeError(f"gowsgi has left with {process.returncode}")
        return address

    def _start(self, target, unix, flags):
        family = socket.AF_UNIX if unix else socket.AF_INET
        address = str(self.folder / f"{len(self.running)}.sock") if unix else ("127.0.0.1", _free_port())
        bind = f"unix:{address}" if unix else "{}:{}".format(*address)
        name = f"{target.__module__}:{target.__name__}"
        environment = os.environ | {"FOREIGN_APP": name, "PYTHONPATH": f"{self.source}{os.pathsep}{HERE}"}
        command = [*self.command, "run", "--bind", bind, "--threads", "4", *flags, "waitress_app:app"]
        with (self.folder / f"{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with socket.socket(family) as probe:
                if probe.connect_ex(address) == 0:
                    return process, address
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"{command} does not listen:\n{Path(log.name).read_text()}")
            time.sleep(0.05)

    def close(self):
        """End them all."""
        for process, _ in self.running.values():
            process.terminate()
        for process, _ in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder)


def main(source, results, *command):
    """Run the tests."""
    sys.path.insert(0, source)
    from tests import test_functional

    servers = Servers(command, source)
    _adapt(test_functional, servers)
    Recorder.results = {}
    suite = unittest.defaultTestLoader.loadTestsFromModule(test_functional)
    try:
        unittest.TextTestRunner(resultclass=Recorder, verbosity=2).run(suite)
    finally:
        servers.close()
    write(results, {name.removeprefix("tests.test_functional."): r for name, r in Recorder.results.items()})


def _adapt(module, servers):
    def start_subprocess(self, target, **options):
        unix = self.server.family == socket.AF_UNIX
        self.bound_to = servers.get(target, unix, options)
        self.sock = self.create_socket()

    def create_socket(self):
        talker = Talker(self.server.family, socket.SOCK_STREAM)
        talker.settimeout(4)
        return talker

    def assertline(self, line, status, reason, version):
        found = [part.strip().decode("latin-1") for part in line.split(None, 2)]
        self.assertEqual(found[1:], [status, reason])
        self.assertIn(found[0], (version, "HTTP/1.1"))

    genuine = module.read_http

    def read_http(fp):
        line, headers, body = genuine(fp)
        if headers.get("server") == "gowsgi":
            headers["server"] = "waitress"
        if headers.get("connection") == "keep-alive":
            headers["connection"] = "Keep-Alive"
        return line, headers, body

    module.read_http = read_http
    module.SubprocessTests.start_subprocess = start_subprocess
    module.SubprocessTests.stop_subprocess = lambda self: self.sock.close()
    module.SubprocessTests.create_socket = create_socket
    module.SubprocessTests.assertline = assertline
    if hasattr(module, "UnixTests"):
        del module.UnixTests.stop_subprocess


def _flags(options):
    if options.get("trusted_proxy") == "*":
        yield "--forwarded-allow-ips=*"
    if "max_request_body_size" in options:
        yield f"--max-body={options['max_request_body_size']}"
    if "max_request_header_size" in options:
        yield f"--limit-request-line={options['max_request_header_size']}"
        yield f"--limit-request-field-size={options['max_request_header_size']}"
    if options.get("expose_tracebacks"):
        yield "--debug-errors"


def _with_host(data):
    def amend(match):
        head = match[0]
        return head if b"\nhost:" in head.lower() else head.replace(b"\n", b"\nHost: added\r\n", 1)

    return re.sub(rb"[^\r\n]+ HTTP/1\.1\r?\n(?:[^\r\n]+\r?\n)*", amend, data)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main(*sys.argv[1:])
