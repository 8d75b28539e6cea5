"""An HTTP/1.1 client that sends exactly the bytes a test says and hides nothing."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"


class Truncated(AssertionError):
    """The connection ended before the answer was complete."""


@dataclass
class Answer:
    """One response, as it was on the wire."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """Return the one value of a header, None where it is absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None


class Wire:
    """A connection to a port of the loopback; every wait ends after `timeout` seconds."""

    def __init__(self, port: int, timeout: float = 10.0, source: str = HOST) -> None:
        """Connect, from the address `source`."""
        self.socket = socket.create_connection((HOST, port), timeout, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""

    def __enter__(self) -> Wire:
        """Return the connection, to close it at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def reset(self) -> None:
        """Close the connection with RST, as a client that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def get(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> None:
        """Send a request without a body."""
        lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def post(self, path: str, body: bytes, *headers: str) -> None:
        """Send a POST with a Content-Length."""
        lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def answer(self, *, head_only: bool = False) -> Answer:
        """Read one final response, whole; interim ones before it are skipped."""
        answer = self.head()
        while answer.status < 200:
            answer = self.head()
        if head_only or answer.status in (204, 304):
            return answer
        coding, length = answer.header("Transfer-Encoding"), answer.header("Content-Length")
        if coding:
            assert coding.lower() == "chunked", f"Transfer-Encoding: {coding}"
            assert length is None, "Content-Length beside Transfer-Encoding"
            while chunk := self.chunk():
                answer.chunks.append(chunk)
            answer.body = b"".join(answer.chunks)
        elif length is not None:
            answer.body = self.exactly(int(length))
        else:
            answer.body = self.rest()
        return answer

    def head(self) -> Answer:
        """Read one response head."""
        lines = []
        while line := self.line():
            lines.append(line.decode("latin-1"))
        assert lines, "an empty line where a status line was expected"
        version, code, reason = [*lines[0].split(" ", 2), ""][:3]
        assert version.startswith("HTTP/"), f"no status line: {lines[0]!r}"
        pairs = [line.split(":", 1) for line in lines[1:]]
        headers = [(name, value.strip()) for name, value in pairs]
        return Answer(version, int(code), reason, headers)

    def chunk(self) -> bytes:
        """Read one chunk, b'' for the last one with its trailers."""
        size = int(self.line().split(b";")[0], 16)
        if size:
            data = self.exactly(size)
            assert self.line() == b"", "no line end after a chunk"
            return data
        while self.line():
            pass
        return b""

    def line(self) -> bytes:
        """Read one line, without its end."""
        while b"\r\n" not in self._pending:
            self._receive()
        line, _, self._pending = self._pending.partition(b"\r\n")
        return line

    def exactly(self, size: int) -> bytes:
        """Read that many bytes."""
        parts = [self._pending[:size]]
        self._pending = self._pending[size:]
        missing = size - len(parts[0])
        while missing:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                msg = f"closed {missing} bytes short of {size}"
                raise Truncated(msg)
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def rest(self) -> bytes:
        """Read until the server closes."""
        parts = [self._pending]
        self._pending = b""
        while data := self.socket.recv(1 << 16):
            parts.append(data)
        return b"".join(parts)

    def closed(self, timeout: float = 5.0) -> bool:
        """Tell whether the server closes without another byte."""
        assert not self._pending, f"unread: {self._pending!r}"
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(1)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        assert not data, f"unexpected: {data!r}"
        return True

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            msg = f"closed after {self._pending!r}"
            raise Truncated(msg)
        self._pending += data
