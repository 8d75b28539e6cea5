import os
import shutil
import sys
import sysconfig

import pytest

from gowsgi import __main__ as command


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A scripts folder and a PATH that hold nothing."""
    for name in ("scripts", "path", "first"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sysconfig, "get_path", lambda *args: str(tmp_path / "scripts"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'path'}")
    return tmp_path


def binary(path, head=b"\x7fELF", mode=0o755):
    path.write_bytes(head)
    path.chmod(mode)
    return str(path)


def test_search_order(scripts):
    assert command.find_command() is None
    on_path = binary(scripts / "path" / "gowsgi")
    binary(scripts / "first" / "gowsgi", b"#!/bin/sh\npython -m gowsgi")
    assert command.find_command() == on_path
    binary(scripts / "scripts" / "gowsgi", mode=0o644)
    assert command.find_command() == on_path
    (scripts / "scripts" / "gowsgi").chmod(0o755)
    assert command.find_command() == str(scripts / "scripts" / "gowsgi")


def test_no_command(scripts, capsys):
    assert command.main() == 1
    assert "pip install gowsgi" in capsys.readouterr().err


def test_binary_that_cannot_run(scripts, capsys, monkeypatch):
    binary(scripts / "scripts" / "gowsgi")
    monkeypatch.setenv("GOWSGI_PYTHON", "")
    assert command.main() == 1
    assert "cannot run" in capsys.readouterr().err


def test_runs_the_command_with_this_interpreter(child):
    # env stands for the Go binary: it prints what it is given.
    shutil.copy(shutil.which("env"), child.folder / "gowsgi")
    result = child.run(
        "import runpy, sys, sysconfig\n"
        "sysconfig.get_path = lambda *args: '/nonexistent'\n"
        "sys.argv = ['x', 'MARK=a b']\n"
        "runpy.run_module('gowsgi', run_name='__main__', alter_sys=True)",
        PATH=str(child.folder),
        GOWSGI_PYTHON="other",
    )
    lines = result.stdout.splitlines()
    assert f"GOWSGI_PYTHON={sys.executable}" in lines, result.stderr
    assert "MARK=a b" in lines
