import io
import sys

import pytest

from gowsgi import exchange
from gowsgi.config import Config
from gowsgi.embed import base_environ
from gowsgi.standins import Cfg, Server, Worker
from gowsgi.streams import FileWrapper


class Server_:
    """Calls an application as the C side does, and notes in which order things happen."""

    def __init__(self, app, pre=None, post=None):
        self.worker = Worker(Server(1, Cfg({}, Config(), {})), 1)
        self.worker.wsgi = app
        self.app = exchange.wrap(self.worker, pre, post)
        self.started = []

    def start_response(self, status, headers, exc_info=None):
        self.started.append((status, headers, exc_info))
        return lambda data: len(data)

    def get(self, chunks=100, **environ):
        environ = {
            **base_environ(),
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/a%20b?x=1",
            "REQUEST_URI": "/a%20b?x=1",
            "PATH_INFO": "/a b",
            "QUERY_STRING": "x=1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"body"),
            "REMOTE_ADDR": "10.0.0.1",
            "REMOTE_PORT": "4711",
            "HTTP_HOST": "site",
            "HTTP_X_ONE": "1",
            **environ,
        }
        self.environ = environ
        result = self.app(environ, self.start_response)
        try:
            return [chunk for chunk, _ in zip(result, range(chunks), strict=False)]
        finally:
            if hasattr(result, "close"):
                result.close()


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "5"), ("X-Two", "2")])
    return [b"hel", b"lo"]


def test_what_the_hooks_see():
    seen = []

    def pre(worker, req):
        req.start = "attributes can be added"
        seen.append((worker.nr, req.method, req.uri, req.path, req.query, req.fragment, req.version, req.scheme))
        seen.append((req.remote_addr, req.peer_addr, req.body.read(), sorted(req.headers), req.should_close()))

    def post(worker, req, environ, resp):
        seen.append((worker.nr, req.start, environ["PATH_INFO"], resp.status, resp.status_code, resp.headers))
        seen.append((resp.response_length, resp.sent, resp.headers_sent, resp.req is req))

    server = Server_(hello, pre, post)
    assert server.get() == [b"hel", b"lo"]
    assert seen == [
        (0, "GET", "/a%20b?x=1", "/a%20b", "x=1", "", (1, 1), "http"),
        (("10.0.0.1", 4711), ("10.0.0.1", 4711), b"body", [("HOST", "site"), ("X-ONE", "1")], False),
        (1, "attributes can be added", "/a b", "200 OK", 200, [("Content-Length", "5"), ("X-Two", "2")]),
        (5, 5, True, True),
    ]
    server.get()
    assert seen[-2][0] == 2


@pytest.mark.parametrize(
    ("target", "path"),
    [("/", "/"), ("//x", "//x"), ("http://site/a?b", "/a"), ("http://site", "/"), ("*", "*"), ("/x://y", "/x://y")],
)
def test_paths(target, path):
    paths = []
    Server_(hello, lambda worker, req: paths.append(req.path)).get(RAW_URI=target)
    assert paths == [path]


def test_other_requests():
    seen = []

    def pre(worker, req):
        seen.append((req.version, req.remote_addr, sorted(req.headers), req.should_close()))

    server = Server_(hello, pre)
    server.get(SERVER_PROTOCOL="HTTP/1.0", REMOTE_ADDR="", REMOTE_PORT="", CONTENT_TYPE="a/b", CONTENT_LENGTH="3")
    server.get(HTTP_CONNECTION="Close")
    assert seen[0] == (
        (1, 0),
        "",
        [("CONTENT-LENGTH", "3"), ("CONTENT-TYPE", "a/b"), ("HOST", "site"), ("X-ONE", "1")],
        True,
    )
    assert seen[1][3] is True


def test_what_pre_request_changes_reaches_the_application():
    def pre(worker, req):
        req.method, req.scheme, req.path, req.query = "POST", "https", "/mount/new%20path", "y=2"
        req.uri = "/mount/new%20path?y=2"
        req.headers.append(("X-FORWARDED-PROTO", "https"))
        req.headers.append(("X-Forwarded-Proto", "http"))
        req.headers.append(("CONTENT-TYPE", "a/b"))
        req.headers.remove(("X-ONE", "1"))

    server = Server_(hello, pre)
    before = set(server.get(SCRIPT_NAME="/mount") and server.environ)
    environ = server.environ
    assert environ["REQUEST_METHOD"] == "POST"
    assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/new path", "y=2")
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/mount/new%20path?y=2"
    assert (environ["HTTP_X_FORWARDED_PROTO"], environ["CONTENT_TYPE"]) == ("https,http", "a/b")
    assert environ["HTTP_HOST"] == "site"
    assert "HTTP_X_ONE" not in before


def test_what_pre_request_only_reads_stays():
    server = Server_(hello, lambda worker, req: list(req.headers))
    server.get()
    after = dict(server.environ)
    server = Server_(hello)
    server.get()
    drop = ("wsgi.input", "wsgi.errors")
    assert {k: v for k, v in after.items() if k not in drop} == {
        k: v for k, v in server.environ.items() if k not in drop
    }


