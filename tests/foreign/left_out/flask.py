"""Tests of Flask that fail when its requests go through gowsgi, and why that is right."""

from __future__ import annotations

from . import Table

TABLE: Table = {
    "test_reqctx.py::test_bad_environ_raises_bad_request": "it fails without gowsgi too, with this version of Werkzeug",
}
