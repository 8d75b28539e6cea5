"""What ``--reload`` asks of Python: the app's files, and an app to show its error.

Imported only where that is on.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from gowsgi.apps import AppError

# Nobody edits the standard library while an app runs; the packages below it count.
_STDLIB = os.path.dirname(os.__file__) + os.sep
_PACKAGES = tuple(_STDLIB + name + os.sep for name in ("site-packages", "dist-packages"))

# Seconds: the one that a source's time stands for, and one that compiling may take.
_FRESH = 2

_seen: set[str] = set()  # names of files, as modules and tracebacks have them
_found: list[str] = []


def new_files(known: str) -> str:
    """Tells which files the app is made of.

    Args:
        known: How many of them the caller knows. They keep their order: an answer
            that got lost is repeated.

    Returns:
        A JSON list of the absolute paths of the further ones: those of imported
        modules, and of what the error is about that kept the app from loading, if
        one did. A file that would mend that may not exist.
    """
    from json import dumps

    from gowsgi import embed

    _found.extend(_unseen(module_files()))
    failure = embed.failure()
    if failure is not None:
        _found.extend(_unseen(error_files(failure)))
    return dumps(_found[int(known) :])


def module_files() -> Iterator[str]:
    """Yields the files of the imported modules, as the modules name them."""
    for module in tuple(sys.modules.values()):
        try:
            # Not getattr(), which runs what a lazy module would do then.
            file = object.__getattribute__(module, "__dict__").get("__file__")
        except Exception:  # sys.modules may hold anything
            continue
        if type(file) is str:
            yield file


def error_files(exc: BaseException) -> Iterator[str]:
    """Yields the files that an exception is about, and those of what caused it.

    Args:
        exc: An exception raised by an import.

    Yields:
        The files of its traceback, a SyntaxError's, the module that lacks a name,
        and those that would hold a missing module.
    """
    todo: list[Any] = [exc]
    known = set()
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in known:
            continue
        known.add(id(one))
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
        traceback = one.__traceback__
        while traceback is not None:
            yield traceback.tb_frame.f_code.co_filename
            traceback = traceback.tb_next
        if isinstance(one, ModuleNotFoundError):
            yield from _homes(one.name)
        elif isinstance(one, ImportError):
            name = getattr(one, "name_from", None)  # from 3.12 on
            yield from _homes(name and f"{one.name}.{name}")
        named = getattr(one, "filename" if isinstance(one, SyntaxError) else "path", None)
        if isinstance(one, (SyntaxError, ImportError)) and isinstance(named, str):
            yield named


def failing(exc: AppError) -> Callable[..., Any]:
    """Makes an app that answers every request with an error.

    Args:
        exc: Why the real one could not be loaded.

    Returns:
        The app: status 500 and, as plain text, what the log says too.
    """
    parts = [str(exc), exc.traceback_text()]
    if exc.hint is not None:
        parts.append(f"hint: {exc.hint}")
    body = "\n".join(part.rstrip("\n") for part in parts if part).encode("utf-8", "backslashreplace") + b"\n"
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]

    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("500 Internal Server Error", headers)
        return [body]

    return app


def failing_app() -> Callable[..., Any]:
    """Returns the app to serve in place of the one that did not load.

    Raises:
        LookupError: If none has failed to.
    """
    from gowsgi import embed

    failure = embed.failure()
    if failure is None:
        raise LookupError("no application has failed to load")
    return failing(failure)


def keep_no_fresh_bytecode() -> None:
    """Makes imports write no .pyc for sources that were saved a moment ago.

    A .pyc names its source's time in whole seconds and its size. One made between
    two saves in the same second would stand for the second save too if that left
    the size alone, and that save would never be seen.
    """
    from importlib.machinery import SourceFileLoader
    from time import time

    write = SourceFileLoader._cache_bytecode  # type: ignore[attr-defined]
    if write.__module__ == __name__:  # done before the fork
        return

    def write_unless_fresh(self: SourceFileLoader, source_path: str, bytecode_path: str, data: bytes) -> None:
        try:
            fresh = time() - os.stat(source_path).st_mtime < _FRESH
        except OSError:  # gone again
            return
        if not fresh:
            write(self, source_path, bytecode_path, data)

    SourceFileLoader._cache_bytecode = write_unless_fresh  # type: ignore[attr-defined]


def _unseen(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name in _seen:
            continue
        _seen.add(name)
        if name.startswith("<"):  # of exec, of a frozen or embedded module
            continue
        path = os.path.abspath(name)
        if path.startswith(_STDLIB) and not path.startswith(_PACKAGES):
            continue
        if path.endswith(".pyc") and os.path.exists(path[:-1]):
            path = path[:-1]
        yield path


def _homes(name: str | None) -> Iterator[str]:
    """Yields where a missing module could be made."""
    if not name:
        return
    parent, _, last = name.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", ()) if parent else sys.path
    for folder in tuple(folders):
        if isinstance(folder, str) and os.path.isdir(folder or "."):
            yield os.path.join(folder, last + ".py")
            yield os.path.join(folder, last, "__init__.py")
