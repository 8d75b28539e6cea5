"""The Flask application that the Go program serves under /pages/."""

from __future__ import annotations

import threading

from flask import Flask, jsonify, request, url_for
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/hello")
def hello() -> ResponseReturnValue:
    """Greet whom the Go middleware has let in."""
    return jsonify(
        hello=request.remote_user,
        thread=threading.current_thread().name,
        here=url_for("hello", _external=True),
    )


@app.post("/upload")
def upload() -> ResponseReturnValue:
    """Tell how much came."""
    return jsonify(bytes=len(request.get_data()))


@app.get("/error")
def error() -> ResponseReturnValue:
    """Fail: the Go program's log has the traceback."""
    msg = "this is what a bug looks like in the log"
    raise RuntimeError(msg)
