"""Raw sockets and a strict reader of HTTP/1.1 responses.

The reader is deliberately less tolerant than any client: what it refuses (a bare LF, two
Content-Length fields, a body after 204) is what makes two parties disagree about where a
message ends, so a server must never send it.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import struct
import time

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)")
NAME = rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
VALUE = rb"((?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)"
FIELD = re.compile(NAME + rb":[ \t]*" + VALUE + rb"[ \t]*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t \x21-\x7e\x80-\xff]*)?")


class WireError(Exception):
    """The server sent bytes that are not a response."""


class More(Exception):
    """The response is not finished yet."""


@dataclasses.dataclass
class Response:
    """One final response, with the interim ones that came before it."""

    minor: int
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    framing: str = "none"
    complete: bool = False
    interim: list[int] = dataclasses.field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Returns every value of a field, in order."""
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def tokens(self, name: str) -> list[str]:
        """Returns the members of a list field, in lower case."""
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]


@dataclasses.dataclass
class Talk:
    """What happened on one connection, and what the app noted meanwhile."""

    raw: bytes = b""
    arrivals: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    responses: list[Response] = dataclasses.field(default_factory=list)
    leftover: bytes = b""
    fault: str = ""
    end: str = "open"
    sent: list[float] = dataclasses.field(default_factory=list)
    marks: dict[str, bytes] = dataclasses.field(default_factory=dict)
    events: list[list] = dataclasses.field(default_factory=list)
    alive: str = ""

    @property
    def first(self) -> Response | None:
        """The first final response, finished or not."""
        return self.responses[0] if self.responses else None


def _line(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.find(b"\n", at)
    if end < 0:
        if len(raw) - at > 200_000:
            raise WireError("a line without end")
        raise More
    if end == at or raw[end - 1] != 13:
        raise WireError("bare LF in " + ascii(raw[at : end + 1][:80]))
    return raw[at : end - 1], end + 1


def _fields(raw: bytes, at: int) -> tuple[list[tuple[str, str]], int]:
    fields = []
    while True:
        line, at = _line(raw, at)
        if not line:
            return fields, at
        match = FIELD.fullmatch(line)
        if not match:
            raise WireError("field " + ascii(line[:80]))
        fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))


def _chunked(raw: bytes, at: int, response: Response) -> int:
    while True:
        line, at = _line(raw, at)
        match = CHUNK.fullmatch(line)
        if not match:
            raise WireError("chunk size " + ascii(line[:80]))
        size = int(match[1], 16)
        if not size:
            _, at = _fields(raw, at)
            return at
        response.body += raw[at : at + size]
        if len(raw) < at + size + 2:
            raise More
        if raw[at + size : at + size + 2] != b"\r\n":
            raise WireError("chunk data longer than its size")
        at += size + 2


def _body(raw: bytes, at: int, response: Response, method: str, eof: bool) -> int:
    lengths, codings = response.all("content-length"), response.tokens("transfer-encoding")
    if len(lengths) > 1 or (lengths and not re.fullmatch("[0-9]{1,18}", lengths[0])):
        raise WireError(f"Content-Length {lengths}")
    if codings and codings != ["chunked"]:
        raise WireError(f"Transfer-Encoding {codings}")
    if codings and lengths:
        raise WireError("both Content-Length and Transfer-Encoding")
    if codings and response.status == 204:
        raise WireError("Transfer-Encoding with 204")
    if method == "HEAD" or response.status in (204, 304):
        return at
    if codings:
        response.framing = "chunked"
        return _chunked(raw, at, response)
    if lengths:
        response.framing = "length"
        size = int(lengths[0])
        response.body = raw[at : at + size]
        if len(raw) < at + size:
            raise More
        return at + size
    response.framing = "close"
    response.body = raw[at:]
    if not eof:
        raise More
    return len(raw)


def _one(raw: bytes, at: int, method: str, eof: bool, into: list[Response]) -> int:
    interim: list[int] = []
    while True:
        line, at = _line(raw, at)
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise WireError("status line " + ascii(line[:80]))
        fields, at = _fields(raw, at)
        if 100 <= int(match[2]) < 200 and int(match[2]) != 101:
            interim.append(int(match[2]))
            continue
        response = Response(int(match[1]), int(match[2]), match[3].decode("latin-1"), fields, interim=interim)
        into.append(response)
        at = _body(raw, at, response, method, eof)
        response.complete = True
        return at


def parse(raw: bytes, methods: list[str], eof: bool) -> tuple[list[Response], bytes, str]:
    """Reads the responses in raw.

    Args:
        raw: All bytes that came from the server.
        methods: The request methods in order, since HEAD changes the framing.
        eof: Whether the server has closed.

    Returns:
        The responses (the last may be unfinished), the bytes left over, and the fault if any.
    """
    at, found = 0, []
    while at < len(raw):
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        try:
            at = _one(raw, at, method, eof, found)
        except More:
            if found and not found[-1].complete:
                return found, b"", ""
            return found, raw[at:], ""
        except WireError as err:
            return found, raw[at:], str(err)
    return found, b"", ""


class Connection:
    """A client connection that sends raw bytes and reads until told enough."""

    def __init__(self, port: int, methods: list[str], limit: float) -> None:
        """Connects to the server on loopback."""
        self.methods, self.limit, self.talk = methods, limit, Talk()
        self.sock = socket.create_connection(("127.0.0.1", port), limit)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Sends all of data; a server that has already refused and closed is no error here."""
        self.sock.settimeout(self.limit)
        try:
            self.sock.sendall(data)
        except OSError:
            pass
        self.talk.sent.append(time.monotonic())

    def read(self, wait: float) -> bool:
        """Reads once, for at most wait seconds; returns whether something came or ended."""
        if self.talk.end != "open":
            return False
        self.sock.settimeout(max(wait, 0.001))
        try:
            data = self.sock.recv(262144)
        except TimeoutError:
            return False
        except OSError:
            self.talk.end, data = "reset", b""
        else:
            if not data:
                self.talk.end = "eof"
        if data:
            self.talk.raw += data
            self.talk.arrivals.append((time.monotonic(), len(data)))
        self.parse()
        return True

    def parse(self) -> None:
        """Parses afresh what has come so far."""
        t = self.talk
        t.responses, t.leftover, t.fault = parse(t.raw, self.methods, t.end == "eof")

    def done(self) -> int:
        """Counts the finished responses."""
        return sum(r.complete for r in self.talk.responses)

    def until(self, count: int, limit: float) -> None:
        """Reads until count responses are finished, the server closed, or limit seconds passed."""
        stop = time.monotonic() + limit
        while self.done() < count and self.talk.end == "open" and not self.talk.fault and time.monotonic() < stop:
            self.read(stop - time.monotonic())

    def has(self, what: bytes, limit: float) -> None:
        """Reads until the raw bytes contain what."""
        stop = time.monotonic() + limit
        while (
            what not in self.talk.raw
            and self.talk.end == "open"
            and not self.talk.fault
            and self.done() < 1
            and time.monotonic() < stop
        ):
            self.read(stop - time.monotonic())

    def linger(self, seconds: float) -> None:
        """Reads for a while, to see whether anything more comes or the server closes."""
        stop = time.monotonic() + seconds
        while self.talk.end == "open" and time.monotonic() < stop:
            self.read(stop - time.monotonic())

    def half_close(self) -> None:
        """Ends the sending side only."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """Leaves with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Closes the socket."""
        self.sock.close()
