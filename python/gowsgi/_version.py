"""The version, stated here only: setup.py and the Go side read this line."""

__version__ = "0.1.0"
