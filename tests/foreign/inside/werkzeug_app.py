"""Serves one of the applications that Werkzeug tests its development server with, as its run.py does."""

from __future__ import annotations

import importlib
import os

from werkzeug.wrappers import Request, Response

_app = importlib.import_module(f"{os.environ['FOREIGN_APP']}_app").app


@Request.application
def app(request):
    """Answer the question whether the server is up; leave the rest to the application."""
    return Response() if request.path == "/ensure" else _app
