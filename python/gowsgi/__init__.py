"""The Python side of gowsgi, a WSGI server in Go that embeds CPython.

The server calls ``gowsgi.embed``; users run the command ``gowsgi`` or
``python -m gowsgi``. Modules here import as little as they can at the top,
since their imports are part of every worker's start.
"""

from gowsgi._version import __version__

__all__ = ["__version__"]
