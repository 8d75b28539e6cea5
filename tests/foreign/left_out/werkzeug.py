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
