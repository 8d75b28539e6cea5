"""Runs a test suite inside gowsgi, its requests going out through a socket and in again.

`gowsgi run loop:application` serves this. A thread of the same process runs the suite
named by FOREIGN_SUITE. That suite's test client, which calls the application directly as
it stands, is made to call `send` instead:

    test -> send() -> a socket -> gowsgi's front -> executor -> application() -> the test's app

So the app gets gowsgi's environ and wsgi.input, in one of gowsgi's threads, answers with
gowsgi's start_response, and the test sees what came over the wire; yet all that the
test changed in the process (settings, database, mocks, signals) is there, which no
server of its own process could give it.

Of the environ that the client made, only what no request can carry is put into gowsgi's:
names and addresses that the test plays, and the client's own keys.
"""

from __future__ import annotations

import contextvars
import importlib
import io
import itertools
import os
import signal
import socket
import string
import sys
import threading
import time
import traceback
from http.client import HTTPResponse
from urllib.parse import quote

HOST = "127.0.0.1"
PORT = int(os.environ["FOREIGN_PORT"])
TIMEOUT = 20.0  # Seconds that a request may take in all.

# What a test client says of a server and a network that there are none of.
PLAYED = frozenset(
    "SERVER_NAME SERVER_PORT REMOTE_ADDR REMOTE_HOST REMOTE_USER SCRIPT_NAME PATH_INFO REQUEST_URI RAW_URI HTTP_HOST"
    " wsgi.url_scheme wsgi.errors wsgi.multithread wsgi.multiprocess wsgi.run_once".split()
)
SLOT = "HTTP_X_FOREIGN_SLOT"

calls = 0  # Requests of a test client that gowsgi handed to their app.
_slots: dict[str, Slot] = {}
_numbers = itertools.count()
_live = None  # What requests from elsewhere than `send` are for.


class Refused(Exception):
    """gowsgi answered by itself: the request cannot be made over HTTP."""


class Slot:
    """A request under way: its app, and what became of it."""

    def __init__(self, app, environ):
        """Take the app and the environ that the test client made."""
        self.app, self.environ = app, environ
        self.context = contextvars.copy_context()
        self.called = False
        self.error = None
        self.head = None
        self.ended = threading.Event()
        self.input = None


class Answer:
    """What came back over the socket."""

    def __init__(self, status, headers, body):
        """Take the status line's text, the headers in order, and the body."""
        self.status, self.headers, self.body = status, headers, body


class Watched:
    """An iterable of the app, of which the errors and the end are noted."""

    def __init__(self, iterable, slot):
        """Take what the app returned."""
        self._iterable, self._slot = iterable, slot
        self._iterator = None

    def __iter__(self):
        """Begin."""
        return self

    def __next__(self):
        """Return the next block, in the test's context."""
        try:
            if self._iterator is None:
                self._iterator = self._slot.context.run(iter, self._iterable)
            return self._slot.context.run(next, self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            self._slot.error = error
            raise

    def close(self):
        """End it."""
        try:
            if hasattr(self._iterable, "close"):
                self._slot.context.run(self._iterable.close)
        except BaseException as error:
            self._slot.error = error
            raise
        finally:
            self._slot.ended.set()


def application(environ, start_response):
    """Call the app that the request is for."""
    number = environ.pop(SLOT, None)
    if number is None:
        return _live(environ, start_response)
    global calls
    calls += 1
    slot = _slots[number]
    slot.called = True
    slot.input = environ["wsgi.input"]
    _check_path(environ, slot.environ)
    for key, value in slot.environ.items():
        if key in PLAYED or (key not in environ and not key.startswith("HTTP_")):
            environ[key] = value
    for key in ("HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH"):
        if key not in slot.environ and not environ.get(key, "0").strip("0"):
            environ.pop(key, None)
    if "HTTP_HOST" not in slot.environ:
        environ.pop("HTTP_HOST", None)

    def start(status, headers, exc_info=None):
        slot.head = status, list(headers)
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    try:
        result = slot.context.run(slot.app, environ, start)
    except BaseException as error:
        slot.error = error
        slot.ended.set()
        raise
    if isinstance(result, (list, tuple)) or isinstance(result, environ["wsgi.file_wrapper"]):
        slot.ended.set()
        return result
    return Watched(result, slot)


def send(app, environ):
    """Send a request for an app through gowsgi.

    Raises:
        Refused: gowsgi did not call the app.
        BaseException: What the app raised.
    """
    slot = Slot(app, environ)
    played = environ.get("wsgi.input")
    start = played.tell() if played is not None and _seekable(played) else None
    number = str(next(_numbers))
    _slots[number] = slot
    try:
        answer = _exchange(environ, number)
        if not slot.called:
            raise Refused(f"{answer.status}: {answer.body!r} for {_request(environ, number)!r}")
        if not slot.ended.wait(TIMEOUT):
            raise TimeoutError("the app's iterable was not closed")
    finally:
        del _slots[number]
        if start is not None and _seekable(played) and slot.input is not None and not slot.input.closed:
            played.seek(start + slot.input.tell())  # The client's stream, read as far as the app did.
    if slot.error is not None:
        raise slot.error
    _compare(slot, answer, environ["REQUEST_METHOD"])
    return answer


def serve_live(app):
    """Let an app have all requests that `send` did not make; return the one before."""
    global _live
    before, _live = _live, app
    return before


def _exchange(environ, number):
    method = environ["REQUEST_METHOD"]
    with socket.create_connection((HOST, PORT), TIMEOUT) as connection:
        connection.sendall(_request(environ, number))
        length, body = environ.get("CONTENT_LENGTH"), environ.get("wsgi.input") or io.BytesIO()
        if environ.get("wsgi.input_terminated") and not length:
            while data := body.read(1 << 16):
                connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
            connection.sendall(b"0\r\n\r\n")
        elif length:
            left = int(length)
            while left and (data := body.read(min(left, 1 << 16))):
                connection.sendall(data)
                left -= len(data)
            if left:
                connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method=method)
        response.begin()
        answer = Answer(f"{response.status} {response.reason}", response.getheaders(), response.read())
        response.close()
        return answer


