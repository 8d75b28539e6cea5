"""Behind proxies: who is believed, the PROXY protocol, mounts, names with underscores."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.server import finish
from support.wire import Wire

if TYPE_CHECKING:
    from conftest import Serve
    from support.server import Server

FORWARDED = ("X-Forwarded-For: 198.51.100.9", "X-Forwarded-Proto: https")
BELIEVED = {"REMOTE_ADDR": "198.51.100.9", "REMOTE_PORT": None, "wsgi.url_scheme": "https", "HTTPS": "on"}
NOT_BELIEVED = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTPS": None}


def environ(server: Server, *headers: str, before: bytes = b"", path: str = "/environ") -> dict[str, str]:
    """Return what the application sees of a request."""
    with Wire(server.port) as wire:
        wire.send(before)
        wire.get(path, *headers)
        answer = wire.answer()
        assert answer.status == 200, answer
        return json.loads(answer.body)


def status(server: Server, *headers: str, path: str = "/environ") -> int:
    """Return the status of a request's answer."""
    with Wire(server.port) as wire:
        wire.get(path, *headers)
        return wire.answer().status


def holds(got: dict[str, str], **want: str | None) -> None:
    """Assert some variables, None for those that must not be there."""
    assert {name: got.get(name) for name in want} == want


# Forwarding fields -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "env", "believed"),
    [
        ([], {}, True),
        (["--forwarded-allow-ips="], {}, False),
        (["--forwarded-allow-ips=10.0.0.0/8,::1"], {}, False),
        (["--forwarded-allow-ips=10.0.0.0/8, 127.0.0.0/8"], {}, True),
        (["--forwarded-allow-ips=127.0.0.2"], {}, False),
        (["--forwarded-allow-ips=*"], {}, True),
        ([], {"FORWARDED_ALLOW_IPS": "10.0.0.1"}, False),
        ([], {"FORWARDED_ALLOW_IPS": "127.0.0.1"}, True),
        ([], {"FORWARDED_ALLOW_IPS": "*"}, True),
        ([], {"FORWARDED_ALLOW_IPS": ""}, False),
        (["--forwarded-allow-ips=127.0.0.1"], {"FORWARDED_ALLOW_IPS": "10.0.0.1"}, True),
        (["--forwarded-allow-ips=10.0.0.1"], {"FORWARDED_ALLOW_IPS": "*"}, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_who_is_believed(serve: Serve, options: list[str], env: dict[str, str], believed: bool) -> None:
    """The option goes before the variable; by default the loopback is believed."""
    server = serve("raw:app", *options, env=env)
    for fields in (FORWARDED, ("Forwarded: for=198.51.100.9;proto=https",)):
        got = environ(server, *fields)
        holds(got, **(BELIEVED if believed else NOT_BELIEVED))
    assert environ(server, *FORWARDED)["HTTP_X_FORWARDED_FOR"] == "198.51.100.9"


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/33", "127.0.0.1;::1"])
@pytest.mark.parametrize("option", ["--forwarded-allow-ips", "--proxy-allow-from"])
def test_addresses_that_are_none(option: str, value: str) -> None:
    extra = ["--proxy-protocol=auto"] if "proxy" in option else []
    done = finish(["run", *extra, option, value, "raw:app"])
    assert done.code != 0
    assert option in done.stderr
    assert "neither an address nor a network" in done.stderr


@pytest.fixture(scope="module")
def server(module_serve: Serve) -> Server:
    """The raw application with what is the default, and an access log."""
    return module_serve("raw:app", "--access-logfile", "-")


def test_each_request_of_a_connection_is_another_client(server: Server) -> None:
    """What a proxy says of one request must not stay for the next."""
    seen = []
    with Wire(server.port) as wire:
        for fields in (FORWARDED, (), ("X-Forwarded-For: 198.51.100.10",), ()):
            wire.get("/environ", *fields)
            got = json.loads(wire.answer().body)
            seen.append((got["REMOTE_ADDR"], got["wsgi.url_scheme"], "HTTPS" in got))
    assert seen == [
        ("198.51.100.9", "https", True),
        ("127.0.0.1", "http", False),
        ("198.51.100.10", "http", False),
        ("127.0.0.1", "http", False),
    ]


def test_the_access_log_names_the_client(server: Server) -> None:
    environ(server, "X-Forwarded-For: 198.51.100.77")
    assert server.wait_stdout(r'^198\.51\.100\.77 .*"GET /environ HTTP/1\.1" 200 ')


def test_the_access_log_of_a_refused_request_behind_another(serve: Serve) -> None:
    server = serve("raw:app", "--access-logfile", "-")
    with Wire(server.port) as wire:
        wire.get("/environ", "X-Forwarded-For: 198.51.100.78")
        wire.answer()
        wire.send(b"nonsense\r\n\r\n")
        assert wire.answer().status == 400
    assert server.wait_stdout(r'^(\S+) .*" 400 ').group(1) == "127.0.0.1"


def test_contradicting_schemes_are_refused(server: Server) -> None:
    assert status(server, "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off") == 400
    assert server.wait_log(r"peer=127\.0\.0\.1 status=400 cause=.*scheme")


def test_own_scheme_headers(serve: Serve) -> None:
    server = serve("raw:app", "--secure-scheme-headers", "Front-End-Https=on, X-Url-Scheme=https")
    assert environ(server, "front-end-https: on")["wsgi.url_scheme"] == "https"
    assert environ(server, "X-Url-Scheme: https")["wsgi.url_scheme"] == "https"
    assert environ(server, "X-Forwarded-Proto: https")["wsgi.url_scheme"] == "http"


def test_the_host_is_not_a_proxys_by_default(server: Server) -> None:
    fields = ("X-Forwarded-Host: evil.example", "X-Forwarded-Port: 8443")
    holds(environ(server, *fields), HTTP_HOST="test", HTTP_X_FORWARDED_HOST="evil.example")
    assert environ(server, "Forwarded: for=198.51.100.9;host=evil.example")["HTTP_HOST"] == "test"


def test_forwarded_host(serve: Serve) -> None:
    server = serve("raw:app", "--forwarded-host")
    got = environ(server, "X-Forwarded-Host: site.example", "X-Forwarded-Port: 8443")
    assert got["HTTP_HOST"] == "site.example:8443"
    assert environ(server, 'Forwarded: for=198.51.100.9;host="site.example:80"')["HTTP_HOST"] == "site.example:80"
    assert environ(server, "X-Forwarded-Host: a b/c")["HTTP_HOST"] == "test"
    assert environ(server)["HTTP_HOST"] == "test"


# Names with underscores ------------------------------------------------------------


def test_names_with_underscores_are_dropped(server: Server) -> None:
    got = environ(server, "X_Forwarded_For: 198.51.100.9", "X_User: evil", "X-User: good")
    holds(got, HTTP_X_FORWARDED_FOR=None, HTTP_X_USER="good", REMOTE_ADDR="127.0.0.1")


def test_names_with_underscores_are_refused(serve: Serve) -> None:
    server = serve("raw:app", "--header-map=refuse")
    assert status(server, "X-User: good") == 200
    assert status(server, "X_User: evil") == 400
    assert server.wait_log(r"peer=127\.0\.0\.1 status=400 cause=.*underscore")


def test_names_with_underscores_are_joined(serve: Serve) -> None:
    server = serve("raw:app", "--header-map=dangerous")
    assert environ(server, "X-User: a", "X_User: b")["HTTP_X_USER"] == "a,b"


def test_forwarder_headers(serve: Serve) -> None:
    server = serve("raw:app", "--forwarder-headers", "remote_user, X_Other")
    got = environ(server, "REMOTE_USER: ada", "x_other: b", "X_Third: c", "SCRIPT_NAME: /x")
    holds(got, HTTP_REMOTE_USER="ada", HTTP_X_OTHER="b", HTTP_X_THIRD=None, HTTP_SCRIPT_NAME=None)
    strict = serve("raw:app", "--forwarder-headers", "*", "--forwarded-allow-ips=10.0.0.1")
    assert "HTTP_REMOTE_USER" not in environ(strict, "REMOTE_USER: ada")


# Mounts ----------------------------------------------------------------------------


def test_a_mount_by_the_proxy(server: Server) -> None:
    got = environ(server, "SCRIPT_NAME: /app", path="/app/environ")
    holds(got, SCRIPT_NAME="/app", PATH_INFO="/environ", RAW_URI="/app/environ")
    assert status(server, "SCRIPT_NAME: /app", path="/environ") == 400
    assert server.wait_log(r"peer=127\.0\.0\.1 status=400 cause=.*SCRIPT_NAME")


def test_a_mount_by_the_environment(serve: Serve) -> None:
    server = serve("raw:app", "--forwarded-allow-ips=10.0.0.1", env={"SCRIPT_NAME": "/site/app"})
    got = environ(server, "SCRIPT_NAME: /evil", path="/site/app/environ?a=b")
    holds(got, SCRIPT_NAME="/site/app", PATH_INFO="/environ", QUERY_STRING="a=b")
    for outside in ("/environ", "/site/apple", "/site", "/"):
        assert status(server, path=outside) == 400
    assert status(server, path="/site/app") == 404, "the application has no route for the empty path"


def test_a_mount_by_the_env_option(serve: Serve) -> None:
    server = serve("raw:app", "--env", "SCRIPT_NAME=/app")
    holds(environ(server, path="/app/environ"), SCRIPT_NAME="/app", PATH_INFO="/environ")


# The PROXY protocol ----------------------------------------------------------------

V1 = b"PROXY TCP4 198.51.100.9 192.0.2.1 4711 443\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n"
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, addresses: bytes) -> bytes:
    """Return a version 2 header."""
    return V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(addresses)) + addresses


