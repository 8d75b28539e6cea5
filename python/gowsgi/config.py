"""Reads gunicorn's configuration files: Python whose global names are settings."""

from __future__ import annotations

import os
import sys

from gowsgi.apps import AppError
from gowsgi.errors import exit_status, summarize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

# Under this name gunicorn runs a file; classes of a file are pickled by it.
MODULE = "__config__"

# How many arguments gunicorn gives a hook. post_request may take fewer.
ARITIES = {
    "on_starting": 1,
    "on_reload": 1,
    "when_ready": 1,
    "pre_fork": 2,
    "post_fork": 2,
    "post_worker_init": 1,
    "worker_int": 1,
    "worker_abort": 1,
    "pre_exec": 1,
    "pre_request": 2,
    "post_request": 4,
    "child_exit": 2,
    "worker_exit": 2,
    "nworkers_changed": 3,
    "on_exit": 1,
    "ssl_context": 2,
    "on_dirty_starting": 1,
    "dirty_post_fork": 2,
    "dirty_worker_init": 1,
    "dirty_worker_exit": 2,
}

_CLASSES = ("worker_class", "logger_class")
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number of seconds",
    "bool": "true or false",
    "list": "a text or a list of texts",
    "dict": "a dict",
}
_LIKENESS = 0.8


class ConfigError(AppError):
    """The configuration cannot be read, or what it says cannot be used.

    Attributes:
        exit_status: What the process is to end with.
    """

    exit_status = 1


class _UnfitError(Exception):
    """A value that a setting cannot have."""


class Config:
    """What a configuration file says.

    Attributes:
        settings: Values by name, of what JSON can carry.
        hooks: Functions by name.
        originals: Values that JSON carries in another form than the file has them.
    """

    def __init__(self) -> None:
        """Creates one that says nothing."""
        self.settings: dict[str, Any] = {}
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.originals: dict[str, Any] = {}


def read(location: str, known: Mapping[str, str]) -> Config:
    """Runs a configuration file or imports a module, and takes the settings from it.

    Args:
        location: A path, ``file:PATH``, ``python:MODULE`` or nothing.
        known: The kinds of all settings by their names.

    Returns:
        What it says. Names match exactly, as in gunicorn: WORKERS is a constant.

    Raises:
        ConfigError: If it cannot be read, fails, or has a value that is not one.
    """
    config = Config()
    if location.startswith("python:"):
        module = _import(location.removeprefix("python:"))
        source = _source(module)
    else:
        path = location.removeprefix("file:")
        if not path:
            return config
        module, source = _run(path)
    names = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    statements = _Statements(source)
    for name, value in names.items():
        # A file cannot name another one: gunicorn takes --config from elsewhere alone.
        if name not in known or name == "config" or _is_helper(name, value, known[name], statements):
            continue
        try:
            _take(config, name, value, known[name])
        except _UnfitError as exc:
            raise ConfigError(f"{name} in {location}: {exc}") from None
        except Exception as exc:
            raise ConfigError(f"{name} in {location}: {summarize(exc)}", None, exc) from exc
    _refuse_typos(names, known, statements, location)
    return config


def arity(function: Callable[..., Any]) -> int:
    """Counts the arguments that a hook takes by position, as gunicorn does."""
    from inspect import Parameter, signature

    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in signature(function).parameters.values())


def _run(path: str) -> tuple[ModuleType, bytes]:
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as exc:
        hint = None if os.path.isabs(path) else f"a relative path starts in {os.getcwd()}, whatever --chdir says"
        raise ConfigError(f"the configuration file {path!r} cannot be read: {exc.strerror}", hint) from None
    # Not by importlib: a file that is changed within a second of its last reading
    # would come from the cached byte code.
    module = type(sys)(MODULE)
    module.__file__ = os.path.abspath(path)
    sys.modules[MODULE] = module
    try:
        exec(compile(source, module.__file__, "exec", dont_inherit=True), vars(module))
    except BaseException as exc:
        raise _failure(f"the configuration file {path!r}", exc) from exc
    return module, source


def _import(name: str) -> ModuleType:
    if not name or not all(name.split(".")):
        raise ConfigError(
            f"{name!r} is not the name of a module", "write python:MODULE, for example python:site.config"
        )
    try:
        __import__(name)
        return sys.modules[name]
    except BaseException as exc:
        raise _failure(f"the configuration module {name!r}", exc) from exc


def _failure(what: str, exc: BaseException) -> ConfigError:
    if not isinstance(exc, SystemExit):
        hint = None
        if isinstance(exc, ImportError) and (exc.name or "").partition(".")[0] == "gunicorn":
            hint = "the file needs gunicorn's package beside it: install that too, or leave the import out"
        return ConfigError(f"{what} failed: {summarize(exc)}", hint, exc)
    error = ConfigError(f"{what} exited" + (f": {exc.code}" if isinstance(exc.code, str) else f" with {exc.code!r}"))
    error.exit_status = exit_status(exc)
    return error


