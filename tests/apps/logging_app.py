"""raw.app with routes that log in all the ways there are, and what log configurations name."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from raw import app
from routing import answer, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routing import Environ, StartResponse

# As Flask's users do it.
log = logging.getLogger("site")
log.handlers = logging.getLogger("gunicorn.error").handlers
log.setLevel(logging.getLogger("gunicorn.error").level)


@app.json("/log")
def log_words(environ: Environ) -> Any:
    """Say ?word in every way."""
    word = query(environ)["word"]
    log.info("logged %s", word)
    log.debug("hidden %s", word)
    print("printed", word)
    print("complained", word, file=sys.stderr)
    environ["wsgi.errors"].write(f"wsgi.errors {word}\n")
    subprocess.run(["echo", "echoed", word], check=True)
    return word


@app.raw("/fields")
def fields(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with fields to log."""
    return answer(start_response, b"fields", ("X-Trace", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", 'c="d"'))


class JSONLines(logging.Formatter):
    """A formatter as people write it for gunicorn: it takes an access line's atoms."""

    def format(self, record: logging.LogRecord) -> str:
        """Make a JSON object."""
        members = {"logger": record.name, "level": record.levelname, "message": record.getMessage()}
        if record.name == "gunicorn.access":
            members.update(status=record.args["s"], path=record.args["U"], agent=record.args["{user-agent}i"])
        if record.exc_text:
            members["exception"] = record.exc_text
        return json.dumps(members)


class OwnLogger:
    """A logger class that is not derived from gunicorn's."""

    def __init__(self, cfg: Any) -> None:
        """Take the settings."""
        self.cfg = cfg

    def access(self, resp: Any, req: Any, environ: Environ, request_time: Any) -> None:
        """Write an access line."""
        took = 0 <= request_time.total_seconds() < 10
        print("access", resp.status, resp.sent, req.method, environ["RAW_URI"], self.cfg.loglevel, took)

    def info(self, msg: str, *_args: object) -> None:
        """Write a line of the error log."""
        print("info", msg)

    error = warning = debug = info