def test_headers_can_be_replaced():
    def pre(worker, req):
        req.headers = [("HOST", "other")]

    server = Server_(hello, pre)
    server.get()
    assert {key: value for key, value in server.environ.items() if key.startswith("HTTP_")} == {"HTTP_HOST": "other"}


class Closing:
    def __init__(self, events, chunks=(b"a", b"b")):
        self.events = events
        self.chunks = chunks

    def __iter__(self):
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self):
        self.events.append("close")


def run(result, **kwargs):
    events = []

    def app(environ, start_response):
        start_response("200 OK", [])
        events.append("app")
        made = result(events) if callable(result) else result
        if isinstance(made, BaseException):
            raise made
        return made

    def post(worker, req, environ, resp):
        events.append(f"post {resp.sent}")

    server = Server_(app, None, post)
    try:
        events.append(server.get(**kwargs))
    except BaseException as exc:
        events.append(type(exc).__name__)
    return events


def test_post_request_runs_once_at_the_end():
    assert run([b"a", b"bc"]) == ["app", "post 3", [b"a", b"bc"]]
    assert run((b"",)) == ["app", "post 0", [b""]]
    assert run(iter([b"ab"])) == ["app", "post 2", [b"ab"]]
    assert run(Closing) == ["app", "close", "post 2", [b"a", b"b"]]
    assert run(Closing, chunks=1) == ["app", "close", "post 2", [b"a"]]  # one too many was asked for
    assert run(lambda events: Closing(events, [b"a", ValueError()])) == ["app", "close", "post 1", "ValueError"]
    assert run(ValueError()) == ["app", "post 0", "ValueError"]
    assert run(SystemExit()) == ["app", "post 0", "SystemExit"]
    assert run(None) == ["app", "post 0", "TypeError"]
    assert run(["text"]) == ["app", "post 0", ["text"]]  # the server's to refuse
    assert run(b"ab")[:2] == ["app", "post 0"]


def test_close_twice_runs_it_once():
    events = []
    server = Server_(hello, None, lambda *args: events.append(1))
    server.get()
    result = server.app(server.environ, server.start_response)
    result.close()
    result.close()
    assert events == [1, 1]


def test_a_failing_close():
    class Failing(Closing):
        def close(self):
            super().close()
            raise OSError

    assert run(Failing) == ["app", "close", "post 2", "OSError"]


def test_pre_request_that_raises_fails_the_request():
    seen = []

    def pre(worker, req):
        raise PermissionError("no")

    server = Server_(hello, pre, lambda *args: seen.append(args[2:]))
    with pytest.raises(PermissionError):
        server.get()
    # As gunicorn calls it then.
    assert seen == [({}, None)]
    assert server.worker.nr == 0


def test_post_request_that_raises_is_logged():
    logged = []

    class Log:
        def exception(self, message):
            logged.append((message, repr(sys.exc_info()[1])))

    def post(*args):
        raise ValueError("post failed")

    server = Server_(hello, None, post)
    server.worker.log = Log()
    assert server.get() == [b"hel", b"lo"]
    assert logged == [("Exception in post_request hook", "ValueError('post failed')")]


def test_a_file_stays_the_servers_to_send(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "7")])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    server = Server_(app, None, lambda worker, req, environ, resp: seen.append(resp.status))
    server.get()
    result = server.app(server.environ, server.start_response)
    assert type(result) is FileWrapper
    assert not result.filelike.closed
    seen.clear()
    result.close()
    assert result.filelike.closed
    result.close()
    assert seen == ["200 OK"]

    class NoClose:
        def read(self, size):
            return b""

    server.worker.wsgi = lambda environ, start_response: FileWrapper(NoClose())
    result = server.app(server.environ, server.start_response)
    assert type(result) is FileWrapper
    result.close()
    assert seen == ["200 OK", None]


def test_write_and_a_second_start():
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "9")])
        try:
            raise ValueError
        except ValueError as exc:
            write = start_response("500 Bad", [], exc_info=(ValueError, exc, exc.__traceback__))
        seen.append(write(b"abc"))
        return [b"d"]

    server = Server_(app, None, lambda worker, req, environ, resp: seen.append((vars(resp), resp.req)))
    server.get()
    assert seen[0] == 3
    response = seen[1][0]
    assert (response["status_code"], response["response_length"], response["sent"]) == (500, None, 4)
    assert [bool(exc_info) for _, _, exc_info in server.started] == [False, True]


def test_a_start_that_the_server_refuses_leaves_no_trace():
    seen = []

    def app(environ, start_response):
        with pytest.raises(ValueError, match="refused"):
            start_response("bad", [])
        return []

    def refuse(status, headers, exc_info=None):
        raise ValueError("refused")

    server = Server_(app, None, lambda worker, req, environ, resp: seen.append(resp.status))
    server.start_response = refuse
    server.get()
    assert seen == [None]


def test_an_application_put_in_later_is_served():
    server = Server_(hello, None, lambda *args: None)
    server.worker.wsgi = lambda environ, start_response: [b"later"]
    assert server.get() == [b"later"]
