"""wsgi.file_wrapper."""

from __future__ import annotations

from ..checks import (
    body,
    both,
    calls,
    clean,
    closes,
    cut,
    either,
    error500,
    field,
    framing,
    hides,
    lacks,
    noted,
    size,
    status,
    whole,
)
from . import Await, Reset, get, table

WRAP = "PEP 3333 Optional Platform-Specific File Handling"


def data(count: int = 1000) -> bytes:
    """The content of the probe's file."""
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def file(*fields: str, method: str = "GET", minor: int = 1, **doc: object) -> bytes:
    """Asks for a file; see app.py, file_of and send_file."""
    return get("/file", f"X-Spec: {doc!a}", *fields, method=method, minor=minor)


KINDS = ("real", "raw", "bytesio", "noclose", "counting", "countreal")
CASES = table(WRAP, *[(f"file.{kind}", file(kind=kind), status(200), body(data())) for kind in KINDS])
CASES += table(WRAP, *[(f"file.{kind}-large", file(kind=kind, size=500_000), body(data(500_000))) for kind in KINDS])
CASES += table(WRAP, *[(f"file.{kind}-empty", file(kind=kind, size=0), status(200), body(b"")) for kind in KINDS])
CASES += table(
    WRAP,
    *[
        (f"file.{kind}-from-position", file(kind=kind, seek=100), body(data()[100:]))
        for kind in KINDS
        if kind != "noclose"
    ],
)
CASES += table(WRAP, *[(f"file.{kind}-after-read", file(kind=kind, skip=7), body(data()[7:])) for kind in KINDS])
CASES += table(
    WRAP,
    *[
        (
            f"file.{kind}-with-length",
            file(kind=kind, headers=[("Content-Length", "1000")]),
            body(data()),
            framing("length"),
        )
        for kind in KINDS
    ],
)
CASES += table(
    WRAP,
    *[
        (f"file.{kind}-shorter-length", file(kind=kind, headers=[("Content-Length", "10")]), body(data()[:10]), clean)
        for kind in KINDS[:4]
    ],
)
CASES += table(WRAP, *[(f"file.{kind}-closed-once", file(kind=kind), whole, noted("close")) for kind in KINDS[4:]])
CASES += table(
    WRAP,
    ("file.offered", file(), status(200), either(noted("wrapper", True), noted("wrapper", False))),
    ("file.block-size", file(block=16, kind="bytesio"), body(data())),
    ("file.block-size-real", file(block=1), body(data())),
    (
        "file.length-and-position",
        file(seek=100, headers=[("Content-Length", "50")]),
        body(data()[100:150]),
        framing("length"),
    ),
    ("file.longer-length-closes", file(headers=[("Content-Length", "2000")]), either(both(cut, closes), body(data()))),
    (
        "file.longer-length-closes-bytesio",
        file(kind="bytesio", headers=[("Content-Length", "2000")]),
        either(both(cut, closes), body(data())),
    ),
    (
        "file.shorter-length-in-sync",
        (file(headers=[("Content-Length", "10")]) + get("/ok", "Connection: close"),),
        body(data()[:10]),
        either(body(b"ok", nth=1), closes),
        {"methods": ("GET", "GET")},
    ),
    (
        "file.keep-alive-in-sync",
        (file(headers=[("Content-Length", "1000")]) + get("/ok", "Connection: close"),),
        body(data()),
        body(b"ok", nth=1),
        {"methods": ("GET", "GET")},
    ),
    ("file.past-the-end", file(seek=5000), status(200), body(b"")),
    (
        "file.head",
        file(method="HEAD", headers=[("Content-Length", "1000")]),
        status(200),
        field("Content-Length", "1000"),
        clean,
    ),
    ("file.head-closed-once", file(kind="counting", method="HEAD"), status(200), noted("close")),
    ("file.204", file(status="204 No Content", kind="counting", headers=[]), status(204), clean, noted("close")),
    ("file.304", file(status="304 Not Modified", kind="counting", headers=[]), status(304), clean, noted("close")),
    ("file.404", file(status="404 Not Found"), status(404), body(data())),
    ("file.1.0", file(minor=0), body(data()), lacks("Transfer-Encoding")),
    ("file.after-write", file(write=b"start"), body(b"start" + data())),
    ("file.iterated-by-app", file(use="iterate", kind="bytesio"), body(data())),
    ("file.iterated-by-app-real", file(use="iterate"), body(data())),
    ("file.in-a-generator", file(use="generator"), body(data())),
    ("file.discarded", file(use="discard", kind="counting"), body(b"other")),
    (
        "file.read-fails-first",
        file(kind="bad", seek=1, headers=[]),
        either(error500, cut),
        hides(b"SECRET"),
        noted("close"),
    ),
    ("file.read-fails-later", file(kind="bad", size=300_000, block=1000), cut, hides(b"SECRET"), noted("close")),
    ("file.bad-header", file(kind="counting", headers=[("X-A", "a\r\nSECRET: b")]), error500),
    (
        "file.client-leaves",
        (file(kind="counting", size=30_000_000), Await(b"\x01\x02\x03"), Reset()),
        noted("close"),
        {"limit": 6.0},
    ),
    (
        "file.client-leaves-real",
        (file(kind="countreal", size=30_000_000), Await(b"\x01\x02\x03"), Reset()),
        noted("close"),
        {"limit": 6.0},
    ),
    ("file.megabytes-real", file(size=3_000_000), size(3_000_000), {"limit": 6.0}),
    (
        "file.megabytes-real-length",
        file(size=3_000_000, headers=[("Content-Length", "3000000")]),
        size(3_000_000),
        {"limit": 6.0},
    ),
    ("file.called-once", file(), calls("GET /file"), both(status(200), whole)),
)
