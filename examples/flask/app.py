"""The demo that `make demo` serves: a page, JSON, a stream and an upload."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
from typing import TYPE_CHECKING

from flask import Flask, abort, jsonify, render_template, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

app = Flask(__name__)

MAX_TICKS = 100


@app.get("/")
def index() -> ResponseReturnValue:
    """Say what answers."""
    return jsonify(
        message="Hello from Flask, served by gowsgi",
        python=platform.python_version(),
        pid=os.getpid(),
        thread=threading.current_thread().name,
    )


@app.get("/hello/<name>")
def hello(name: str) -> ResponseReturnValue:
    """Greet."""
    return jsonify(hello=name)


@app.get("/page")
def page() -> ResponseReturnValue:
    """Show an HTML page to try the rest from."""
    server = request.environ.get("SERVER_SOFTWARE", "")
    return render_template("page.html", server=server, python=platform.python_version())


@app.get("/stream")
def stream() -> ResponseReturnValue:
    """Count, one line every so often: `curl -N` shows them as they come."""
    count = request.args.get("count", 5, type=int)
    pause = request.args.get("pause", 0.5, type=float)
    if not (0 < count <= MAX_TICKS and 0 <= pause <= 1):
        abort(400)

    def ticks() -> Iterator[str]:
        for number in range(1, count + 1):
            yield f"tick {number} of {count}\n"
            if number < count:
                time.sleep(pause)

    return app.response_class(ticks(), mimetype="text/plain")


@app.post("/upload")
def upload() -> ResponseReturnValue:
    """Take a file and tell its size and digest."""
    file = request.files.get("file")
    if file is None:
        return jsonify(error="send a form with a field named file"), 400
    digest, size = hashlib.sha256(), 0
    while piece := file.stream.read(1 << 16):
        digest.update(piece)
        size += len(piece)
    return jsonify(name=file.filename, size=size, sha256=digest.hexdigest())


@app.get("/error")
def error() -> ResponseReturnValue:
    """Fail, to show where the traceback goes: to the log, not to the client."""
    msg = "this is what a bug looks like in the log"
    raise RuntimeError(msg)
