"""Flask and Django applications behind WebTest's lint and the standard library's validator.

Both check the server as well as the application: each raises where PEP 3333 is broken,
so that the answer is 500. FOREIGN_LINT names the module of the check.
"""

from __future__ import annotations

import hashlib
import importlib
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from flask import Flask, Response, request, send_file

check = importlib.import_module(os.environ["FOREIGN_LINT"])
wrap = getattr(check, "middleware", None) or check.validator
flask_app = Flask(__name__)


@flask_app.route("/echo", methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def flask_echo():
    """Say what came."""
    # The validator does not know that read() may come without a size, as PEP 3333 has it.
    body = b"".join(iter(lambda: request.stream.read(1 << 16), b""))
    return hashlib.sha256(body).hexdigest(), 200, {"X-Method": request.method}


@flask_app.get("/stream")
def flask_stream():
    """Answer in pieces."""
    return Response((f"{number}\n" for number in range(10)), mimetype="text/plain")


@flask_app.get("/file")
def flask_file():
    """Send this file."""
    return send_file(__file__, mimetype="text/plain", conditional=True)


@flask_app.get("/empty")
def flask_empty():
    """Answer without content."""
    response = Response(status=204)
    del response.headers["Content-Type"]  # The validator wants none with 204.
    return response


def django_echo(request):
    """Say what came."""
    return HttpResponse(hashlib.sha256(request.body).hexdigest(), headers={"X-Method": request.method})


def django_stream(_request):
    """Answer in pieces."""
    return StreamingHttpResponse((f"{number}\n" for number in range(10)), content_type="text/plain")


def django_file(_request):
    """Send this file."""
    return FileResponse(open(__file__, "rb"), content_type="text/plain")


def django_empty(_request):
    """Answer without content."""
    response = HttpResponse(status=204)
    del response.headers["Content-Type"]
    return response


urlpatterns = [
    path("echo", django_echo),
    path("stream", django_stream),
    path("file", django_file),
    path("empty", django_empty),
]
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="only for the tests",
    MIDDLEWARE=[],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
)
django.setup()
_checked = {"/flask": wrap(flask_app), "/django": wrap(get_wsgi_application())}


def app(environ, start_response):
    """Choose by the first part of the path, as a mount does."""
    mount = "/" + environ["PATH_INFO"].split("/")[1]
    environ["SCRIPT_NAME"] += mount
    environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(mount)
    return _checked[mount](environ, start_response)
