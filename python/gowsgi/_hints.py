"""Words the hints of ``gowsgi.apps``; imported only once something failed.

A hint must never hide the error it belongs to: the public functions return
None where making one fails.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from gowsgi.apps import Spec

    Hint = Callable[..., str | None]

_SHOWN = 8
# Callable, but made to be used by name: never what a spec means.
_NOISE_MODULES = ("typing", "werkzeug.local")
_FACTORIES = ("create_app", "make_app", "build_app", "get_app", "app_factory", "get_wsgi_application")


def _never_raises(function: Hint) -> Hint:
    def guarded(*args: Any) -> str | None:
        try:
            return function(*args)
        except Exception:
            return None

    return guarded


@_never_raises
def for_file(path: str, expression: str) -> str:
    """Turns a file's path into the spec that serves it."""
    stem = path.removeprefix("./").removesuffix(".py").removesuffix("/__init__")
    folder, _, module = stem.rpartition("/")
    suffix = f":{expression or 'app'}"
    if not folder:
        return f"did you mean {module}{suffix}?"
    if not os.path.isabs(folder) and os.path.isfile(os.path.join(folder, "__init__.py")):
        return f"did you mean {stem.replace('/', '.')}{suffix}?"
    return f"did you mean --chdir {folder} {module}{suffix}?"


@_never_raises
def for_module(spec: Spec, missing: str) -> str:
    """Looks for the module that was meant."""
    rest = spec.text.partition(":")[2]
    suffix = f":{rest}" if rest else ""
    parent, _, last = missing.rpartition(".")
    if parent:
        return _for_submodule(parent, last, spec, suffix)
    folder = os.getcwd()
    tail = spec.module[len(missing) :]
    close = _close(last, _modules_in([folder]))
    if close:
        return f"did you mean {close}{tail}{suffix}?"
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        if not name.startswith(".") and os.path.isdir(inner) and last in _modules_in([inner]):
            return f"there is one in {name}/: did you mean --chdir {name} {spec.text}?"
    return (
        f"run gowsgi from the folder that holds it (this is {folder}) or name that with --chdir; "
        f"if it is installed, is the virtual environment the right one? {_interpreter()}"
    )


def _for_submodule(parent: str, last: str, spec: Spec, suffix: str) -> str:
    package = sys.modules[parent]
    paths = getattr(package, "__path__", None)
    if paths is None:
        return f"{parent!r} is a module, not a package: did you mean {parent}:{last}?"
    close = _close(last, _modules_in(paths))
    if close:
        return f"did you mean {parent}.{close}{suffix}?"
    if hasattr(package, last) and not suffix:
        return f"did you mean {parent}:{last}?"
    names = sorted(_modules_in(paths))
    return f"{parent!r} in {next(iter(paths), '?')} has {_listing(names) or 'no modules'}"


@_never_raises
def for_dependency(name: str) -> str:
    """Asks whether this is the interpreter that has the app's packages."""
    top = name.partition(".")[0]
    if top in sys.modules:
        return f"the installed {top!r} lacks it, maybe in this version; {_interpreter()}"
    return f"install it, or is the virtual environment the right one? {_interpreter()}"


@_never_raises
def for_attribute(module: ModuleType, spec: Spec, owner: Any) -> str:
    """Looks for the attribute that was meant."""
    name = spec.module
    known = _callables(vars(module), name)
    where = getattr(module, "__file__", None) or getattr(module, "__path__", "?")
    if owner is module and spec.path and hasattr(module, "__path__") and spec.path[0] in _modules_in(module.__path__):
        return f"did you mean {'.'.join([name, spec.path[0]])}:{'.'.join(spec.path[1:]) or 'app'}?"
    factory = next((known_name for known_name in _FACTORIES if known_name in known), None)
    if spec.path and owner is module:
        public = [other for other in vars(module) if not other.startswith("_") and other != spec.path[0]]
        close = _close(spec.path[0], [other for other in known if other != spec.path[0]]) or _close(
            spec.path[0], public
        )
        if close:
            return f"did you mean {name}:{close}{'()' if close == factory else ''}?"
    if factory:
        return f"did you mean {name}:{factory}()?"
    if not known:
        return f"{where} defines nothing that can be called"
    return f"{where} defines {_listing(known)}"


@_never_raises
def for_arguments(factory: Any, spec: Spec) -> str:
    """Shows how a factory is called."""
    from inspect import signature

    return f"it is {'.'.join(spec.path)}{signature(factory)}"


@_never_raises
def for_signature(function: Any, bound: int, spec: Spec) -> str:
    """Says what a callable that is no WSGI application may be instead."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    if code.co_flags & 0x80 or "receive" in names:
        return "it looks like an ASGI application, and gowsgi serves WSGI: wrap it, or use an ASGI server"
    if spec.arguments is None and code.co_argcount - bound == len(function.__defaults__ or ()):
        return f"if it is a factory, call it: {spec.module}:{'.'.join(spec.path)}()"
    return "a WSGI application is called as app(environ, start_response)"


def safe_repr(value: object) -> str:
    """Returns repr(value), or the type's name where that fails."""
    try:
        return repr(value)
    except Exception:
        return type(value).__name__


def _interpreter() -> str:
    return f"Python is {sys.executable}, its prefix {sys.prefix}"


def _close(name: str, candidates: Any) -> str | None:
    from difflib import get_close_matches

    by_folded = {other.casefold(): other for other in candidates}
    matches = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[matches[0]] if matches else None


def _modules_in(folders: Any) -> list[str]:
    names = []
    for folder in folders:
        for entry in os.scandir(folder):
            if entry.name.endswith(".py") and entry.name[:-3].isidentifier():
                names.append(entry.name[:-3])
            elif entry.name.isidentifier() and entry.is_dir() and _holds_python(entry.path):
                names.append(entry.name)
    return [name for name in names if not name.startswith("__")]


def _holds_python(folder: str) -> bool:
    return any(name.endswith(".py") for name in os.listdir(folder))


def _callables(names: dict[str, Any], module: str) -> list[str]:
    found = []
    for name, value in names.items():
        # type() and not isinstance(): proxies answer for objects not there yet.
        kind = type(value)
        if name.startswith("_") or kind.__module__ in _NOISE_MODULES or not callable(value):
            continue
        # Functions and classes from elsewhere are imports, not the app.
        if (kind.__name__ == "function" or issubclass(kind, type)) and getattr(value, "__module__", None) != module:
            continue
        if kind.__module__ != "builtins" or kind.__name__ in ("function", "type", "method"):
            found.append(name)
    return found


def _listing(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
