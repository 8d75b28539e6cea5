"""The probe: one WSGI app that does what the request tells it to, and notes what it saw.

Notes go to a file named after the request's token in $CONFORMANCE_EVENTS, one JSON list a line,
so that the suite reads them without another request, also when the server is gone.

Routes: /ok, /echo (answers the body), /env (environ as JSON), /input (runs X-Ops on wsgi.input),
/spec (runs the Program in X-Spec), /file (wsgi.file_wrapper), /big (bytes=N), /errors.
Every other path is answered as /env.
"""

from __future__ import annotations

import ast
import contextvars
import io
import json
import os
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qs

EVENTS = os.environ.get("CONFORMANCE_EVENTS", "")


CONTEXT = contextvars.ContextVar("probe", default="fresh")


class OwnBase(BaseException):
    """Not an Exception."""


class Evil(Exception):
    """Cannot even be printed."""

    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


RAISES = {
    c.__name__: c
    for c in (
        ValueError,
        OSError,
        SystemExit,
        KeyboardInterrupt,
        GeneratorExit,
        StopIteration,
        OwnBase,
        Evil,
        RecursionError,
        MemoryError,
        ConnectionResetError,
        BrokenPipeError,
        TimeoutError,
        StopAsyncIteration,
        AssertionError,
        EOFError,
    )
}


def note(token, *event):
    """Appends one event to the notes of that token."""
    if EVENTS and token.isalnum():
        with open(os.path.join(EVENTS, token), "ab", buffering=0) as out:
            out.write(json.dumps(event).encode() + b"\n")


def token_of(environ):
    """Finds the token in X-T or in the query."""
    return environ.get("HTTP_X_T") or parse_qs(environ.get("QUERY_STRING", "")).get("t", [""])[0]


def application(environ, start_response):
    """Dispatches on the first segment of the path."""
    token = token_of(environ)
    note(token, "call", f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}")
    path = environ.get("PATH_INFO", "")
    route = ROUTES.get(path.strip("/").split("/")[0], env)
    return route(environ, start_response, token)


def answer(start_response, data, kind="text/plain"):
    """Answers 200 with that body."""
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(data)))])
    return [data]


def answer_json(start_response, doc):
    """Answers a document as JSON."""
    return answer(start_response, json.dumps(doc, default=repr).encode(), "application/json")


def ok(environ, start_response, token):
    """Answers without looking at the body."""
    return answer(start_response, b"ok")


def echo(environ, start_response, token):
    """Reads the body to its end and answers it."""
    data = b""
    try:
        while chunk := environ["wsgi.input"].read(65536):
            data += chunk
    except BaseException as err:
        note(token, "read-error", type(err).__name__)
        raise
    note(token, "read", len(data))
    return answer(start_response, data)


