"""Loads that wrk cannot make: idle and slow clients, a mix at a fixed rate, large answers thrown away.

All are bounded in time, and count what fails instead of raising.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import statistics
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
IP_BIND_ADDRESS_NO_PORT = 24  # from linux/in.h
PATIENCE = 10.0


def get(path: str) -> bytes:
    """Returns a request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def content_length(head: bytes) -> int:
    """Returns how long a body is, by its head; ValueError if that does not say so."""
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


def ask(connection: socket.socket, path: str, *, whole: bool = False) -> bool:
    """Tells whether a request is answered with 200; the body may still come, if not asked for."""
    connection.sendall(get(path))
    answer, length = b"", None
    while length is None or len(answer) < length:
        piece = connection.recv(65536)
        if not piece:
            return False
        answer += piece
        head, end, _ = answer.partition(b"\r\n\r\n")
        if end:
            length = len(head + end) + (content_length(head) if whole else 0)
    return answer.startswith(b"HTTP/1.1 200")


def first_answer(port: int, path: str, alive: Callable[[], bool]) -> None:
    """Returns with a server's first 200."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        if not alive():
            raise RuntimeError("the server has ended")
        try:
            with socket.create_connection((HOST, port), left) as connection:
                if ask(connection, path):
                    return
        except OSError:
            pass
        time.sleep(0.001)
    raise RuntimeError("no answer from the server")


def percentile(values: list[float], part: float) -> float:
    """Returns the value below which a part of all lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0


class Starving:
    """While a load runs, one connection more asks once: is it served as well?

    A server that holds a thread for each kept connection has fine figures for those it
    serves, and wrk does not count the others, which wait for ever.
    """

    def __init__(self, port: int, path: str, patience: float) -> None:
        self.problem = ""
        self._asked = port, path, patience
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Starving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _ask(self) -> None:
        port, path, patience = self._asked
        time.sleep(0.3)
        try:
            with socket.create_connection((HOST, port), patience) as connection:
                connection.settimeout(patience)
                if ask(connection, path):
                    return
            self.problem = "one more connection was closed without an answer"
        except OSError:
            self.problem = f"one more connection had no answer in {patience:.1f} s"


@contextlib.contextmanager
def idle(port: int, number: int, problems: list[str]) -> Iterator[None]:
    """Keeps connections that have made one request each, until the block ends."""
    kept: list[socket.socket] = []
    deadline = time.monotonic() + 60
    try:
        for i in range(number):
            connection = socket.socket()
            kept.append(connection)
            connection.settimeout(2)
            # A port is chosen for each address and peer, so some addresses make enough.
            connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((f"127.0.0.{2 + i % 4}", 0))
            try:
                connection.connect((HOST, port))
                answered = ask(connection, "/", whole=True)
            except OSError:
                answered = False
            if not answered or time.monotonic() > deadline:
                problems.append(f"connection {i + 1} of {number} was not answered")
                break
        yield
        closed = sum(_closed(connection) for connection in kept)
        if closed:
            problems.append(f"{closed} idle connections were closed")
    finally:
        for connection in kept:
            connection.close()


def _closed(connection: socket.socket) -> bool:
    """Tells whether the other side has closed, or sent what nobody asked for."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


class Uploads:
    """Clients that each send a body of 1 MB, 1 KB a second, until the block ends."""

    SLICES = 20  # of a second: not all send at once
    PIECE = b"u" * 1024

    def __init__(self, port: int, number: int, problems: list[str]) -> None:
        self._port, self._number, self._problems = port, number, problems
        self._clients: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Uploads:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"
        deadline = time.monotonic() + 5
        while len(self._clients) < self._number and time.monotonic() < deadline:
            client = socket.socket()
            client.settimeout(1)
            try:
                client.connect((HOST, self._port))
                client.sendall(head + self.PIECE)
            except OSError:
                client.close()
                continue
            client.setblocking(False)
            self._clients.append(client)
        if len(self._clients) < self._number:
            self._problems.append(f"only {len(self._clients)} uploads could begin")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        ended = sum(_closed(client) for client in self._clients)
        if ended:
            self._problems.append(f"{ended} uploads were cut or answered early")
        for client in self._clients:
            client.close()

    def _send(self) -> None:
        for turn in range(60 * self.SLICES):
            if self._over.wait(1 / self.SLICES):
                return
            for client in self._clients[turn % self.SLICES :: self.SLICES]:
                # A server that does not read has full buffers: that is its own choice.
                with contextlib.suppress(OSError):
                    client.send(self.PIECE)


class _Client:
    """One kept connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        # On loopback this is at once, or the server's backlog is full.
        self.socket = socket.create_connection((HOST, port), 0.2)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests = 0
        self.began = 0.0
        self.path = ""
        self.busy = False
        self._head = b""
        self._left = 0
        self.ok = False

    def send(self, path: str) -> None:
        self.path, self.busy, self._head, self._left = path, True, b"", -1
        self.began = time.perf_counter()
        self.socket.send(get(path))

    def read(self, scratch: bytearray) -> bool:
        """Takes what is there; tells whether the answer is complete. OSError if it never will be."""
        if self._left >= 0:
            # Bytes of a body are dropped in the kernel: what is measured is the server.
            taken = self.socket.recv_into(scratch, min(self._left, len(scratch)), socket.MSG_TRUNC)
            self._left -= taken
        else:
            piece = self.socket.recv(4096)
            taken = len(piece)
            self._head += piece
            head, end, body = self._head.partition(b"\r\n\r\n")
            if end:
                self.ok = head.startswith(b"HTTP/1.1 200")
                self._left = content_length(head) - len(body)
        if not taken:
            raise ConnectionResetError
        self.busy = self._left != 0
        return not self.busy


