"""Tells what it was called with; counts its calls in a file, so that none goes unseen."""

from __future__ import annotations

import json
import os


def app(environ, start_response):
    """Answer with the environ's strings and the body, each byte as a character."""
    with open(os.environ["FOREIGN_CALLS"], "ab", buffering=0) as calls:
        calls.write(b".")
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    told["body"] = environ["wsgi.input"].read().decode("latin-1")
    answer = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [answer]