def _source(module: ModuleType) -> bytes | str:
    try:
        return module.__loader__.get_source(module.__name__) or ""  # type: ignore[union-attr]
    except Exception:  # byte code alone, or a loader of the user's own
        return ""


class _Statements:
    """Which names a source assigns, and which it reads."""

    def __init__(self, source: bytes | str) -> None:
        self._source = source
        self._names: tuple[set[str], set[str]] | None = None

    def assigns(self, name: str) -> bool:
        return name in self._find()[0]

    def reads(self, name: str) -> bool:
        return name in self._find()[1]

    def _find(self) -> tuple[set[str], set[str]]:
        # Only when it matters: parsing costs as much as running the file.
        if self._names is None:
            import ast
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # running the file has shown them
                tree = ast.parse(self._source)
            nodes = list(ast.walk(tree))
            targets: list[ast.AST] = [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
            for node in nodes:
                if isinstance(node, ast.Assign):
                    targets += node.targets
            names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            assigned = {name.id for name in names if isinstance(name.ctx, ast.Store)}
            read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
            self._names = (assigned, read)
        return self._names


def _is_helper(name: str, value: Any, kind: str, statements: _Statements) -> bool:
    """Tells whether a name is a setting's only by chance.

    ``from app import config`` or ``def max_workers():`` mean no setting, but
    ``workers = cpu_count`` is one that lacks its parentheses.
    """
    if kind == "hook" or name in _CLASSES:
        return False
    return (callable(value) or isinstance(value, type(sys))) and not statements.assigns(name)


def _take(config: Config, name: str, value: Any, kind: str) -> None:
    if kind == "hook":
        config.hooks[name] = _hook(name, value)
        return
    if name in _CLASSES:
        if callable(value) and not isinstance(value, type):
            value = value()  # gunicorn takes a function that returns the class
        if isinstance(value, type):
            config.originals[name] = value
            value = f"{value.__module__}.{value.__qualname__}"
    from json import dumps, loads

    plain = _plain(value)
    if kind == "list" and isinstance(plain, str):
        plain = [plain] if plain else []
    try:
        config.settings[name] = loads(dumps(plain, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        if name != "logconfig_dict" or not isinstance(value, dict):
            raise _UnfitError(f"it must be {_KINDS[kind]}, not {_shown(value)}") from None
        # logging takes classes and streams there. The dict stays in Python; what
        # the others learn is that there is one.
        config.settings[name] = loads(dumps(value, default=_shown, skipkeys=True))
        config.originals[name] = value


def _plain(value: Any) -> Any:
    """Turns what gunicorn takes besides into what JSON has."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").strip()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value))
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"an object of {type(value).__name__}"


def _hook(name: str, value: Any) -> Callable[..., Any]:
    if isinstance(value, str):
        value = _named_function(value)
    if not callable(value):
        raise _UnfitError(f"it must be a function, not {_shown(value)}")
    takes, wanted = arity(value), ARITIES.get(name)
    if name == "post_request" and takes in (2, 3):
        return _shortened(value, takes)
    if wanted is not None and takes != wanted:
        raise _UnfitError(f"it takes {takes} argument{'' if takes == 1 else 's'}, not {wanted}")
    return value  # type: ignore[no-any-return]


def _named_function(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module:
        raise _UnfitError(f"{path!r} does not name a function as MODULE.FUNCTION")
    __import__(module)
    try:
        return getattr(sys.modules[module], name)
    except AttributeError:
        raise _UnfitError(f"there is no {name!r} in {module!r}") from None


def _shortened(function: Callable[..., Any], takes: int) -> Callable[..., Any]:
    def post_request(*args: Any) -> Any:
        return function(*args[:takes])

    return post_request


def _refuse_typos(names: Mapping[str, Any], known: Mapping[str, str], statements: _Statements, location: str) -> None:
    """Refuses a value that nothing reads and whose name is nearly a setting's.

    Raises:
        ConfigError: If there is one.
    """
    plain = (str, int, float, list, tuple, dict, type(None))
    suspects = [
        name for name, value in names.items() if name not in known and name.islower() and isinstance(value, plain)
    ]
    if not suspects:
        return
    from difflib import get_close_matches

    for name in suspects:
        for near in get_close_matches(name, known, cutoff=_LIKENESS):
            # A file that has the setting too computes it from this one.
            if near in names or not _same_words(name, near):
                continue
            if statements.assigns(name) and not statements.reads(name):
                raise ConfigError(f"there is no setting {name!r} ({location}): did you mean {near!r}?")


def _same_words(name: str, other: str) -> bool:
    """Tells a slip from another name: max_worker_age is not max_workers misspelt."""
    from difflib import SequenceMatcher

    if name.replace("_", "") == other.replace("_", ""):
        return True
    words, others = name.split("_"), other.split("_")
    return len(words) == len(others) and all(
        SequenceMatcher(None, word, another).ratio() > 0.7 for word, another in zip(words, others, strict=True)
    )
