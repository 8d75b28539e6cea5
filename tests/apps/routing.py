"""A dispatcher for the raw WSGI applications: a table from paths to handlers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]


class Routes:
    """A WSGI application made of one handler a path."""

    def __init__(self) -> None:
        """Begin without routes."""
        self._table: dict[str, App] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Call the path's handler."""
        handler = self._table.get(environ["PATH_INFO"])
        if handler is None:
            return answer(start_response, b"no such route", status="404 Not Found")
        return handler(environ, start_response)

    def raw(self, path: str) -> Callable[[App], App]:
        """Register a handler that is a WSGI application itself."""

        def register(handler: App) -> App:
            self._table[path] = handler
            return handler

        return register

    def json(self, path: str) -> Callable[[Callable[[Environ], Any]], Callable[[Environ], Any]]:
        """Register a handler that takes the environ and returns what becomes JSON."""

        def register(handler: Callable[[Environ], Any]) -> Callable[[Environ], Any]:
            def run(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
                body = json.dumps(handler(environ)).encode()
                return answer(start_response, body, ("Content-Type", "application/json"))

            self._table[path] = run
            return handler

        return register


def answer(
    start_response: StartResponse,
    body: bytes,
    *headers: tuple[str, str],
    status: str = "200 OK",
) -> list[bytes]:
    """Answer with a body in one piece and its length."""
    start_response(status, [("Content-Length", str(len(body))), *headers])
    return [body]


def query(environ: Environ) -> dict[str, str]:
    """Return the query string's parameters, none of them escaped."""
    pairs = [pair.partition("=") for pair in environ["QUERY_STRING"].split("&") if pair]
    return {key: value for key, _, value in pairs}
