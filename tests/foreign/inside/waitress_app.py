"""Serves one of waitress's fixture applications, named by FOREIGN_APP as MODULE:ATTRIBUTE."""

from __future__ import annotations

import importlib
import os

_module, _, _attribute = os.environ["FOREIGN_APP"].partition(":")
_app = getattr(importlib.import_module(_module), _attribute)


def app(environ, start_response):
    """Call it, with a variable that is waitress's own and that one of them demands."""
    environ.setdefault("REMOTE_HOST", environ["REMOTE_ADDR"])
    return _app(environ, start_response)
