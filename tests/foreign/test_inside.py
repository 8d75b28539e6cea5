"""Django's, Werkzeug's and Flask's own tests, their requests made through gowsgi."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from . import fetch, suites
from .left_out import django, flask, werkzeug

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Venv

    from .outcomes import Tally

TIMEOUT = 300.0
# About requests and answers themselves.
DJANGO = (
    "servers wsgi file_uploads httpwrappers requests_tests staticfiles_tests handlers test_client "
    "test_client_regress middleware conditional_processing view_tests csrf_tests sessions_tests generic_views "
    "responses urlpatterns_reverse urlpatterns context_processors flatpages_tests redirects_tests "
    "sitemaps_tests syndication_tests messages_tests shortcuts decorators admin_docs"
)
# Applications, which make most of the requests.
DJANGO_APPS = "auth_tests admin_views i18n"
# The rest of those that make any, but for gis_tests, which needs a spatial database.
DJANGO_MORE = (
    "admin_changelist admin_custom_urls admin_inlines admin_utils admin_widgets contenttypes_tests "
    "generic_inline_admin logging_tests middleware_exceptions project_template proxy_models template_tests "
    "test_utils timezones"
)

SUITES = {
    "Django, own tests": ("suite_django", DJANGO, django.TABLE),
    "Django, auth, admin and i18n": ("suite_django", DJANGO_APPS, django.APPS),
    "Werkzeug, own tests": ("suite_pytest", "tests --ignore=tests/test_serving.py", werkzeug.TABLE),
    "Flask, own tests": ("suite_pytest", "tests", flask.TABLE),
}
if os.environ.get("GOWSGI_TEST_FOREIGN") == "all":
    SUITES["Django, the rest with requests"] = ("suite_django", DJANGO_MORE, django.MORE)


@pytest.mark.timeout(TIMEOUT + 30)
@pytest.mark.parametrize("name", SUITES)
def test_suite(name: str, venv: Venv, tmp_path: Path, tally: Tally) -> None:
    """Every test passes but those of the table."""
    suite, arguments, table = SUITES[name]
    source = fetch.source(name.partition(",")[0])
    results = suites.run_inside(venv, suite, source, arguments, tmp_path, TIMEOUT)
    through, requests = results.pop("through gowsgi")
    complaints = tally.judge(name, results, table)
    tally.suite(name).note = f"{requests} requests through gowsgi; run with `{arguments}`"
    assert not complaints, "\n\n".join(complaints)
    assert through == "passed", "no request went through gowsgi"
