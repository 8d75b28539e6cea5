"""Behind a real nginx, by uwsgi_pass and by proxy_pass: what an application sees and sends is the same.

GOWSGI_TEST_SERVER="python3 tests/support/as_uwsgi.py" UWSGI=/path/to/uwsgi runs them with uWSGI in gowsgi's place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import requests
import test_django
import test_flask
from support import proc
from support.load import Load
from support.nginx import Nginx
from support.server import HOST, Server, command, free_port
from support.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from conftest import Serve
    from support.interpreters import Venv

WAYS = ["uwsgi-tcp", "uwsgi-unix", "proxy-tcp", "proxy-unix"]
UWSGI_WAYS = ["uwsgi-tcp", "uwsgi-unix"]
OURS = command()[0].endswith("gowsgi")


class Place:
    """A folder for nginx, and the addresses between it and a server behind it."""

    def __init__(self, folder: Path) -> None:
        """Choose addresses."""
        self.folder = folder
        self.addresses = {
            "uwsgi-tcp": f"{HOST}:{free_port()}",
            "uwsgi-unix": f"unix:{folder}/u.sock",
            "proxy-tcp": f"{HOST}:{free_port()}",
            "proxy-unix": f"unix:{folder}/p.sock",
        }
        self.nginx: Nginx | None = None

    def binds(self, *ways: str) -> list[str]:
        """What the server has to listen on."""
        options = []
        for way in ways:
            address = self.addresses[way]
            if way.startswith("uwsgi"):
                address = f"uwsgi+{address}" if address.startswith("unix:") else f"uwsgi://{address}"
            options += ["--bind", address]
        return options

    def hand_on(self, way: str) -> str:
        """The directives that hand requests on."""
        address = self.addresses[way]
        if way.startswith("uwsgi"):
            return f"include params; uwsgi_param HTTP_HOST $http_host; uwsgi_pass {address};"
        return f"include proxy-headers; proxy_pass http://{address};"

    def start(self, http: str) -> Nginx:
        """Start nginx, or let it go on with another configuration."""
        self.nginx = Nginx(self.folder, http)
        return self.nginx

    def front(self, way: str, *more: str, server: str = "") -> int:
        """Start nginx with one server that hands everything on, and return its port."""
        port = free_port()
        location = f"location / {{ {self.hand_on(way)} {' '.join(more)} }}"
        self.start(f"server {{ listen {HOST}:{port}; {server} {location} }}")
        return port


class Behind:
    """A server as it is reached through nginx."""

    def __init__(self, server: Server, port: int) -> None:
        """Put nginx's port before a server."""
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._server = server

    def __getattr__(self, name: str) -> object:
        """Everything else is the server's own."""
        return getattr(self._server, name)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where nginx runs for one test."""
    made = Place(tmp_path)
    yield made
    if made.nginx:
        made.nginx.close()


@pytest.fixture(scope="module")
def module_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Place]]:
    """Makes places for nginx that last as long as the module."""
    made: list[Place] = []

    def make() -> Place:
        made.append(Place(tmp_path_factory.mktemp("n")))
        return made[-1]

    yield make
    for each in made:
        if each.nginx:
            each.nginx.close()


# The Flask and Django tests, once more -----------------------------------------------


@pytest.fixture(scope="module")
def flask(module_serve: Serve, module_place: Callable[[], Place]) -> tuple[Server, Place]:
    """The Flask application on four addresses."""
    place = module_place()
    return module_serve("flask_app:app", *place.binds(*WAYS), threads=2), place


@pytest.fixture(scope="module")
def django(
    module_serve: Serve, module_place: Callable[[], Place], venv: Venv, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Server, Place]:
    """The Django project on four addresses."""
    place = module_place()
    variables = test_django.prepare(venv, tmp_path_factory.mktemp("django"))
    return module_serve("django_project.wsgi", *place.binds(*WAYS), threads=2, env=variables), place


def through_nginx(module: ModuleType, application: str) -> type:
    """The tests of a module as a class whose `server` is reached through nginx."""

    @pytest.fixture(scope="class", params=["uwsgi-tcp", "uwsgi-unix", "proxy-tcp"])
    @classmethod
    def server(_cls: type, request: pytest.FixtureRequest) -> Iterator[Behind]:
        behind, place = request.getfixturevalue(application)
        port = place.front(request.param)
        yield Behind(behind, port)
        place.nginx.close()

    tests = {name: staticmethod(test) for name, test in vars(module).items() if name.startswith("test_")}
    return type(f"Through{module.__name__}", (), {"server": server, **tests})


TestFlask = through_nginx(test_flask, "flask")
TestDjango = through_nginx(test_django, "django")


# What the application sees -----------------------------------------------------------


@pytest.fixture(scope="module")
def raw(module_serve: Serve, module_place: Callable[[], Place]) -> tuple[Server, Place]:
    """The raw application on four addresses."""
    place = module_place()
    return module_serve("raw:app", *place.binds(*WAYS), "--access-logfile", "-", threads=2), place


@pytest.fixture(params=WAYS)
def behind(request: pytest.FixtureRequest, raw: tuple[Server, Place], certificate: Path) -> Iterator[Behind]:
    """The raw application behind nginx, also by https at `secure`."""
    server, place = raw
    port, secure = free_port(), free_port()
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    location = f"location / {{ {place.hand_on(request.param)} }}"
    place.start(
        f"server {{ listen {HOST}:{port}; {location} }} server {{ listen {HOST}:{secure} ssl; {tls} {location} }}"
    )
    made = Behind(server, port)
    made.way, made.secure = request.param, secure
    yield made
    place.nginx.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(["openssl", "req", "-x509", "-subj", "/CN=localhost", *key], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("both.pem.crt").read_text())
    return path


def environ(url: str, **how: object) -> dict[str, str]:
    """What the application sees of a GET."""
    return requests.get(f"{url}/environ", timeout=10, **how).json()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_client_and_scheme(behind: Behind) -> None:
    got = environ(behind.url)
    assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"], got.get("HTTPS")) == (HOST, "http", None)
    assert got["HTTP_HOST"] == f"{HOST}:{behind.port}"
    got = environ(f"https://{HOST}:{behind.secure}", verify=False)
    assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"], got["HTTPS"]) == (HOST, "https", "on")


def test_another_client(behind: Behind) -> None:
    """By the uwsgi protocol the address is nginx's word, and a client's own fields change nothing."""
    with Wire(behind.port, source="127.0.0.9") as wire:
        wire.get("/environ", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https", "X-Real-IP: 198.51.100.7")
        got = json.loads(wire.answer().body)
    assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"]) == ("127.0.0.9", "http")


def test_environ_is_that_of_http(behind: Behind) -> None:
    """Whether nginx speaks HTTP or uwsgi makes no difference to an application that keeps to PEP 3333."""
    with Wire(behind.port) as wire:
        wire.send(
            b"POST /environ?a=%20b&c HTTP/1.1\r\nHost: example.org:8080\r\nContent-Type: a/b\r\n"
            b"X-Thing: 1\r\nCookie: a=1\r\nCookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        got = json.loads(wire.answer().body)
    want = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "a=%20b&c",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "5",
        "REMOTE_ADDR": HOST,
        "HTTP_HOST": "example.org:8080",
        "HTTP_X_THING": "1",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_TRANSFER_ENCODING": None,
        "HTTP_CONTENT_LENGTH": None,
        "HTTP_CONTENT_TYPE": None,
        "wsgi.url_scheme": "http",
    }
    assert {name: got.get(name) for name in want} == want
    assert got["SERVER_NAME"]
    assert got["SERVER_PORT"]


@pytest.mark.parametrize("way", WAYS)
def test_paths(flask: tuple[Server, Place], way: str) -> None:
    """Each way the application sees what the client meant."""
    _, place = flask
    url = f"http://{HOST}:{place.front(way)}"
    for sent, seen in (("a%20b", "a b"), ("%C3%A9", "é"), ("100%25", "100%"), ("a;b=c", "a;b=c"), ("a%3Fb", "a?b")):
        got = requests.get(f"{url}/where/{sent}?q=%26%C3%BC", timeout=10).json()
        assert (got["rest"], got["args"]) == (seen, {"q": ["&ü"]})
    place.nginx.close()


# Bodies and answers ----------------------------------------------------------------


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("way", WAYS)
def test_upload(raw: tuple[Server, Place], way: str, buffering: str) -> None:
    """30 MB, with nginx keeping them first and with nginx passing them on as they come."""
    _, place = raw
    kind = way.split("-")[0]
    port = place.front(way, f"{kind}_request_buffering {buffering};")
    data = os.urandom(1 << 20) * 30
    answer = requests.post(f"http://{HOST}:{port}/echo", data=data, timeout=60)
    assert answer.headers["X-Sha256"] == hashlib.sha256(data).hexdigest()
    assert answer.content == data
    place.nginx.close()


@pytest.mark.parametrize("way", WAYS)
def test_slow_upload_without_request_buffering(raw: tuple[Server, Place], way: str) -> None:
    server, place = raw
    port = place.front(way, f"{way.split('-')[0]}_request_buffering off;")
    with Wire(port) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
        for byte in b"0123456789":
            wire.send(bytes([byte]))
            time.sleep(0.03)
        assert wire.answer().body == b"0123456789"
    with Wire(port) as wire:  # a client that leaves: the application is not called
        wire.send(b"POST /echo?left HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        time.sleep(0.1)
    time.sleep(0.3)
    assert requests.get(f"http://{HOST}:{port}/status?code=200", timeout=10).status_code == 200
    if OURS:
        assert not [line for line in server.stdout.splitlines() if "/echo?left" in line and " 200 " in line]
    place.nginx.close()


def test_statuses_without_a_body(behind: Behind) -> None:
    with Wire(behind.port) as wire:  # on one connection: what is too much would be read as the next answer
        for code in ("204", "304", "404"):
            wire.get(f"/status?code={code}")
            answer = wire.answer()
            assert (answer.status, answer.body) == (int(code), b"body of 404" if code == "404" else b"")
        wire.get("/length?says=6&sends=6", method="HEAD")
        answer = wire.answer(head_only=True)
        assert (answer.status, answer.header("Content-Length")) == (200, "6")
        wire.get("/status?code=404", method="HEAD")
        assert wire.answer(head_only=True).status == 404
        wire.get("/write")
        assert wire.answer().body == b"written, written again, returned"


def test_the_server_field_is_nginx_s(behind: Behind) -> None:
    answer = requests.get(f"{behind.url}/status?code=200", timeout=10)
    assert answer.headers["Server"].startswith("nginx")
    assert "," not in answer.headers["Date"].removeprefix(answer.headers["Date"][:4])


def test_a_stream_arrives_as_it_is_made(behind: Behind) -> None:
    moments = []
    with requests.get(f"{behind.url}/stream?n=5&pause=0.2", stream=True, timeout=10) as answer:
        for _line in answer.iter_lines(chunk_size=1):
            moments.append(time.monotonic())
    assert min(after - before for before, after in itertools.pairwise(moments)) > 0.05


def test_a_file(behind: Behind) -> None:
    assert requests.get(f"{behind.url}/file", timeout=10).content == b"x" * 300_000


def test_errors(behind: Behind) -> None:
    answer = requests.get(f"{behind.url}/raise", timeout=10)
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_stream_that_fails_midway_does_not_look_whole(behind: Behind) -> None:
    with Wire(behind.port) as wire:
        wire.get("/raise-midway?pause=0.1")
        with pytest.raises(Truncated):
            wire.answer()
    with Wire(behind.port) as wire:
        wire.get("/length?says=20&sends=5")
        with pytest.raises(Truncated):
            wire.answer()


@pytest.mark.parametrize("way", UWSGI_WAYS)
def test_what_fails_midway_is_not_cached(raw: tuple[Server, Place], way: str) -> None:
    _, place = raw
    port = free_port()
    cache = "uwsgi_buffering on; uwsgi_cache c; uwsgi_cache_key $request_uri; uwsgi_cache_valid 200 1m;"
    shown = "add_header X-Cache $upstream_cache_status always;"
    location = f"location / {{ {cache} {shown} {place.hand_on(way)} }}"
    place.start(f"uwsgi_cache_path {place.folder}/{way} keys_zone=c:1m; server {{ listen {HOST}:{port}; {location} }}")
    for expected in ("MISS", "HIT"):
        assert requests.get(f"http://{HOST}:{port}/stream?n=3", timeout=10).headers["X-Cache"] == expected
    for _ in range(2):
        with Wire(port) as wire:
            wire.get("/raise-midway?pause=0.1")
            head = wire.head()
            assert head.header("X-Cache") == "MISS"
            with pytest.raises(Truncated):
                while wire.chunk():
                    pass
    place.nginx.close()


# Several servers, and none ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["uwsgi-tcp", "uwsgi-unix", "proxy-tcp"])
def test_next_upstream(serve: Serve, tmp_path: Path, kind: str) -> None:
    """One of three servers is killed: no request fails, and both others serve."""
    places = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        places.append(Place(folder))
    servers = [serve("raw:app", *each.binds(kind), threads=2) for each in places]
    port, front = free_port(), places[0]
    upstream = " ".join(f"server {each.addresses[kind]};" for each in places)
    hand_on = front.hand_on(kind).replace(front.addresses[kind], "three")
    directive = kind.split("-")[0]
    front.start(
        f"upstream three {{ {upstream} }} server {{ listen {HOST}:{port}; "
        f"location / {{ {hand_on} {directive}_next_upstream error timeout; }} }}"
    )
    pids: Counter[int] = Counter()
    try:
        for number in range(60):
            if number == 20:
                for pid in proc.tree(servers[1].pid):
                    os.kill(pid, signal.SIGKILL)
            answer = requests.get(f"http://{HOST}:{port}/", timeout=10)
            assert answer.status_code == 200
            if number > 25:
                pids[answer.json()["pid"]] += 1
        assert len(pids) == 2, pids
    finally:
        front.nginx.close()


@pytest.mark.skipif(not OURS, reason="it is gowsgi's reload")
@pytest.mark.parametrize("way", UWSGI_WAYS)
def test_reloads_lose_no_request(serve: Serve, place: Place, way: str) -> None:
    release = place.folder / "release"
    release.write_text("1")
    server = serve("workers:app", *place.binds(way), "-w2", threads=2, env={"E2E_RELEASE": str(release)})
    port = place.front(way)
    with Load(port) as load:
        for _ in range(3):
            time.sleep(0.5)
            old = proc.children(server.pid)
            server.signal(signal.SIGHUP)
            proc.wait_for(lambda old=old: not any(proc.alive(pid) for pid in old), 20, "a reload")
        time.sleep(0.5)
    assert load.failures == []
    assert len(load.pids) >= 6
    assert load.answers > 50


# What is not right -----------------------------------------------------------------


@pytest.mark.skipif(not OURS, reason="they are gowsgi's words")
def test_the_wrong_protocol(raw: tuple[Server, Place]) -> None:
    """The client gets an error, and the log says which directive would be right."""
    server, place = raw
    for way, other, said in (
        ("uwsgi-tcp", "proxy-tcp", "a uwsgi packet where a request line was expected: use proxy_pass"),
        ("proxy-tcp", "uwsgi-tcp", "HTTP where the uwsgi protocol is spoken: use uwsgi_pass"),
    ):
        port = free_port()
        hand_on = place.hand_on(way).replace(place.addresses[way], place.addresses[other])
        place.start(f"server {{ listen {HOST}:{port}; location / {{ {hand_on} }} }}")
        assert requests.get(f"http://{HOST}:{port}/", timeout=10).status_code == 400
        server.wait_log(said)
        place.nginx.close()


@pytest.mark.skipif(not OURS, reason="they are gowsgi's words")
def test_too_large_for_the_buffer(serve: Serve, place: Place) -> None:
    server = serve("raw:app", *place.binds("uwsgi-tcp"), "--buffer-size", "3000")
    port = place.front("uwsgi-tcp", server="large_client_header_buffers 4 16k;")
    assert requests.get(f"http://{HOST}:{port}/environ", headers={"X": "x" * 1000}, timeout=10).status_code == 200
    assert requests.get(f"http://{HOST}:{port}/environ", headers={"X": "x" * 3000}, timeout=10).status_code == 431
    server.wait_log(r"uwsgi packet of 3\d\d\d bytes, where --buffer-size allows 3000")


@pytest.mark.skipif(not OURS, reason="they are gowsgi's words")
def test_who_may_send_packets(serve: Serve, place: Place) -> None:
    """Unix sockets always may."""
    server = serve("raw:app", *place.binds(*UWSGI_WAYS), "--uwsgi-allow-from", "192.0.2.0/24")
    port = place.front("uwsgi-tcp")
    assert requests.get(f"http://{HOST}:{port}/environ", timeout=10).status_code == 403
    server.wait_log("from an address that is not allowed to send any")
    place.nginx.close()
    assert requests.get(f"http://{HOST}:{place.front('uwsgi-unix')}/environ", timeout=10).status_code == 200


def test_a_mount(raw: tuple[Server, Place]) -> None:
    """Modifier 30 takes SCRIPT_NAME from PATH_INFO; uWSGI on Python 3 leaves it there."""
    _, place = raw
    port = free_port()
    more = "uwsgi_param SCRIPT_NAME /mount; uwsgi_modifier1 30;"
    place.start(f"server {{ listen {HOST}:{port}; location /mount {{ {place.hand_on('uwsgi-tcp')} {more} }} }}")
    got = environ(f"http://{HOST}:{port}/mount")
    assert (got["SCRIPT_NAME"], got["PATH_INFO"], got["REQUEST_URI"]) == ("/mount", "/environ", "/mount/environ")
    place.nginx.close()


@pytest.mark.skipif(not OURS, reason="--protocol is gowsgi's and gunicorn's")
def test_protocol_for_all_addresses(serve: Serve, place: Place) -> None:
    """Gunicorn's way to say it; one that names its own keeps that."""
    bare = [word.removeprefix("uwsgi://").removeprefix("uwsgi+") for word in place.binds(*UWSGI_WAYS)]
    http = free_port()
    server = serve(
        "raw:app", *bare, "--bind", f"http://{HOST}:{http}", "--protocol", "uwsgi", "--socket-mode", "600", binds=0
    )
    server.wait_log("serving raw:app")
    assert requests.get(f"http://{HOST}:{http}/environ", timeout=10).status_code == 200
    for way in UWSGI_WAYS:
        assert requests.get(f"http://{HOST}:{place.front(way)}/environ", timeout=10).status_code == 200
        place.nginx.close()
    assert (place.folder / "u.sock").stat().st_mode & 0o777 == 0o600
    assert server.stop() == 0
    assert not (place.folder / "u.sock").exists()
