"""An application with exit handlers."""

import atexit
import signal

signal.signal(signal.SIGTERM, lambda number, frame: print("handler", number, flush=True))
atexit.register(print, "atexit", flush=True)


def app(environ, start_response):
    """Answers."""
    start_response("200 OK", [])
    return [b"served"]
