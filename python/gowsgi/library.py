"""Makes apps importable that a Go program loads, one after another.

All of them share one interpreter, and so one ``sys.path`` and one ``sys.modules``.
"""

from __future__ import annotations

import os
import sys
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import find_spec

from gowsgi import apps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_folders: list[str] = []


def use_folders(folders: list[str], module: str) -> None:
    """Puts folders on ``sys.path``, behind those of earlier calls.

    Args:
        folders: Absolute paths; the app's own folder first.
        module: The app's spec or the name of a module, which is about to be
            imported.

    Raises:
        AppSpecError: If the spec is malformed, or the first folder has the
            module but another one of that name would be imported.
    """
    parsed = apps.parse(module)
    for folder in folders:
        if folder not in _folders:
            sys.path.insert(len(_folders), folder)
            _folders.append(folder)
    invalidate_caches()  # the folder may be known, and the file new
    if folders and not parsed.is_file:
        _check_own(parsed.module.partition(".")[0], folders[0])


def _check_own(name: str, folder: str) -> None:
    """Raises if a module of a folder is hidden by another of its name."""
    wanted = PathFinder.find_spec(name, [folder])
    if wanted is None:
        return  # it is elsewhere on sys.path, or missing: the import tells
    try:
        found = find_spec(name)
    except ValueError:  # it was put into sys.modules without saying where it is from
        found = None
    places = _places(found)
    if not set(_places(wanted)).issubset(places):  # a package may lie in several folders
        raise apps.AppSpecError(
            f"the module {name!r} of {folder} is hidden by {', '.join(places)}",
            "the applications of a process share their modules: give this one another name, or put it into a package",
        )


def _places(spec: ModuleSpec | None) -> list[str]:
    """Returns a module's file, or the folders of one that has none."""
    if spec is None:
        return ["another"]
    if spec.has_location and spec.origin:
        return [os.path.realpath(spec.origin)]
    return [os.path.realpath(entry) for entry in spec.submodule_search_locations or []] or ["CPython's own"]
