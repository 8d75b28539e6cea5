"""Runs Django's own tests through gowsgi: its test client's requests, and its live servers'.

- `ClientHandler`, which makes a request of the client's environ and calls the middleware
  itself, sends it through gowsgi to Django's `WSGIHandler` instead. The response object
  that the test gets is the one that was made in there, after its status, headers and
  content were compared with what came over the wire.
- `LiveServerThread` opens no socket of its own: its handler gets what arrives at gowsgi's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import unittest

from recorder import Recorder, write

RUNTESTS_ARGUMENTS = ("failfast", "keepdb", "reverse", "debug_sql", "pdb", "buffer", "timing", "shuffle")


def run(loop):
    """Run the labels of FOREIGN_ARGUMENTS in the folder FOREIGN_SOURCE."""
    tests = os.path.join(os.environ["FOREIGN_SOURCE"], "tests")
    os.chdir(tests)
    sys.path.insert(0, tests)
    os.environ["DJANGO_SETTINGS_MODULE"] = "test_sqlite"
    os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
    os.environ["TMPDIR"] = tempfile.tempdir = os.path.dirname(os.environ["FOREIGN_RESULTS"])
    import runtests
    from django.test import client, runner, testcases

    _patch_client(loop, client)
    _patch_live_server(loop, testcases)
    # Signals are for the main thread, which is gowsgi's.
    unittest.installHandler = unittest.removeHandler = lambda method=None: None
    Recorder.results = {}
    runner.DiscoverRunner.get_resultclass = lambda self: Recorder
    runtests.django_tests(
        verbosity=1,
        interactive=False,
        test_labels=os.environ["FOREIGN_ARGUMENTS"].split(),
        parallel=1,
        tags=[],
        exclude_tags=[],
        test_name_patterns=[],
        start_at="",
        start_after="",
        **dict.fromkeys(RUNTESTS_ARGUMENTS, False),
    )
    Recorder.results["through gowsgi"] = ("passed" if loop.calls else "failed", str(loop.calls))
    write(os.environ["FOREIGN_RESULTS"], Recorder.results)


def _patch_client(loop, client):
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.signals import request_finished, request_started
    from django.db import close_old_connections, connections
    from django.utils import translation

    class Inside(WSGIHandler):
        """Django's handler, which notes its response and the rules of the test client."""

        def __init__(self, outside, slot):
            """Take the middleware of the client's handler."""
            self.outside, self.slot = outside, slot

        def get_response(self, request):
            """Answer as the client's handler does, and keep the response."""
            request._dont_enforce_csrf_checks = not self.outside.enforce_csrf_checks
            response = self.outside.get_response(request)
            response.wsgi_request = request
            self.slot["response"] = response
            closed = response.close

            def close():
                closed()
                self.slot["closed"].set()

            response.close = close
            return response

    def call(self, environ):
        if self._middleware_chain is None:
            self.load_middleware()
        slot = {"closed": threading.Event()}
        inside = Inside(self, slot)
        language = translation.get_language()  # Django keeps it by thread.
        shared = [(alias, connections[alias]) for alias in connections]

        def app(environ, start_response):
            for alias, connection in shared:
                connections[alias] = connection
            # Not undone: the request's iterable wants it too, and its context ends with it.
            if language is None:
                translation.deactivate_all()
            else:
                translation.activate(language)
            return inside(environ, start_response)

        for _, connection in shared:
            connection.inc_thread_sharing()
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            answer = loop.send(app, environ)
            if not slot["closed"].wait(loop.TIMEOUT):
                raise TimeoutError("the response was not closed")
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)
            for _, connection in shared:
                connection.dec_thread_sharing()
        return _with_content(client, environ, slot["response"], answer)

    client.ClientHandler.__call__ = call


def _with_content(client, environ, response, answer):
    if response.streaming:
        response.streaming_content = [answer.body]
        response.closed = False
    else:
        client.conditional_content_removal(response.wsgi_request, response)
        if response.content != answer.body:
            raise AssertionError(f"the app answered {response.content!r}, there came {answer.body!r}")
    return response


def _patch_live_server(loop, testcases):
    from django.db import connections

    class Live:
        """Stands for a live server's WSGIServer."""

        def __init__(self, thread, override):
            """Note the connections that the handler is to use."""
            self.server_address = (thread.host, loop.PORT)
            self.override = override or {}
            self.stopped = threading.Event()

        def set_app(self, handler):
            """Give the handler what arrives from now on."""

            def app(environ, start_response):
                for alias, connection in self.override.items():
                    connections[alias] = connection
                return handler(environ, start_response)

            self.before = loop.serve_live(app)

        def serve_forever(self):
            """Wait for the end."""
            self.stopped.wait()

        def shutdown(self):
            """End."""
            loop.serve_live(self.before)
            self.stopped.set()

        def server_close(self):
            """Do nothing: the socket is gowsgi's."""

    def create_server(self, connections_override=None):
        return Live(self, connections_override)

    testcases.LiveServerThread._create_server = create_server
