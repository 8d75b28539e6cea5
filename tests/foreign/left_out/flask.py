"""Tests of Flask that fail when its requests go through gowsgi, and why that is right."""

from __future__ import annotations

from . import Table

TABLE: Table = {}
