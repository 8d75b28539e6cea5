"""The request hooks: ``pre_request`` and ``post_request`` around the application."""

from __future__ import annotations

from gowsgi.streams import FileWrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from gowsgi.standins import Worker


def wrap(
    worker: Worker, pre: Callable[..., Any] | None, post: Callable[..., Any] | None
) -> Callable[..., Iterable[bytes]]:
    """Returns an application that runs hooks around ``worker.wsgi``.

    As in gunicorn, what ``pre_request`` raises is a failed request, and what it
    changes in the request reaches the application. ``post_request`` runs once,
    after the answer, however the request ended; what it raises is logged.

    Args:
        worker: The hooks' first argument.
        pre: ``pre_request`` or None.
        post: ``post_request`` with four arguments, or None.

    Returns:
        The application.
    """

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        exchange = _Exchange(worker, Request(environ), post)
        try:
            if pre is not None:
                pre(worker, exchange.request)
                exchange.request.apply(environ)
            exchange.environ = environ
            exchange.response = response = Response(exchange.request)
            worker.nr += 1
            result = worker.wsgi(environ, response.around(start_response))
            return exchange.watch(result)
        except BaseException:
            exchange.end()
            raise

    return application


class Request:
    """gunicorn's Request, made of an environ.

    Attributes:
        method: As the client sent it.
        uri: The request target, as the client sent it.
        path: Its path, not decoded.
        query: Its query.
        fragment: Always empty.
        version: (1, 1) or (1, 0).
        scheme: "http" or "https".
        remote_addr: (address, port), or a text for a unix socket.
        peer_addr: The same.
        body: ``wsgi.input``.
    """

    fragment = ""
    proxy_protocol_info = None
    must_close = False

    def __init__(self, environ: dict[str, Any]) -> None:
        """Creates the request that an environ describes."""
        self._given = (
            environ["REQUEST_METHOD"],
            environ.get("RAW_URI", ""),
            _path(environ.get("RAW_URI", "")),
            environ.get("QUERY_STRING", ""),
            environ["wsgi.url_scheme"],
        )
        self.method, self.uri, self.path, self.query, self.scheme = self._given
        self._fields = environ
        self._headers: list[tuple[str, str]] | None = None
        self.version = (1, 0) if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else (1, 1)
        address, port = environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT")
        self.remote_addr = self.peer_addr = (address, int(port)) if port else address
        self.body = environ.get("wsgi.input")
        self.trailers: list[tuple[str, str]] = []

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields as (NAME, value); those of one name are one."""
        if self._headers is None:
            self._headers = _headers(self._fields)
        return self._headers

    @headers.setter
    def headers(self, headers: list[tuple[str, str]]) -> None:
        self._headers = headers

    def apply(self, environ: dict[str, Any]) -> None:
        """Carries over what a hook changed: gunicorn makes the environ after it."""
        method, uri, path, query, scheme = self._given
        if self.method != method:
            environ["REQUEST_METHOD"] = self.method
        if self.uri != uri:
            environ["RAW_URI"] = environ["REQUEST_URI"] = self.uri
        if self.path != path:
            from urllib.parse import unquote_to_bytes

            decoded = unquote_to_bytes(self.path).decode("latin-1")
            environ["PATH_INFO"] = decoded.removeprefix(environ.get("SCRIPT_NAME", ""))
        if self.query != query:
            environ["QUERY_STRING"] = self.query
        if self.scheme != scheme:
            environ["wsgi.url_scheme"] = self.scheme
            environ.pop("HTTPS", None)
            if self.scheme == "https":
                environ["HTTPS"] = "on"
        if self._headers is not None:
            self._apply_headers(environ)

    def _apply_headers(self, environ: dict[str, Any]) -> None:
        wanted: dict[str, str] = {}
        for name, value in self.headers:
            key = _key(name)
            wanted[key] = f"{wanted[key]},{value}" if key in wanted else value
        for name, _ in _headers(environ):
            if _key(name) not in wanted:
                del environ[_key(name)]
        environ.update(wanted)

    def should_close(self) -> bool:
        """Tells whether the client asked for the end of its connection."""
        connection = self._fields.get("HTTP_CONNECTION", "").lower().strip()
        return connection == "close" or (self.version == (1, 0) and connection != "keep-alive")


_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (key.removeprefix("HTTP_").replace("_", "-"), value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in _UNPREFIXED
    ]


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _UNPREFIXED else "HTTP_" + key


def _path(target: str) -> str:
    path = target.partition("?")[0]
    if path.startswith("/") or "://" not in path:
        return path
    return "/" + path.partition("://")[2].partition("/")[2]


class Response:
    """gunicorn's Response, as far as it can be seen from here.

    Attributes:
        status: The status line, None before start_response.
        status_code: Its number.
        headers: What the application gave, as (name, value).
        response_length: The Content-Length, or None.
        sent: The bytes of the body handed to the server so far; those of a file
            that the server sends itself are not counted.
        headers_sent: The body has begun.
    """

    def __init__(self, request: Request) -> None:
        """Creates the response before the application has begun it."""
        self.req = request
        self.status: str | None = None
        self.status_code: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.response_length: int | None = None
        self.sent = 0
        self.headers_sent = False

    def around(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a start_response that notes what it is given."""

        def start(status: str, response_headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., Any]:
            write = start_response(status, response_headers, exc_info)
            self.status, self.status_code = status, int(status[:3])  # the server has checked them
            self.headers = list(response_headers)
            lengths = [value for name, value in self.headers if name.lower() == "content-length"]
            self.response_length = int(lengths[0]) if lengths else None

            def counted(data: bytes) -> Any:
                written = write(data)
                self.count(data)
                return written

            return counted

        return start

    def count(self, data: bytes) -> None:
        """Counts a part of the body."""
        self.headers_sent = True
        if isinstance(data, bytes):
            self.sent += len(data)


class _Exchange:
    """One request from its start to the call of ``post_request``."""

    response: Response | None = None

    def __init__(self, worker: Worker, request: Request, post: Callable[..., Any] | None) -> None:
        self._worker = worker
        self._post = post
        self.request = request
        self.environ: dict[str, Any] = {}

    def end(self) -> None:
        post, self._post = self._post, None
        if post is None:
            return
        try:
            post(self._worker, self.request, self.environ, self.response)
        except Exception:
            self._worker.log.exception("Exception in post_request hook")

    def watch(self, result: Any) -> Iterable[bytes]:
        """Has the end of an answer run the hook."""
        if type(result) is FileWrapper:
            # The server sends the file itself, if it is given the wrapper.
            result.close = _Closer(getattr(result, "close", None), self)
            return result
        if isinstance(result, (bytes, str)):
            self.end()
            return result  # type: ignore[return-value]  # which the server refuses
        return _Body(result, self)


class _Closer:
    def __init__(self, close: Callable[[], object] | None, exchange: _Exchange) -> None:
        self._close = close
        self._exchange = exchange

    def __call__(self) -> None:
        try:
            if self._close is not None:
                self._close()
        finally:
            self._exchange.end()


class _Body:
    def __init__(self, result: Iterable[bytes], exchange: _Exchange) -> None:
        self._result = result
        self._exchange = exchange
        self.close = _Closer(getattr(result, "close", None), exchange)

    def __iter__(self) -> Iterator[bytes]:
        response = self._exchange.response
        assert response is not None
        for chunk in self._result:
            response.count(chunk)
            yield chunk
