"""An application whose requests do not end in time: PATH_INFO says how, the query for how long."""

import atexit
import ctypes
import faulthandler
import os
import signal
import time

atexit.register(print, "atexit", flush=True)
gil_kept = ctypes.PyDLL(None)  # a call into C that does not release the GIL


def in_python(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def in_c(seconds):
    time.sleep(seconds)


def with_the_gil(seconds):
    gil_kept.usleep(int(seconds * 1e6))


def with_the_alarm(seconds):
    faulthandler.dump_traceback_later(0.3, file=2)
    gil_kept.usleep(int(seconds * 1e6))


def forking(seconds):
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)  # or it would wait for ever
        faulthandler.dump_traceback_later(seconds)
        faulthandler.cancel_dump_traceback_later()
        os._exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def events(seconds):
    for _ in range(20):
        time.sleep(seconds)
        yield b"."


def app(environ, start_response):
    """Does it before the head, or with "/stream" before it after the first chunk."""
    streams, _, name = environ["PATH_INFO"].rpartition("/")
    if streams:
        start_response("200 OK", [])
        yield b"begin"
    if name == "events":
        start_response("200 OK", [])
        yield from events(float(environ["QUERY_STRING"]))
        return
    done = globals()[name](float(environ["QUERY_STRING"]))
    if not streams:
        start_response("200 OK", [])
    yield (done or "done").encode()
