"""Tests of Werkzeug that fail when its requests go through gowsgi, and why that is right."""

from __future__ import annotations

from . import Table

REFUSED = "the application breaks PEP 3333 to see the lint middleware warn; gowsgi refuses it in start_response"
TEXT = "the application yields str, which PEP 3333 forbids and gowsgi answers with 500"

TABLE: Table = {
    "middleware/test_lint.py::test_lint_middleware_check_environ[[]wsgi.version-*": (
        "the client sends a wsgi.version of its own; the application gets gowsgi's"
    ),
    "middleware/test_lint.py::test_lint_middleware_http_headers[[]headers0-*": REFUSED,
    "middleware/test_lint.py::test_lint_middleware_http_headers[[]headers1-*": REFUSED,
    "middleware/test_lint.py::test_lint_middleware_invalid_status": REFUSED,
    "test_test.py::test_path_info_script_name_unquoting": TEXT,
    "test_wsgi.py::test_closing_iterator": TEXT,
}

# Of test_serving.py: what is not started at all, since it would never be ready.
OWN = "about Werkzeug's own reloader or arguments, not about a server"
TLS = "TLS, which gowsgi leaves to the proxy in front of it"
SERVING_NOT_RUN: Table = {
    "test_server[[]https]": TLS,
    "test_ssl_*": TLS,
    "test_server[[]reloader]": OWN,
    "test_reloader_*": OWN,
    "test_watchdog_*": OWN,
    "test_exclude_patterns*": OWN,
    "test_port_is_int": OWN,
    "test_windows_*": OWN,
}

SERVING: Table = {
    "test_serving.py::test_chunked_request[[]False]": (
        "it wants Transfer-Encoding in the environ; gowsgi has decoded the body and says its length instead"
    ),
    "test_serving.py::test_chunked_request[[]True]": (
        "Transfer-Encoding beside a Content-Length that is no number must be refused (RFC 9112, 6.3)"
    ),
    "test_serving.py::test_server[[]unix socket]": "its client sends the socket's path as Host: 400 (RFC 9112, 3.2)",
    "test_serving.py::test_double_slash_path": "Werkzeug's server makes // one slash; gowsgi keeps the path",
    "test_serving.py::test_multiline_header_folding": "obs-fold, which RFC 9112, 5.2, lets a server refuse",
    "test_serving.py::test_multiple_headers_concatenated": (
        "it wants the white space after a value kept, which is no part of it (RFC 9112, 5.1)"
    ),
    "test_serving.py::test_streaming_close_response*": "it wants an answer as HTTP/1.0 to HTTP/1.1",
    "test_serving.py::test_untrusted_host": "a fragment in the target, which no form of it allows (RFC 9112, 3.2)",
}
