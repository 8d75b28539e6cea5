"""The application that package pyembed's tests run: one function for each path."""

from __future__ import annotations

import contextvars
import io
import os
import sys
import tempfile
import threading
import time

TEXT = [("Content-Type", "text/plain")]

closed = 0
_lock = threading.Lock()
kept: list = []
variable = contextvars.ContextVar("variable", default="unset")


class Closing:
    """An iterable that counts its close()."""

    def __init__(self, chunks, error=None):
        self.chunks = iter(chunks)
        self.error = error

    def __iter__(self):
        return self.chunks

    def close(self):
        global closed
        with _lock:
            closed += 1
        if self.error:
            raise self.error


class ClosingList(list):
    """A list that counts its close()."""

    close = Closing.close
    error = None


class OddBytes(bytes):
    """A subclass of bytes."""


def failing(chunks, error):
    """Yields chunks, then raises."""
    yield from chunks
    raise error


def ok(start_response, headers=TEXT):
    """Starts a plain answer."""
    return start_response("200 OK", list(headers))


def route_list(environ, start):
    ok(start)
    return [b"hello"]


def route_tuple(environ, start):
    ok(start)
    return (b"hel", b"", b"lo")


def route_empty(environ, start):
    ok(start)
    return []


def route_subclass_of_bytes(environ, start):
    ok(start)
    return [OddBytes(b"hello")]


def route_generator(environ, start):
    ok(start)
    yield b"hel"
    yield b"lo"


def route_empty_first(environ, start):
    ok(start)
    yield b""
    start("201 Created", TEXT, (ValueError, ValueError("x"), None))
    yield b"changed"


def route_start_in_loop(environ, start):
    yield b""
    ok(start)
    yield b"late"


def route_closing(environ, start):
    ok(start)
    return Closing([b"hel", b"lo"])


def route_closing_list(environ, start):
    ok(start)
    return ClosingList([b"hel", b"lo"])


def route_closing_empty(environ, start):
    ok(start)
    return Closing([])


def route_close_raises(environ, start):
    ok(start)
    return Closing([b"hello"], RuntimeError("in close"))


def route_raises(environ, start):
    raise LookupError("before anything")


def route_raises_after_start(environ, start):
    ok(start)
    raise LookupError("after start_response")


def route_raises_first(environ, start):
    ok(start)
    return Closing(failing([], LookupError("first")))


def route_raises_later(environ, start):
    ok(start)
    return Closing(failing([b"hel", b"lo"], LookupError("later")))


def route_raises_twice(environ, start):
    ok(start)
    return Closing(failing([], LookupError("the cause")), RuntimeError("in close"))


def route_system_exit(environ, start):
    sys.exit(3)


def route_keyboard_interrupt(environ, start):
    raise KeyboardInterrupt


def route_generator_exit(environ, start):
    raise GeneratorExit


def route_stop_iteration(environ, start):
    raise StopIteration("stopped")


def route_bad_str(environ, start):
    class Bad(Exception):
        def __str__(self):
            raise ValueError("no text")

    raise Bad


def route_none(environ, start):
    ok(start)
    return None


def route_bytes(environ, start):
    ok(start)
    return b"hello"


def route_str(environ, start):
    ok(start)
    return "hello"


def route_str_chunk(environ, start):
    ok(start)
    return ["hello"]


def route_str_chunk_later(environ, start):
    ok(start)
    return Closing([b"hel", "lo"])


def route_no_start(environ, start):
    return [b"hello"]


def route_no_start_empty(environ, start):
    return iter([])


def route_start(environ, start):
    """Calls start_response with what the query says, as Python."""
    args, kwargs = eval(f"(lambda *a, **k: (a, k))({environ['QUERY_STRING']})")
    start(*args, **kwargs)
    return [b"started"]


def route_start_twice(environ, start):
    ok(start)
    start("201 Created", TEXT)
    return [b"hello"]


def route_exc_info(environ, start):
    ok(start)
    try:
        raise ValueError("replaced")
    except ValueError:
        start("500 Oops", TEXT, sys.exc_info())
    return [b"sorry"]


def route_exc_info_late(environ, start):
    ok(start)
    yield b"hel"
    try:
        raise ValueError("too late")
    except ValueError:
        start("500 Oops", TEXT, sys.exc_info())
    yield b"lo"


def route_exc_info_odd(environ, start):
    """exc_info that is none, after the head was sent; the query says which."""
    ok(start)(b"sent")
    start("500 Oops", TEXT, eval(environ["QUERY_STRING"]))
    return [b"hello"]


def route_write(environ, start):
    write = ok(start)
    write(b"a")
    write(b"")
    write(b"b")
    return [b"c"]


def route_write_only(environ, start):
    ok(start)(b"all")
    return []


def route_write_generator(environ, start):
    write = ok(start)
    write(b"a")
    yield b"b"
    write(b"c")
    yield b"d"