def env(environ, start_response, token):
    """Reports the environ: values, types, and facts that JSON cannot carry."""
    values = {
        k: v if isinstance(v, (str, bool, int)) else list(v) if isinstance(v, tuple) else repr(v)
        for k, v in environ.items()
    }
    text = [k for k, v in environ.items() if not isinstance(v, (str, bytes)) and (k.isupper())]
    wide = [
        k
        for k, v in environ.items()
        if isinstance(v, str) and any(ord(c) > 255 for c in v) and k.isupper() and "." not in k
    ]
    inp, err = environ.get("wsgi.input"), environ.get("wsgi.errors")
    return answer_json(
        start_response,
        {
            "environ": values,
            "types": {k: type(v).__name__ for k, v in environ.items()},
            "dict": type(environ) is dict,
            "nonstr": text,
            "wide": wide,
            "empty": [k for k, v in environ.items() if v == "" and k in ("CONTENT_TYPE", "CONTENT_LENGTH")],
            "httpct": [k for k in environ if k in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")],
            "keys": all(type(k) is str for k in environ),
            "input": [n for n in ("read", "readline", "readlines", "__iter__") if not hasattr(inp, n)],
            "errors": [n for n in ("flush", "write", "writelines") if not hasattr(err, n)],
            "callable": callable(start_response),
            "gateway": environ.get("GATEWAY_INTERFACE", "CGI/1.1"),
            "lower": [k for k in environ if k.startswith("HTTP_") and k != k.upper()],
        },
    )


def read_input(environ, start_response, token):
    """Runs the (method, args...) of X-Ops on wsgi.input and answers the results."""
    inp, results = environ["wsgi.input"], []
    for name, *args in ast.literal_eval(environ["HTTP_X_OPS"]):
        try:
            if name == "iter":
                got = list(inp)
            elif name == "next":
                got = next(iter(inp), "end")
            else:
                got = getattr(inp, name)(*args)
            if not isinstance(got, (bytes, list, str)):
                got = type(got).__name__
        except Exception as err:
            got = "raised " + type(err).__name__
        results.append(plain(got))
    return answer_json(
        start_response,
        {
            "results": results,
            "length": environ.get("CONTENT_LENGTH", "absent"),
            "te": environ.get("HTTP_TRANSFER_ENCODING", "absent"),
            "terminated": environ.get("wsgi.input_terminated", "absent"),
            "trailer": environ.get("HTTP_X_TRAILER", "absent"),
            "expect": environ.get("HTTP_EXPECT", "absent"),
        },
    )


def plain(value):
    """Makes bytes latin-1 text, inside lists too."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Program:
    """What X-Spec asks for.

    app: ops run before the iterable is returned; iter: ops run by the iterable; close: ops run by
    its close(); kind: what is returned. Ops: ('start'|'restart', status, headers), ('try', op),
    ('write', data), ('yield', data), ('raise', name), ('sleep', s), ('read',), ('note', word),
    ('change',) to mutate the header list given before, ('environ',) to note what environ holds now,
    ('later',) to note it from a thread after 0.2 s, ('context',) to note a context variable and set it.
    """

    def __init__(self, environ, start_response, token):
        self.environ, self.start_response, self.token = environ, start_response, token
        doc = ast.literal_eval(environ["HTTP_X_SPEC"])
        self.app = doc.get("app", [("start", "200 OK", [("X-App", "first")])])
        self.iter, self.close, self.kind = doc.get("iter", []), doc.get("close", []), doc.get("kind", "iter")
        self.writer, self.headers = None, []

    def note(self, *event):
        note(self.token, *event)

    def run(self, ops):
        """Runs ops that yield nothing."""
        for op in ops:
            self.do(op)

    def do(self, op):
        """Runs one op."""
        getattr(self, "op_" + op[0])(*op[1:])

    def op_try(self, op):
        try:
            self.do(op)
        except BaseException as err:
            self.note("caught", type(err).__name__)

    def op_start(self, status, headers):
        self.headers = headers
        try:
            self.writer = self.start_response(status, headers)
        except BaseException as err:
            self.note("start-raised", type(err).__name__)
            raise
        self.note("writer", callable(self.writer))

    def op_restart(self, status, headers):
        try:
            raise LookupError("SECRET original")
        except LookupError:
            try:
                self.writer = self.start_response(status, headers, sys.exc_info())
            except BaseException as err:
                self.note("restart-raised", type(err).__name__)
                raise
        self.note("restarted")

    def op_named(self, status, headers):
        self.writer = self.start_response(status=status, response_headers=headers)

    def op_none(self, status, headers):
        self.writer = self.start_response(status, headers, None)

    def op_write(self, data):
        try:
            got = self.writer(data)
        except BaseException as err:
            self.note("write-raised", type(err).__name__)
            raise
        self.note("wrote", repr(got))

    def op_raise(self, name):
        self.note("raising", name)
        if name == "sys.exit":
            sys.exit(3)
        if name == "recursion":
            self.op_raise_deep()
        raise RAISES[name]("SECRET")

    def op_raise_deep(self):
        self.op_raise_deep()

    def op_sleep(self, seconds):
        time.sleep(seconds)

    def op_read(self, count=-1):
        self.note("read", len(self.environ["wsgi.input"].read(count)))

    def op_note(self, word):
        self.note(word)

    def op_change(self):
        self.headers.append(("X-Late", "SECRET"))

    def op_environ(self):
        self.note("environ", self.environ.get("PATH_INFO"), len(self.environ) > 10)

    def op_context(self):
        self.note("context", CONTEXT.get())
        CONTEXT.set("leaked")

    def op_later(self):
        threading.Thread(target=self.look_later).start()

    def look_later(self):
        time.sleep(0.2)
        self.note("later", self.environ.get("PATH_INFO"), "wsgi.input" in self.environ, len(self.environ) > 10)

    def op_big(self, count):
        self.writer(b"x" * count)

    def wrap(self, value):
        """Turns ('big', n) into n bytes, and other marks into objects a literal cannot write."""
        marks = {
            "bytearray": lambda v: bytearray(v),
            "memoryview": lambda v: memoryview(v),
            "big": lambda v: b"x" * v,
            "object": lambda v: object(),
        }
        return marks[value[0]](value[1]) if isinstance(value, tuple) and value and value[0] in marks else value

    def values(self):
        return [self.wrap(op[1]) for op in self.iter if op[0] == "yield"]


class Steps:
    """Runs ops and stops at each ('yield', data); no generator, so that StopIteration gets out."""

    def __init__(self, program):
        self.program, self.left = program, list(program.iter)

    def __iter__(self):
        return self

    def __next__(self):
        while self.left:
            op = self.left.pop(0)
            if op[0] == "yield":
                self.program.note("yield")
                return self.program.wrap(op[1])
            self.program.do(op)
        raise StopIteration


class Iterator:
    """An iterator with close()."""

    def __init__(self, program):
        self.program, self.steps = program, Steps(program)

    def __iter__(self):
        self.program.note("iter")
        return self

    def __next__(self):
        return next(self.steps)

    def close(self):
        self.program.note("close")
        self.program.run(self.program.close)


class Iterable(Iterator):
    """Not its own iterator, so that close() must be called on what the app returned."""

    def __iter__(self):
        self.program.note("iter")
        return self.steps

    __next__ = None


class NoIter(Iterator):
    """Fails in __iter__."""

    def __iter__(self):
        raise ValueError("SECRET")


class GetItem:
    """The old sequence protocol: __getitem__ only."""

    def __init__(self, program):
        self.items = program.values()

    def __getitem__(self, index):
        return self.items[index]


class Sized(Iterator):
    """Says len() == 1."""

    def __len__(self):
        return 1


class Closing:
    """A mixin that notes close()."""

    program = None

    def close(self):
        self.program.note("close")
        self.program.run(self.program.close)


class ListSub(Closing, list):
    """A list with close()."""


class TupleSub(Closing, tuple):
    """A tuple with close()."""


class BytesSub(bytes):
    """A subclass of bytes."""


def generator(program):
    """A real generator whose finally notes its end."""
    try:
        yield from Steps(program)
    finally:
        program.note("finally")


def closing(cls, program):
    """Makes a list or tuple that has close()."""
    made = cls(program.values())
    made.program = program
    return made


KINDS = {
    "iter": Iterator,
    "iterable": Iterable,
    "noiter": NoIter,
    "getitem": GetItem,
    "sized": Sized,
    "gen": generator,
    "list": lambda p: p.values(),
    "tuple": lambda p: tuple(p.values()),
    "set": lambda p: set(p.values()),
    "dict": lambda p: dict.fromkeys(p.values()),
    "map": lambda p: map(bytes, p.values()),
    "listiter": lambda p: iter(p.values()),
    "listsub": lambda p: closing(ListSub, p),
    "tuplesub": lambda p: closing(TupleSub, p),
    "bytessub": lambda p: [BytesSub(v) for v in p.values()],
    "none": lambda p: None,
    "int": lambda p: 7,
    "object": lambda p: object(),
    "str": lambda p: "SECRET",
    "bytes": lambda p: b"".join(p.values()),
}


def run_spec(environ, start_response, token):
    """Runs the program in X-Spec."""
    program = Program(environ, start_response, token)
    program.run(program.app)
    return KINDS[program.kind](program)


class NoClose:
    """A file-like with read() only."""

    def __init__(self, data):
        self.read = io.BytesIO(data).read


class CountingFile(io.BytesIO):
    """A file-like that notes close()."""

    token = ""
    bad = False

    def read(self, size=-1):
        if self.bad and self.tell():
            raise OSError("SECRET")
        return super().read(size)

    def close(self):
        note(self.token, "close")
        super().close()


class CountingReal(io.FileIO):
    """A real file that notes close()."""

    token = ""

    def close(self):
        if not self.closed:
            note(self.token, "close")
        super().close()


def file_of(doc, token):
    """Makes the file that the request describes."""
    size = doc.get("size", 1000)
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    kind = doc.get("kind", "real")
    if kind == "noclose":
        return NoClose(data)
    if kind in ("counting", "bad"):
        made = CountingFile(data)
        made.token, made.bad = token, kind == "bad"
        return made
    if kind == "bytesio":
        return io.BytesIO(data)
    handle, path = tempfile.mkstemp()
    os.write(handle, data)
    os.close(handle)
    made = CountingReal(path) if kind == "countreal" else open(path, "rb", buffering=0 if kind == "raw" else -1)
    os.unlink(path)
    if kind == "countreal":
        made.token = token
    return made


def send_file(environ, start_response, token):
    """Answers a file through wsgi.file_wrapper."""
    doc = ast.literal_eval(environ["HTTP_X_SPEC"])
    note(token, "wrapper", "wsgi.file_wrapper" in environ)
    source = file_of(doc, token)
    if "skip" in doc:
        source.read(doc["skip"])
    if "seek" in doc:
        source.seek(doc["seek"])
    writer = start_response(
        doc.get("status", "200 OK"), doc.get("headers", [("Content-Type", "application/octet-stream")])
    )
    if "write" in doc:
        writer(doc["write"])
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:

        def wrapper(source, block=8192):
            try:
                yield from iter(lambda: source.read(block), b"")
            finally:
                getattr(source, "close", lambda: None)()

    made = wrapper(source, *([doc["block"]] if "block" in doc else []))
    if doc.get("use") == "iterate":
        return [b"".join(made)]
    if doc.get("use") == "generator":
        return (chunk for chunk in made)
    if doc.get("use") == "discard":
        return [b"other"]
    return made


def big(environ, start_response, token):
    """Streams bytes=N in pieces of 64 KiB, noting close()."""
    count = int(parse_qs(environ["QUERY_STRING"])["bytes"][0])
    start_response("200 OK", [("Content-Type", "application/octet-stream")])

    class Pieces:
        left = count

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            size = min(self.left, 65536)
            self.left -= size
            return b"x" * size

        def close(self):
            note(token, "close")

    return Pieces()


def errors(environ, start_response, token):
    """Uses wsgi.errors in each way and answers what happened."""
    err, results = environ["wsgi.errors"], {}
    for name, do in {
        "write": lambda: err.write("a line\n"),
        "unicode": lambda: err.write("caf\xe9 \u20ac\n"),
        "writelines": lambda: err.writelines(["a\n", "b\n"]),
        "flush": lambda: err.flush(),
        "print": lambda: print("printed", file=err),
        "surrogate": lambda: err.write("\udc80\n"),
        "bytes": lambda: err.write(b"bytes\n"),
        "empty": lambda: err.write(""),
        "long": lambda: err.write("x" * 5000 + "\n"),
    }.items():
        try:
            do()
            results[name] = "ok"
        except Exception as bad:
            results[name] = type(bad).__name__
    return answer_json(start_response, results)


ROUTES = {
    "ok": ok,
    "echo": echo,
    "env": env,
    "input": read_input,
    "spec": run_spec,
    "file": send_file,
    "big": big,
    "errors": errors,
}
app = application
