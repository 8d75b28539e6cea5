"""Which of the other projects' tests gowsgi fails on purpose: one module each."""

from __future__ import annotations

Table = dict[str, str]  # The reason, by a test's name or a pattern of names.
