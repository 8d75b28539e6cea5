"""Packets as bytes, and a client that sends exactly those."""

from __future__ import annotations

import dataclasses
import socket
import struct
import time


def block(*pairs: tuple[str | bytes, str | bytes]) -> bytes:
    """The variables of a packet."""
    out = b""
    for pair in pairs:
        for text in pair:
            data = text.encode("latin-1") if isinstance(text, str) else text
            out += struct.pack("<H", len(data)) + data
    return out


def framed(data: bytes, modifier1: int = 0, modifier2: int = 0, size: int | None = None) -> bytes:
    """A packet of these variables; `size` lies about theirs."""
    return struct.pack("<BHB", modifier1, len(data) if size is None else size, modifier2) + data


def request(
    *pairs: tuple[str | bytes, str | bytes], modifier1: int = 0, modifier2: int = 0, body: bytes = b"", **more: str
) -> bytes:
    """A request as a web server sends one; `more` are variables in its place or beside, None for none."""
    base = {
        "QUERY_STRING": "",
        "REQUEST_METHOD": "POST" if body else "GET",
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "REQUEST_URI": "/",
        "PATH_INFO": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "40000",
        "SERVER_PORT": "80",
        "SERVER_NAME": "example.org",
        "HTTP_HOST": "example.org",
    } | more
    kept = [(name, value) for name, value in base.items() if value is not None]
    return framed(block(*kept, *pairs), modifier1, modifier2) + body


@dataclasses.dataclass
class Talk:
    """What came back on one connection.

    Attributes:
        raw: All bytes.
        end: "eof", "reset" or "open", when the server had not closed in time.
        arrivals: When bytes came, in seconds from the start.
    """

    raw: bytes = b""
    end: str = "open"
    arrivals: list[float] = dataclasses.field(default_factory=list)

    @property
    def head(self) -> bytes:
        """The answer's head, without its empty line; b"" if it is not whole."""
        head, end, _ = self.raw.partition(b"\r\n\r\n")
        return head if end else b""

    @property
    def status(self) -> int:
        """The status, 0 if no answer came."""
        words = self.head.split(b"\r\n")[0].split(b" ", 2)
        return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else 0

    @property
    def reason(self) -> str:
        """The rest of the status line."""
        words = self.head.split(b"\r\n")[0].split(b" ", 2)
        return words[2].decode("latin-1") if len(words) > 2 else ""

    @property
    def body(self) -> bytes:
        """What follows the head."""
        return self.raw.partition(b"\r\n\r\n")[2]

    def fields(self, name: str) -> list[str]:
        """The values of a field."""
        pairs = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [
            value.strip().decode("latin-1") for key, _, value in pairs if key.decode("latin-1").lower() == name.lower()
        ]


HALF = object()  # a step: no more is sent
RESET = object()  # a step: the connection is cut


def talk(port: int, steps: list[object], limit: float = 5.0) -> Talk:
    """Send the steps, bytes and pauses in seconds, and take what comes until the server closes."""
    answer = Talk()
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), limit) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for step in steps:
            try:
                if isinstance(step, bytes):
                    sock.sendall(step)
                elif step is HALF:
                    sock.shutdown(socket.SHUT_WR)
                elif step is RESET:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return answer
                else:
                    time.sleep(step)
            except OSError:
                break  # the server has answered and left already
        while time.monotonic() - started < limit:
            sock.settimeout(max(0.01, limit - (time.monotonic() - started)))
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                break
            except ConnectionError:
                answer.end = "reset"
                break
            if not data:
                answer.end = "eof"
                break
            answer.raw += data
            answer.arrivals.append(time.monotonic() - started)
    return answer
