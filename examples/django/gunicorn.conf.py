"""Read by `gowsgi run` in this folder, and by the one file that is built of it."""

from typing import Any

workers = 2
preload_app = True


def on_starting(server: Any) -> None:
    """Bring the database up to date, once, before there are workers."""
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