def route_write_much(environ, start):
    write = ok(start)
    for i in range(100):
        write(bytes([i]) * 10_000)
    return []


def route_write_str(environ, start):
    ok(start)("text")
    return []


def route_write_then_raise(environ, start):
    ok(start)(b"sent")
    raise LookupError("after write")


def route_write_for_ever(environ, start):
    write = ok(start)
    for _ in range(1_000_000):
        write(b"x" * 10_000)
    return []


def route_keep(environ, start):
    kept[:] = [start, ok(start), environ]
    return [b"kept"]


def route_use_kept(environ, start):
    texts = []
    for call in (lambda: kept[0]("200 OK", []), lambda: kept[1](b"x")):
        try:
            call()
        except RuntimeError as e:
            texts.append(str(e))
    texts.append(kept[2]["PATH_INFO"])
    ok(start)
    return ["\n".join(texts).encode()]


def route_context_set(environ, start):
    before = variable.get()
    variable.set("of another request")
    ok(start)
    yield before.encode()
    yield b" " + variable.get().encode()


def route_big_list(environ, start):
    ok(start)
    return [bytes([i % 256]) * 3000 for i in range(1000)]


def route_big_bytes(environ, start):
    ok(start)
    return [b"x" * 5_000_000]


LENT = bytes(range(256)) * 4096


def route_lent(environ, start):
    ok(start)
    return [LENT]


def route_lent_chunks(environ, start):
    ok(start)
    for _ in range(5):
        yield LENT
        yield b"small"


def route_lent_references(environ, start):
    ok(start)
    return [str(sys.getrefcount(LENT)).encode()]


go_on = threading.Event()


def route_slower_next(environ, start):
    """Chunks that come at once, and one that is waited for."""
    ok(start)
    yield b"first"
    yield b"a"
    yield b"b"
    go_on.wait(20)
    go_on.clear()
    yield b"c"
    yield b"d"


def route_go_on(environ, start):
    ok(start)
    go_on.set()
    return [b"gone on"]


def route_quick_chunks(environ, start):
    ok(start)
    for i in range(5000):
        yield b"%d," % i


def route_64_chunks(environ, start):
    ok(start)
    for _ in range(64):
        yield b"z" * 1024


def route_quick_then_raise(environ, start):
    ok(start)
    yield b"first"
    yield from [b"x"] * 10
    raise LookupError("after quick chunks")


def route_quick_and_write(environ, start):
    write = ok(start)
    yield b"first"
    for _ in range(3):
        yield b"a"
        write(b"b")
        yield b"c"


def route_many_empty(environ, start):
    ok(start)
    return [b""] * 10_000 + [b"end"]


def route_endless(environ, start):
    ok(start)

    def chunks():
        while True:
            yield b"x" * 1000

    return Closing(chunks())


def route_file(environ, start):
    file = tempfile.TemporaryFile()
    file.write(b"0123456789")
    file.flush()
    file.seek(4)
    ok(start)
    return environ["wsgi.file_wrapper"](file, 3)


def route_bytes_io(environ, start):
    ok(start)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789"), 3)


def route_file_closed(environ, start):
    class Counting(io.FileIO):
        def close(self):
            global closed
            if not self.closed:
                closed += 1
            super().close()

    ok(start)
    return environ["wsgi.file_wrapper"](Counting(os.devnull))


def route_pipe(environ, start):
    r, w = os.pipe()
    os.write(w, b"from a pipe")
    os.close(w)
    ok(start)
    return environ["wsgi.file_wrapper"](os.fdopen(r, "rb"))


def route_input(environ, start):
    stream = environ["wsgi.input"]
    got = [stream.read(0), stream.read(2), stream.readline(), stream.readline(3), list(stream), stream.read(), stream.readlines()]
    ok(start)
    return [repr(got).encode()]


def route_input_size(environ, start):
    size = len(environ["wsgi.input"].read())
    ok(start)
    return [b"%s of %s in %s" % (str(size).encode(), environ["CONTENT_LENGTH"].encode(), type(environ["wsgi.input"]).__name__.encode())]


def route_environ(environ, start):
    ok(start)
    lines = sorted(f"{k}={v!r}" for k, v in environ.items() if isinstance(v, (str, bool, tuple)))
    lines.append("type " + type(environ).__name__)
    return ["\n".join(lines).encode()]


def route_errors(environ, start):
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    ok(start)
    return [b"ok"]


def route_thread(environ, start):
    ok(start)
    time.sleep(0.002)
    return [threading.current_thread().name.encode()]


def route_closed(environ, start):
    ok(start)
    return [str(closed).encode()]


def app(environ, start_response):
    """Sends each path to the function of its name."""
    return globals()["route_" + environ["PATH_INFO"].lstrip("/")](environ, start_response)


not_callable = 3


def factory(text, end="!"):
    """Makes an application."""
    return lambda environ, start: (ok(start), [(text + end).encode()])[1]


def failing_factory():
    """Makes none."""
    raise ValueError("no application today")
