"""A Flask application, with `requests` as client."""

from __future__ import annotations

import hashlib
import itertools
import time
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server

DOCUMENT = bytes(range(256)) * 4096
LAST = len(DOCUMENT) - 1


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The Flask application with two threads."""
    return module_serve("flask_app:app", threads=2)


def test_sessions(server: Server) -> None:
    with requests.Session() as ann, requests.Session() as bob:
        for name, client in (("ann", ann), ("bob", bob)):
            assert client.get(f"{server.url}/login/{name}", timeout=10).json() == {"name": name}
        for visit in (1, 2, 3):
            seen = ann.get(f"{server.url}/visit", timeout=10).json()
            assert seen == {"name": "ann", "visits": visit}
        assert bob.get(f"{server.url}/visit", timeout=10).json() == {"name": "bob", "visits": 1}


def test_uploads_of_several_files(server: Server) -> None:
    contents = {"small.txt": b"abc", "empty.txt": b"", "large.bin": bytes(range(256)) * 20_000}
    answer = requests.post(
        f"{server.url}/upload",
        data={"title": "three files"},
        files=[("file", item) for item in contents.items()],
        timeout=20,
    )
    assert answer.json() == {
        "fields": {"title": "three files"},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_json_bodies(server: Server, method: str) -> None:
    sent = {"text": "ünïcode \N{SNOWMAN}", "list": [1, None, True]}
    answer = requests.request(method, f"{server.url}/json", json=sent, timeout=10)
    assert answer.json() == {"method": method, "sent": sent}


def test_chunked_json_body(server: Server) -> None:
    """A body without a length, as `requests` sends one from a generator."""
    answer = requests.post(
        f"{server.url}/json",
        data=iter([b'{"chunk', b'ed": ', b"true}"]),
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    assert answer.json() == {"method": "POST", "sent": {"chunked": True}}


@pytest.mark.parametrize(
    ("asked", "status", "sent", "expected"),
    [
        (None, 200, None, DOCUMENT),
        ("bytes=0-99", 206, f"bytes 0-99/{LAST + 1}", DOCUMENT[:100]),
        ("bytes=1000-200999", 206, f"bytes 1000-200999/{LAST + 1}", DOCUMENT[1000:201000]),
        ("bytes=-5", 206, f"bytes {LAST - 4}-{LAST}/{LAST + 1}", DOCUMENT[-5:]),
        (f"bytes={LAST}-", 206, f"bytes {LAST}-{LAST}/{LAST + 1}", DOCUMENT[-1:]),
        (f"bytes={LAST + 1}-", 416, f"bytes */{LAST + 1}", None),
    ],
    ids=["none", "first", "middle", "last-5", "last", "beyond"],
)
def test_ranges(server: Server, asked: str | None, status: int, sent: str | None, expected: bytes | None) -> None:
    headers = {"Range": asked} if asked else {}
    answer = requests.get(f"{server.url}/document", headers=headers, timeout=10)
    assert answer.status_code == status
    assert answer.headers.get("Content-Range") == sent
    if expected is not None:
        assert answer.content == expected
        assert answer.headers["Content-Length"] == str(len(expected))


def test_conditional_requests(server: Server) -> None:
    first = requests.get(f"{server.url}/document", timeout=10)
    again = requests.get(f"{server.url}/document", headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")


def test_send_file_from_the_file_system(server: Server) -> None:
    """werkzeug hands an open file to wsgi.file_wrapper here."""
    whole = requests.get(f"{server.url}/this-file", timeout=10)
    assert whole.content.startswith(b'"""A Flask application')
    part = requests.get(f"{server.url}/this-file", headers={"Range": "bytes=3-9"}, timeout=10)
    assert (part.status_code, part.content) == (206, whole.content[3:10])


def test_head_has_the_length_and_no_body(server: Server) -> None:
    with requests.Session() as client:
        answer = client.head(f"{server.url}/document", timeout=10)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(DOCUMENT))
        assert client.get(f"{server.url}/visit", timeout=10).status_code == 200


def test_server_sent_events_arrive_one_at_a_time(server: Server) -> None:
    """Each event is here before the application makes the next one, 0.2 s later."""
    delays, moments = [], []
    with requests.get(f"{server.url}/events?topic=news", stream=True, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines(chunk_size=1):
            if line.startswith(b"data: news "):
                moments.append(time.time())
                delays.append(moments[-1] - float(line.split()[-1]))
    assert len(moments) == 5
    assert max(delays) < 0.15, f"seconds from making an event to its arrival: {delays}"
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert min(gaps) > 0.05, f"seconds between events: {gaps}"


def test_event_stream_does_not_occupy_the_other_thread(server: Server) -> None:
    with requests.get(f"{server.url}/events?topic=busy", stream=True, timeout=10) as events:
        started = time.monotonic()
        assert requests.get(f"{server.url}/visit", timeout=10).status_code == 200
        assert time.monotonic() - started < 0.5
        assert events.content.count(b"data: busy") == 5


def test_cookies_both_ways(server: Server) -> None:
    with requests.Session() as client:
        assert client.get(f"{server.url}/cookies", timeout=10).json() == {}
        assert dict(client.cookies) == {"first": "1", "second": '"two words"'}
        seen = client.get(f"{server.url}/cookies", timeout=10).json()
        assert seen == {"first": "1", "second": "two words"}


def test_addresses(server: Server) -> None:
    url = f"{server.url}/where/a%20b/%C3%BC%2Fslash?x=1&x=2&y=%26"
    assert requests.get(url, timeout=10).json() == {
        "rest": "a b/ü/slash",
        "url": f"{server.url}/where/a%20b/ü/slash?x=1&x=2&y=%26",
        "args": {"x": ["1", "2"], "y": ["&"]},
        "ip": "127.0.0.1",
    }


def test_exception(server: Server) -> None:
    answer = requests.get(f"{server.url}/raise", timeout=10)
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "must not see" not in answer.text
    server.wait_log("RuntimeError: the client must not see this")
    server.wait_stdout("^teardown /raise$")


def test_teardown_runs_when_a_client_leaves_a_stream(server: Server) -> None:
    """Flask's teardown of a stream hangs on close()."""
    before = server.stdout.count("teardown /events")
    with requests.get(f"{server.url}/events?topic=left", stream=True, timeout=10) as answer:
        assert next(answer.iter_lines(chunk_size=1))
    server.wait_stdout(rf"(?s)(teardown /events.*){{{before + 1}}}")
