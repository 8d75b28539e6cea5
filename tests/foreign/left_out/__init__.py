"""Which of the other projects' tests gowsgi fails on purpose: one module each."""

from __future__ import annotations

Table = dict[str, str]  # The reason, by a test's name or a pattern of names.


class Timing(str):
    """A reason for a test that passes or fails by chance; it may only fail in the given way."""

    failure: str

    def __new__(cls, reason: str, failure: str) -> Timing:
        """Make one of a reason and a pattern for the failure's details."""
        made = super().__new__(cls, reason)
        made.failure = failure
        return made