def inet(address: str) -> bytes:
    """Return an address in network form."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


V2 = v2(1, 0x11, inet("198.51.100.9") + inet("192.0.2.1") + struct.pack("!HH", 4711, 443))
V2_IPV6 = v2(1, 0x21, inet("2001:db8::9") + inet("2001:db8::1") + struct.pack("!HH", 4711, 443))
V2_LOCAL = v2(0, 0x00, b"")

CLIENT = {"REMOTE_ADDR": "198.51.100.9", "REMOTE_PORT": "4711", "PROXY_ADDR": "127.0.0.1"}
CLIENT_IPV6 = {"REMOTE_ADDR": "2001:db8::9", "REMOTE_PORT": "4711", "PROXY_ADDR": "127.0.0.1"}
NO_CLIENT = {"REMOTE_ADDR": "127.0.0.1", "PROXY_ADDR": None}


@pytest.fixture(scope="module")
def proxied(module_serve: Serve) -> Server:
    """The raw application behind the PROXY protocol."""
    return module_serve("raw:app", "--proxy-protocol=auto")


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (V1, CLIENT),
        (V1_IPV6, CLIENT_IPV6),
        (b"PROXY UNKNOWN\r\n", NO_CLIENT),
        (V2, CLIENT),
        (V2_IPV6, CLIENT_IPV6),
        (V2_LOCAL, NO_CLIENT),
        (b"", NO_CLIENT),
    ],
    ids=["v1", "v1-IPv6", "v1-unknown", "v2", "v2-IPv6", "v2-local", "absent"],
)
def test_proxy_protocol(proxied: Server, header: bytes, want: dict[str, str]) -> None:
    got = environ(proxied, before=header)
    holds(got, **want)
    assert got["SERVER_PORT"] == str(proxied.port)
    with Wire(proxied.port) as wire:  # and for each request of the connection
        wire.send(header)
        for _ in range(3):
            wire.get("/environ")
            holds(json.loads(wire.answer().body), **want)


def test_proxy_protocol_of_curl(proxied: Server) -> None:
    """Curl names itself as the client."""
    curl = shutil.which("curl")
    assert curl, "curl is not there"
    arguments = [curl, "--silent", "--show-error", "--max-time", "10", "--haproxy-protocol"]
    report = ["--write-out", r"\n%{local_port}", f"{proxied.url}/environ"]
    done = subprocess.run([*arguments, *report], capture_output=True, check=True, timeout=20)
    body, _, port = done.stdout.rpartition(b"\n")
    holds(json.loads(body), REMOTE_ADDR="127.0.0.1", REMOTE_PORT=port.decode(), PROXY_ADDR="127.0.0.1")


def test_forwarding_fields_are_the_clients_word(proxied: Server) -> None:
    """The proxy passes bytes on: its address does not vouch for the fields."""
    got = environ(proxied, *FORWARDED, before=V1)
    holds(got, **CLIENT, **{"wsgi.url_scheme": "http"})
    local = environ(proxied, *FORWARDED, before=b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 443\r\n")
    assert local["REMOTE_ADDR"] == "198.51.100.9"


def test_proxy_protocol_in_the_logs(serve: Serve) -> None:
    server = serve("raw:app", "--proxy-protocol=v1", "--access-logfile", "-")
    with Wire(server.port) as wire:
        wire.send(V1)
        wire.get("/status?code=200")
        assert wire.answer().status == 200
        wire.send(b"nonsense\r\n\r\n")
        assert wire.answer().status == 400
    assert server.wait_stdout(r"^198\.51\.100\.9 ")
    assert server.wait_log(r"peer=198\.51\.100\.9 status=400")


@pytest.mark.parametrize(
    ("mode", "header"),
    [
        ("off", V1),
        ("off", V2),
        ("v1", V2),
        ("v2", V1),
        ("auto", V1[:-2] + b"\n"),
        ("auto", V1 + V1),
        ("auto", v2(1, 0x11, b"short")),
    ],
    ids=["off-v1", "off-v2", "v2-for-v1", "v1-for-v2", "bare-LF", "twice", "short"],
)
def test_proxy_protocol_that_is_refused(serve: Serve, mode: str, header: bytes) -> None:
    server = serve("raw:app", "--proxy-protocol", mode)
    with Wire(server.port) as wire:
        wire.send(header)
        wire.get("/environ")
        answer = wire.answer()
        assert answer.status == 400
        assert wire.closed()
    assert server.wait_log(r"peer=\S+ status=400 cause=")


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_proxy_protocol_from_others(serve: Serve, header: bytes) -> None:
    server = serve("raw:app", "--proxy-protocol=auto", "--proxy-allow-from", "10.0.0.0/8,::1")
    with Wire(server.port) as wire:
        wire.send(header)
        wire.get("/environ")
        assert wire.answer().status == 403
        assert wire.closed()
    assert server.wait_log(r"peer=127\.0\.0\.1 status=403 cause=.*PROXY protocol")
    holds(environ(server), **NO_CLIENT)


def test_proxy_protocol_from_a_network(serve: Serve) -> None:
    server = serve("raw:app", "--proxy-protocol=v2", "--proxy-allow-ips", "127.0.0.0/8")
    holds(environ(server, before=V2), **CLIENT)


def test_proxy_protocol_that_does_not_end(serve: Serve) -> None:
    server = serve("raw:app", "--proxy-protocol=auto", "--header-timeout=0.5")
    with Wire(server.port) as wire:
        wire.send(b"PROXY TCP4 198.51.")
        assert wire.answer().status == 408
        assert wire.closed()
