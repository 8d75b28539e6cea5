"""docs/gunicorn.md against gunicorn's own list of settings: none missing.

The tables there come from the code (cmd/gowsgi/docs_test.go holds that they do).
"""

import re
from pathlib import Path

import pytest
from gunicorn.config import KNOWN_SETTINGS

DOCS = Path(__file__).parents[2] / "docs" / "gunicorn.md"

# What is not gunicorn's default here, each with its reason.
OTHER_DEFAULTS = {
    "keepalive": "an idle connection holds no thread",
    "control_socket": "there is none",
    "chdir": "gunicorn's is the current folder",
    "user": "gunicorn's is the current user",
    "group": "gunicorn's is the current group",
    "ssl_version": "ignored",
}


def rows(section):
    text = DOCS.read_text().partition(f"<!-- {section}: ")[2].partition("<!-- end -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) > 10
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


SETTINGS = {row[0].strip("`"): row for row in rows("settings")}
HOOKS = {row[0].strip("`"): row for row in rows("hooks")}


def test_gunicorn_is_the_version_that_the_table_is_for():
    assert len(KNOWN_SETTINGS) >= 120


@pytest.mark.parametrize("setting", KNOWN_SETTINGS, ids=lambda s: s.name)
def test_none_is_missing(setting):
    if setting.name in HOOKS:
        return
    _, options, default, state, note = SETTINGS[setting.name]
    assert state in ("works", "ignored", "refused")
    assert note, "it does not say what it does, or what to do instead"
    for flag in setting.cli or ():
        assert f"`{flag}`" in options
    if state == "works" and setting.name not in OTHER_DEFAULTS and not callable(setting.default):
        assert default.strip("`") == shown(setting.default)


def shown(default):
    if default is None or default == {} or isinstance(default, dict):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ", ".join(default)
    return str(int(default) if hasattr(default, "value") else default)


def test_every_hook_of_gunicorn_is_there():
    for setting in KNOWN_SETTINGS:
        if setting.section.endswith("Hooks"):
            assert setting.name in HOOKS
