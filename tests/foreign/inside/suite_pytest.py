"""Runs Werkzeug's or Flask's own tests through gowsgi; both send theirs with one function of Werkzeug's."""

from __future__ import annotations

import os
import sys

import pytest
import werkzeug.test
from recorder import write
from werkzeug.datastructures import Headers
from werkzeug.wsgi import ClosingIterator


class Plugin:
    """Keeps the outcomes of tests."""

    def __init__(self):
        """Start with none."""
        self.results = {}

    def pytest_runtest_logreport(self, report):
        """Keep what became of a phase of a test, the worst of all."""
        name = report.nodeid.removeprefix("tests/")
        if report.failed:
            self.results[name] = ("failed", str(report.longrepr)[-6000:])
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "the suite expects it to fail"
            self.results.setdefault(name, ("skipped", reason.removeprefix("Skipped: ")))
        elif report.when == "call":
            self.results.setdefault(name, ("passed", ""))

    def pytest_collectreport(self, report):
        """Keep that a file could not be read."""
        if report.failed:
            self.results[report.nodeid] = ("error", str(report.longrepr)[-6000:])


def run(loop):
    """Run the tests of the folder named by FOREIGN_SOURCE."""

    directly = werkzeug.test.run_wsgi_app

    def run_wsgi_app(app, environ, buffered=False):
        environ = werkzeug.test._get_environ(environ).copy()
        # No request, but a test of this function; or a response that calls another, as an app.
        within = sys._getframe(1).f_globals["__name__"] == "werkzeug.wrappers.response"
        if within or "REQUEST_METHOD" not in environ:
            return directly(app, environ, buffered)
        answer = loop.send(app, environ)
        body = [answer.body] if answer.body else []
        return body if buffered else ClosingIterator(body), answer.status, Headers(answer.headers)

    werkzeug.test.run_wsgi_app = run_wsgi_app
    plugin = Plugin()
    os.chdir(os.environ["FOREIGN_SOURCE"])
    arguments = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-q", "--tb=short", "-W", "ignore"]
    pytest.main([*arguments, *os.environ["FOREIGN_ARGUMENTS"].split()], plugins=[plugin])
    plugin.results["through gowsgi"] = ("passed" if loop.calls else "failed", str(loop.calls))
    write(os.environ["FOREIGN_RESULTS"], plugin.results)
