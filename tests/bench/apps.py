"""The applications that servers are compared on."""

import functools
import tempfile
import time
from wsgiref.util import FileWrapper

from flask import Flask, jsonify, request

TEXT = ("Content-Type", "text/plain")
BINARY = ("Content-Type", "application/octet-stream")
BODY10K = b"x" * 10240
BIG = b"y" * (1 << 20)


def hello(environ, start_response):
    """13 bytes."""
    start_response("200 OK", [TEXT, ("Content-Length", "13")])
    return [b"Hello, World!"]


def get10k(environ, start_response):
    """10 KB."""
    start_response("200 OK", [TEXT, ("Content-Length", "10240")])
    return [BODY10K]


def big(environ, start_response):
    """1 MB."""
    start_response("200 OK", [BINARY, ("Content-Length", str(len(BIG)))])
    return [BIG]


def echo(environ, start_response):
    """The request's body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [BINARY, ("Content-Length", str(len(body)))])
    return [body]


def stream(environ, start_response):
    """64 chunks of 1 KB."""
    start_response("200 OK", [TEXT])
    return (b"z" * 1024 for _ in range(64))


def sleep10(environ, start_response):
    """Waits 10 ms, as for a database."""
    time.sleep(0.01)
    start_response("200 OK", [TEXT, ("Content-Length", "2")])
    return [b"ok"]


def cpu1ms(environ, start_response):
    """Computes for about 1 ms."""
    total = 0
    for i in range(20000):
        total += i
    body = str(total).encode()
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def mixed(environ, start_response):
    """13 bytes at once, or after 50 ms from /slow."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.05)
    return hello(environ, start_response)


def upload(environ, start_response):
    """13 bytes, after the body of a POST was read."""
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
    return hello(environ, start_response)


@functools.cache
def ten_megabytes():
    """Makes a file that vanishes with the process."""
    file = tempfile.TemporaryFile()
    file.write(b"f" * (10 << 20))
    file.flush()
    return file


def file10m(environ, start_response):
    """10 MB from a file, by the server's own wrapper if it has one."""
    file = open(f"/proc/self/fd/{ten_megabytes().fileno()}", "rb")
    start_response("200 OK", [BINARY, ("Content-Length", str(10 << 20))])
    return environ.get("wsgi.file_wrapper", FileWrapper)(file, 65536)


flask = Flask(__name__)


@flask.get("/")
def index():
    """JSON from Flask."""
    return jsonify(message="Hello, World!")


@flask.get("/user/<int:uid>")
def user(uid):
    """JSON with a path and a query argument."""
    return jsonify(id=uid, q=request.args.get("q"))
