"""What each parser makes of a connection's bytes, in one form."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import h11
import httptools

ROOT = Path(__file__).resolve().parents[2]
ORACLE = "./tests/differential/testdata/oracle"


@dataclass
class Request:
    """One request, complete with its body.

    Field names are in lowercase, values without white space around them.
    """

    method: bytes
    target: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    keep: bool
    start: int = -1  # in the input; only gowsgi tells


@dataclass
class Reading:
    """What a parser found in an input.

    Attributes:
        requests: In the order received.
        end: "all" (nothing is left), "more" (a request is cut), "closed" (the last
            request ends the connection), "refused", or "stopped": the parser can read
            no further.
        cause: The parser's own words for why it refuses.
        end_at: Where the last request ends in the input; only gowsgi tells.
    """

    requests: list[Request] = field(default_factory=list)
    end: str = "all"
    cause: str = ""
    end_at: int = -1


def gowsgi(inputs: list[bytes]) -> list[Reading]:
    """Reads all the inputs with package http1, through a program of its own."""
    framed = b"".join(len(data).to_bytes(4, "big") + data for data in inputs)
    run = subprocess.run(["go", "run", ORACLE], cwd=ROOT, input=framed, stdout=subprocess.PIPE, check=True)
    readings = [_from_json(json.loads(line)) for line in run.stdout.splitlines()]
    assert len(readings) == len(inputs)
    return readings


def _from_json(got: dict) -> Reading:
    requests = [
        Request(
            q["method"].encode("latin-1"),
            q["target"].encode("latin-1"),
            q["minor"],
            [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in q["fields"]],
            q["body"].encode("latin-1"),
            q["keep"],
            q["start"],
        )
        for q in got["requests"]
    ]
    for request, q in zip(requests, got["requests"], strict=True):
        # What the parser says of the framing has to be what the fields say.
        values = dict(request.fields)
        assert q["chunked"] == (b"transfer-encoding" in values), request
        assert q["length"] == int(values.get(b"content-length", -1)), request
    return Reading(requests, got["end"], got["cause"], got["end_at"])


def by_h11(data: bytes) -> Reading:
    """Reads an input with h11, answering each request with an empty 404."""
    reading = Reading()
    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 30)
    conn.receive_data(data)
    conn.receive_data(b"")
    head: h11.Request | None = None
    body = b""
    try:
        while True:
            if conn.their_state is h11.IDLE and not conn.trailing_data[0]:
                return reading
            event = conn.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                reading.requests.append(_from_h11(head, body))
                conn.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                conn.send(h11.EndOfMessage())
                reading.requests[-1].keep = conn.our_state is h11.DONE and head.method != b"CONNECT"
                if not reading.requests[-1].keep:
                    reading.end = "closed"
                    return reading
                conn.start_next_cycle()
            else:
                reading.end = "more" if event is h11.NEED_DATA else "closed"
                return reading
    except h11.RemoteProtocolError as error:
        cause = str(error)
        cut = cause.startswith("peer ")  # "peer closed connection without sending ..."
        reading.end, reading.cause = ("more", "") if cut else ("refused", cause)
        return reading


def _from_h11(head: h11.Request, body: bytes) -> Request:
    return Request(
        head.method,
        head.target,
        min(1, int(head.http_version[-1:])),
        [(name, value.strip(b" \t")) for name, value in head.headers],
        body,
        True,
    )


class _Protocol:
    """Collects httptools' calls."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.parser: httptools.HttpRequestParser
        self.open = False  # a request has begun and not ended
        self.url, self.body, self.fields, self.in_body = b"", b"", [], False

    def on_message_begin(self) -> None:
        self.open = True
        self.url, self.body, self.fields, self.in_body = b"", b"", [], False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body:  # else a trailer
            self.fields.append((name.lower(), (value or b"").strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_body = True
        # After the message they speak of the next one.
        self.method, self.version = self.parser.get_method(), self.parser.get_http_version()
        self.keep = self.parser.should_keep_alive() and self.method != b"CONNECT"

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.open = False
        if self.reading.end == "closed":
            return
        minor = min(1, int(self.version[-1:]))
        self.reading.requests.append(Request(self.method, self.url, minor, self.fields, self.body, self.keep))
        if not self.keep:
            self.reading.end = "closed"


def by_llhttp(data: bytes) -> Reading:
    """Reads an input with llhttp as Node's server and httptools use it: in its strict mode."""
    protocol = _Protocol()
    reading = protocol.reading
    while True:
        protocol.open = False
        protocol.parser = httptools.HttpRequestParser(protocol)
        try:
            protocol.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # It stops at a request with Upgrade; who ignores the field goes on. Of a
            # body it then leaves all or a part: nobody can tell where it ends.
            data = data[upgrade.args[0] :]
            names = {name for name, _ in protocol.fields}
            if reading.end != "closed" and names & {b"transfer-encoding", b"content-length"}:
                reading.end = "stopped"
                return reading
            if reading.end != "closed" and data:
                continue
        except httptools.HttpParserError as error:
            if reading.end != "closed":
                reading.end, reading.cause = "refused", str(error)
            return reading
        if reading.end != "closed" and protocol.open:
            reading.end = "more"
        return reading
