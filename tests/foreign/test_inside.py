"""Django's, Werkzeug's and Flask's own tests, their requests made through gowsgi."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import fetch, suites
from .left_out import django, flask, werkzeug

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Venv

    from .outcomes import Tally

TIMEOUT = 150.0
# Those that make requests of their own; auth_tests and admin_views would take minutes.
DJANGO = (
    "servers wsgi file_uploads httpwrappers requests_tests staticfiles_tests handlers test_client "
    "test_client_regress middleware conditional_processing view_tests csrf_tests sessions_tests generic_views "
    "responses urlpatterns_reverse urlpatterns context_processors flatpages_tests redirects_tests "
    "sitemaps_tests syndication_tests messages_tests shortcuts decorators admin_docs"
)

SUITES = {
    "Django": ("suite_django", DJANGO, django.TABLE),
    "Werkzeug": ("suite_pytest", "tests --ignore=tests/test_serving.py", werkzeug.TABLE),
    "Flask": ("suite_pytest", "tests", flask.TABLE),
}


@pytest.mark.timeout(TIMEOUT + 30)
@pytest.mark.parametrize("name", SUITES)
def test_suite(name: str, venv: Venv, tmp_path: Path, tally: Tally) -> None:
    """Every test passes but those of the table."""
    suite, arguments, table = SUITES[name]
    results = suites.run_inside(venv, suite, fetch.source(name), arguments, tmp_path, TIMEOUT)
    through, requests = results.pop("through gowsgi")
    complaints = tally.judge(f"{name}, own tests", results, table)
    tally.suite(f"{name}, own tests").note = f"{requests} requests through gowsgi; run with `{arguments}`"
    assert not complaints, "\n\n".join(complaints)
    assert through == "passed", "no request went through gowsgi"
