"""HTTPS by gunicorn's settings, with a real client."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests
from support import proc

if TYPE_CHECKING:
    from pathlib import Path

    from support.server import Serve

ALTERNATIVE = "subjectAltName=IP:127.0.0.1,DNS:localhost"


def openssl(*words: str) -> None:
    """Run the command openssl."""
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a certificate that signs itself, and return it and its key."""
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    subject = ("-subj", f"/CN={name}", "-addext", ALTERNATIVE)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, *subject)
    return cert, key


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A server's certificate and key."""
    return certificate(tmp_path_factory.mktemp("tls"), "server")


def start(serve: Serve, *options: str) -> tuple[object, str]:
    """Return a server and its URL."""
    server = serve("raw:app", *options, ready=False)
    server.wait_log("serving raw:app on https://", 20)
    return server, f"https://localhost:{server.port}"


def test_https(serve: Serve, pair: tuple[str, str]) -> None:
    """The certificate is checked; the application sees https."""
    cert, key = pair
    server, url = start(serve, "--certfile", cert, "--keyfile", key)
    with requests.Session() as session:
        session.verify, session.trust_env = cert, False
        environ = session.get(f"{url}/environ", timeout=10).json()
        assert environ["wsgi.url_scheme"] == "https"
        body = b"x" * 3_000_000
        assert session.post(f"{url}/echo", data=body, timeout=20).content == body
    plain = requests.get(f"http://localhost:{server.port}/", timeout=10)
    assert (plain.status_code, "https://" in plain.text) == (400, True)


def test_a_key_in_the_same_file(serve: Serve, pair: tuple[str, str], tmp_path: Path) -> None:
    """--certfile alone may hold both."""
    both = tmp_path / "both.pem"
    both.write_text("".join(open(name).read() for name in pair))
    _, url = start(serve, "--certfile", str(both))
    assert requests.get(f"{url}/environ", verify=pair[0], timeout=10).ok


def test_client_certificates(serve: Serve, pair: tuple[str, str], tmp_path: Path) -> None:
    """--cert-reqs 2 lets only those in that --ca-certs has signed."""
    cert, key = pair
    client = certificate(tmp_path, "client")
    other = certificate(tmp_path, "other")
    _, url = start(serve, "--certfile", cert, "--keyfile", key, "--ca-certs", client[0], "--cert-reqs", "2")
    assert requests.get(f"{url}/environ", verify=cert, cert=client, timeout=10).ok
    for wrong in (None, other):
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{url}/environ", verify=cert, cert=wrong, timeout=10)


def test_a_new_certificate_at_hup(serve: Serve, pair: tuple[str, str], tmp_path: Path) -> None:
    """A reload reads the files again."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def use(files: tuple[str, str]) -> None:
        for target, source in zip((cert, key), files, strict=True):
            target.write_text(open(source).read())

    use(pair)
    server, url = start(serve, "--certfile", str(cert), "--keyfile", str(key))
    assert requests.get(f"{url}/environ", verify=pair[0], timeout=10).ok
    new = certificate(tmp_path, "new")
    use(new)
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", 15)

    def is_new() -> bool:
        try:
            return requests.get(f"{url}/environ", verify=new[0], timeout=10).ok
        except requests.exceptions.SSLError:
            return False  # the old worker still took it

    proc.wait_for(is_new, 10, "the new certificate")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--certfile", "gone.pem"], "gone.pem: no such file"),
        (["--keyfile", "key.pem"], "--keyfile key.pem: it needs --certfile too"),
    ],
)
def test_errors(serve: Serve, options: list[str], said: str) -> None:
    """What is wrong with the files, at once."""
    server = serve("raw:app", *options, ready=False)
    assert server.wait() == 1
    assert said in server.stderr
