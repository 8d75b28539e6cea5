"""A Django project, with `requests` as client."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import requests
from support.server import APPS, Server, clean_env

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Serve
    from support.interpreters import Venv

SETTINGS = "django_project.settings"
MEGABYTES = 30


@pytest.fixture(scope="module")
def server(module_serve: Serve, venv: Venv, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The project, migrated and with an administrator, with two threads."""
    variables = prepare(venv, tmp_path_factory.mktemp("django"))
    return module_serve("django_project.wsgi", threads=2, env=variables)


def prepare(venv: Venv, data: Path) -> dict[str, str]:
    """Migrate, make an administrator, and return the project's environment variables."""
    variables = {
        "E2E_DJANGO_DATA": str(data),
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "DJANGO_SUPERUSER_PASSWORD": "open sesame",
    }
    for command in (
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org"],
    ):
        run = subprocess.run(
            [str(venv.python), "-m", "django", *command],
            cwd=APPS,
            env=clean_env(**variables, PYTHONPATH=str(APPS)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    return variables


def log_in(client: requests.Session, server: Server) -> requests.Response:
    """Log in to the admin as a browser does: form, token, post, redirect."""
    form = client.get(f"{server.url}/admin/login/", timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert token, form.text
    return client.post(
        f"{server.url}/admin/login/?next=/admin/",
        data={
            "csrfmiddlewaretoken": token[1],
            "username": "admin",
            "password": "open sesame",
        },
        timeout=20,
    )


def test_admin_login_with_csrf(server: Server) -> None:
    with requests.Session() as client:
        home = log_in(client, server)
        assert [step.status_code for step in home.history] == [302]
        assert home.status_code == 200
        assert "Site administration" in home.text
        assert {"csrftoken", "sessionid"} <= set(client.cookies.keys())
        users = client.get(f"{server.url}/admin/auth/user/", timeout=10)
        assert "a@example.org" in users.text
        assert client.get(f"{server.url}/", timeout=10).json() == {"users": 1, "user": "admin"}


def test_admin_changes_the_database(server: Server) -> None:
    with requests.Session() as client:
        log_in(client, server)
        page = client.get(f"{server.url}/admin/auth/group/add/", timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        name = f"Editörs {time.time_ns()}"
        answer = client.post(
            f"{server.url}/admin/auth/group/add/",
            data={"csrfmiddlewaretoken": token[1], "name": name, "_save": "Save"},
            timeout=10,
        )
        assert answer.status_code == 200
        assert "was added successfully" in answer.text
        assert name in client.get(f"{server.url}/admin/auth/group/", timeout=10).text


def test_post_without_the_token_is_refused(server: Server) -> None:
    with requests.Session() as client:
        assert client.post(f"{server.url}/protected", timeout=10).status_code == 403
        client.get(f"{server.url}/", timeout=10)
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        answer = client.post(f"{server.url}/protected", headers=headers, timeout=10)
        assert (answer.status_code, answer.text) == (200, "passed")


def test_upload_of_30_mb(server: Server) -> None:
    data = random.Random(1).randbytes(MEGABYTES << 20)
    answer = requests.post(f"{server.url}/upload", files={"file": ("big.bin", data)}, timeout=60)
    assert answer.json() == {
        "size": MEGABYTES << 20,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_stream_arrives_as_it_is_made(server: Server) -> None:
    moments = []
    with requests.get(f"{server.url}/stream", stream=True, timeout=10) as answer:
        assert "Content-Length" not in answer.headers
        for line in answer.iter_lines(chunk_size=1):
            assert line == b"line %d" % len(moments)
            moments.append(time.monotonic())
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert len(gaps) == 4
    # Not all at once at the end; on a busy machine one may be late, and the next not.
    assert sum(gaps) > 0.4, f"seconds between lines: {gaps}"


def test_exception(server: Server) -> None:
    answer = requests.get(f"{server.url}/raise", timeout=10)
    assert answer.status_code == 500
    assert "must not see" not in answer.text
    server.wait_log("RuntimeError: the client must not see this")


def test_many_requests_keep_their_thread_and_connection(server: Server) -> None:
    """Sqlite refuses a connection that was opened in another thread."""
    with requests.Session() as client:
        for _ in range(50):
            answer = client.get(f"{server.url}/", timeout=10)
            assert answer.status_code == 200
            assert answer.json()["users"] == 1