def _seekable(stream):
    try:
        return stream.seekable()
    except (AttributeError, ValueError):
        return False


def _request(environ, number):
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # What clients let pass and a URI must not hold: no first slash, bytes beyond ASCII.
    target = "/" + quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~").removeprefix("/")
    if environ.get("QUERY_STRING"):
        target += "?" + quote(environ["QUERY_STRING"].encode("latin-1"), safe=string.punctuation)
    host = environ.get("HTTP_HOST")
    if host is None:
        host = "{}:{}".format(environ.get("SERVER_NAME", "localhost"), environ.get("SERVER_PORT", "80"))
    lines = [f"{environ['REQUEST_METHOD']} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{SLOT[5:].replace('_', '-')}: {number}"]
    for key, value in environ.items():
        name = key.removeprefix("HTTP_").replace("_", "-").title()
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value not in ("", None):
            lines.append(f"{name}: {value}")
        elif key.startswith("HTTP_") and name not in ("Host", "Connection") and value is not None:
            lines.append(f"{name}: {value}")
    if environ.get("wsgi.input_terminated") and not environ.get("CONTENT_LENGTH"):
        if "HTTP_TRANSFER_ENCODING" not in environ:
            lines.append("Transfer-Encoding: chunked")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _check_path(environ, played):
    whole = played.get("SCRIPT_NAME", "") + played.get("PATH_INFO", "")
    if environ["PATH_INFO"] != "/" + whole.removeprefix("/"):
        raise AssertionError(f"PATH_INFO is {environ['PATH_INFO']!r}, sent was {whole!r}")


def _compare(slot, answer, method):
    """Check that what the app said is what came; take off what a server adds."""
    status, headers = slot.head
    code = status.split(" ")[0]
    # A client sees no difference between no reason phrase and an empty one.
    if status.rstrip() != answer.status.rstrip():
        raise AssertionError(f"the app said {status!r}, {answer.status!r} came")
    theirs = {name.lower() for name, _ in headers}
    added = {"date", "server", "connection", "content-length", "transfer-encoding"} - theirs
    answer.headers = [(name, value) for name, value in answer.headers if name.lower() not in added]

    def order(pairs):
        return sorted((name.lower(), value.strip(" \t")) for name, value in pairs)

    said, came = order(headers), order(answer.headers)
    if said != came and code not in ("204", "304"):
        raise AssertionError(f"the app said {said}, there came {came}")
    answer.headers = [(name, value.strip(" \t")) for name, value in headers]


def _main():
    deadline = time.monotonic() + TIMEOUT
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, PORT)) == 0:
                break
        if time.monotonic() > deadline:
            print("gowsgi does not listen", file=sys.stderr)
            os._exit(1)
        time.sleep(0.05)
    try:
        importlib.import_module(os.environ["FOREIGN_SUITE"]).run(sys.modules[__name__])
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os.kill(os.getppid(), signal.SIGTERM)  # the master: a worker would be replaced


threading.Thread(target=_main, name="suite", daemon=True).start()
