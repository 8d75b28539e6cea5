"""Clients that send one request after the other, check every answer and count what fails."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"
PATIENCE = 20.0


class _Closed(Exception):
    """A kept connection was closed before a byte of the answer: sent again, as any client does."""


class Load:
    """Threads that ask /who of tests/apps/workers.py until the block ends."""

    def __init__(self, port: int, *, keeping: int = 3, new: int = 3) -> None:
        """Prepare.

        Args:
            port: Where the server listens.
            keeping: Threads that keep their connection for as long as the server does.
            new: Threads that connect for each request.
        """
        self.answers = 0
        self.sent_again = 0
        self.pids: Counter[int] = Counter()
        self.releases: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port = port
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._stop = threading.Event()
        kinds = [True] * keeping + [False] * new
        self._threads = [threading.Thread(target=self._run, args=(kind,), daemon=True) for kind in kinds]

    def __enter__(self) -> Load:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the requests under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE + 5)

    def __str__(self) -> str:
        """Return the figures."""
        return (
            f"{self.answers} answers from {len(self.pids)} workers, {self.sent_again} sent again, "
            f"{len(self.failures)} failed"
        )

    def _run(self, keep: bool) -> None:
        connection: _Connection | None = None
        while not self._stop.is_set():
            number = next(self._numbers)
            try:
                try:
                    connection = connection or _Connection(self._port)
                    answer = connection.ask(number, keep)
                except _Closed:
                    with self._lock:
                        self.sent_again += 1
                    connection = _Connection(self._port)
                    answer = connection.ask(number, keep)
            except Exception as error:  # whatever it is, it is counted
                with self._lock:
                    self.failures.append(f"{time.strftime('%X')} request {number}, kept {keep}: {error!r}")
                connection = None
                time.sleep(0.05)
                continue
            with self._lock:
                self.answers += 1
                self.pids[answer["pid"]] += 1
                self.releases[answer["release"]] += 1
            if connection.ended:
                connection = None
            time.sleep(0.002)


class _Connection:
    """One connection; `ended` tells that the server said close."""

    def __init__(self, port: int) -> None:
        self.ended = False
        self._served = 0
        self._socket = socket.create_connection((HOST, port), PATIENCE)

    def ask(self, number: int, keep: bool) -> dict[str, object]:
        last = "" if keep else "Connection: close\r\n"
        data = b""
        try:
            self._socket.sendall(f"GET /who?n={number} HTTP/1.1\r\nHost: test\r\n{last}\r\n".encode())
            while not (complete := self._parse(data)):
                piece = self._socket.recv(65536)
                if not piece:
                    msg = f"closed after {data!r}"
                    raise ConnectionError(msg)
                data += piece
        except ConnectionError as error:
            self._socket.close()
            if self._served and not data:
                raise _Closed from error
            raise
        status, fields, body = complete
        answer = json.loads(body)
        if status != "200" or answer["n"] != str(number):
            msg = f"the wrong answer: {data!r}"
            raise ValueError(msg)
        self._served += 1
        self.ended = fields.get("connection", "").lower() == "close"
        if self.ended:
            self._socket.close()
        return answer

    @staticmethod
    def _parse(data: bytes) -> tuple[str, dict[str, str], bytes] | None:
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        if len(body) < int(fields["content-length"]):
            return None
        return first.split(" ")[1], fields, body
