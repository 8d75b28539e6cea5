"""A Flask application: sessions, uploads, files with ranges, server-sent events."""

from __future__ import annotations

import hashlib
import io
import time
from typing import TYPE_CHECKING

from flask import Flask, jsonify, make_response, request, send_file, session, stream_with_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

app = Flask(__name__)
app.secret_key = "only for the tests"

DOCUMENT = bytes(range(256)) * 4096


@app.get("/login/<name>")
def login(name: str) -> ResponseReturnValue:
    """Begin a session."""
    session["name"] = name
    session["visits"] = 0
    return jsonify(name=name)


@app.get("/visit")
def visit() -> ResponseReturnValue:
    """Count in the session."""
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(name=session.get("name"), visits=session["visits"])


@app.post("/upload")
def upload() -> ResponseReturnValue:
    """Take several files and fields."""
    return jsonify(
        fields=request.form.to_dict(),
        files={file.filename: hashlib.sha256(file.read()).hexdigest() for file in request.files.getlist("file")},
    )


@app.route("/json", methods=["POST", "PUT", "PATCH", "DELETE"])
def echo_json() -> ResponseReturnValue:
    """Return what was sent."""
    return jsonify(method=request.method, sent=request.get_json())


@app.get("/document")
def document() -> ResponseReturnValue:
    """Send a document, or the part that is asked for."""
    return send_file(
        io.BytesIO(DOCUMENT),
        mimetype="application/octet-stream",
        download_name="document.bin",
        conditional=True,
        etag=hashlib.sha256(DOCUMENT).hexdigest(),
    )


@app.get("/this-file")
def this_file() -> ResponseReturnValue:
    """Send a file of the file system."""
    return send_file(__file__, conditional=True)


@app.get("/events")
def events() -> ResponseReturnValue:
    """Send five events, a fifth of a second apart."""

    @stream_with_context
    def generate() -> Iterator[str]:
        for number in range(5):
            yield f"id: {number}\ndata: {request.args['topic']} {time.time()}\n\n"
            time.sleep(0.2)

    return app.response_class(generate(), mimetype="text/event-stream")


@app.get("/cookies")
def cookies() -> ResponseReturnValue:
    """Set two cookies and show those that came."""
    response = make_response(jsonify(request.cookies))
    response.set_cookie("first", "1")
    response.set_cookie("second", "two words", httponly=True, samesite="Lax")
    return response


@app.get("/where/<path:rest>")
def where(rest: str) -> ResponseReturnValue:
    """Show how the address was understood."""
    return jsonify(rest=rest, url=request.url, args=request.args.to_dict(flat=False), ip=request.remote_addr)


@app.get("/raise")
def fail() -> ResponseReturnValue:
    """Fail."""
    secret = "the client must not see this"
    raise RuntimeError(secret)


@app.teardown_request
def teardown(_error: BaseException | None) -> None:
    """Tell that a request is over."""
    print("teardown", request.path, flush=True)