class _Clients:
    """Connections, what was answered on them and how late."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.errors: Counter[str] = Counter()
        self.latencies: dict[str, list[float]] = {}
        self.all: dict[int, _Client] = {}
        self._epoll = select.epoll()
        self._scratch = bytearray(1 << 20)

    def send(self, path: str, client: _Client | None = None) -> bool:
        """Sends a request, on a new connection if none is given; tells whether that went well."""
        try:
            if client is None:
                client = _Client(self.port)
                self.all[client.socket.fileno()] = client
                self._epoll.register(client.socket, select.EPOLLIN)
            client.send(path)
        except OSError:
            self.errors["requests not sent"] += 1
            if client is not None:
                self.drop(client)
            return False
        client.requests += 1
        return True

    def drop(self, client: _Client) -> None:
        del self.all[client.socket.fileno()]
        client.socket.close()

    def wait(self, seconds: float) -> list[_Client]:
        """Returns those that are complete, after that time at most; broken ones are dropped."""
        complete = []
        for fd, _ in self._epoll.poll(max(seconds, 0)):
            client = self.all[fd]
            try:
                if not client.read(self._scratch):
                    continue
            except (OSError, ValueError):
                if client.busy:  # an idle one may be closed at any time
                    self.errors["connections broken"] += 1
                self.drop(client)
                continue
            self.latencies.setdefault(client.path, []).append((time.perf_counter() - client.began) * 1000)
            if not client.ok:
                self.errors["answers other than 200"] += 1
            complete.append(client)
        return complete

    def close(self) -> str:
        """Closes all, and returns what went wrong."""
        for client in list(self.all.values()):
            self.drop(client)
        self._epoll.close()
        return ", ".join(f"{count} {what}" for what, count in self.errors.items())

    def result(self, path: str, seconds: float, problems: str) -> dict[str, Any]:
        """Returns the figures of one path; requests and rps are of all."""
        number = sum(map(len, self.latencies.values()))
        values = self.latencies.get(path, [])
        return {
            "requests": number,
            "rps": number / seconds,
            "p50": statistics.median(values) if values else 0.0,
            "p99": percentile(values, 0.99),
            "wrong": problems,
        }


def download(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Asks again and again on some connections, and throws the answers' bodies away."""
    clients = _Clients(port)
    try:
        began = time.perf_counter()
        for _ in range(connections):
            clients.send("/")
        while (left := began + seconds - time.perf_counter()) > 0 and clients.all:
            for client in clients.wait(left):
                clients.send("/", client)
        took = time.perf_counter() - began
        if starved := sum(client.requests < 2 for client in clients.all.values()):
            clients.errors[f"of {connections} connections without an answer"] += starved
    finally:
        problems = clients.close()
    return clients.result("/", took, problems)


def mixed(port: int, seconds: float, rate: float, slow: float, most: int = 256) -> dict[str, Any]:
    """Sends at a rate, whatever comes back, a part of it to /slow; the latencies are those of the others.

    Chance says when and which, the same for each server. A new connection is made when all
    that there are wait for an answer.
    """
    clients, chance, free = _Clients(port), random.Random(7), list[_Client]()
    began = time.perf_counter()
    end = began + seconds
    due = began
    try:
        while (now := time.perf_counter()) < end + 2:
            if now >= end and not any(client.busy for client in clients.all.values()):
                break
            while due <= now and due < end:
                path = "/slow" if chance.random() < slow else "/"
                due += chance.expovariate(rate)
                if not free and len(clients.all) >= most:
                    clients.errors["requests not sent, since all connections waited"] += 1
                    continue
                if not clients.send(path, free.pop() if free else None):
                    most = len(clients.all)
            free += clients.wait(min(due, end + 2) - now if now < end else 0.01)
            free = [client for client in free if client.socket.fileno() >= 0]
        lost = sum(client.busy for client in clients.all.values())
        if lost:
            clients.errors["requests without an answer"] += lost
    finally:
        problems = clients.close()
    return clients.result("/", seconds, problems)
