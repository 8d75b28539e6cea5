"""Finds the application that a spec such as ``module:app`` names."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, ClassVar

# gunicorn knows only the first; the second is what most projects write.
DEFAULT_ATTRIBUTES = ("application", "app")

# Before the path of a file.
_FILE = "file:"

_EXAMPLE = "write MODULE:ATTRIBUTE, for example myapp:app, or MODULE:FACTORY()"


class AppError(Exception):
    """The application could not be had.

    Attributes:
        exit_code: The exit status of the command.
        hint: What to do about it, or None.
        original: The exception behind this one, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None, original: BaseException | None = None) -> None:
        """Creates an error; message says what failed in one line."""
        super().__init__(message)
        self.hint = hint
        self.original = original

    def traceback_text(self) -> str:
        """Formats the original exception, without the frames that led to the app.

        Returns:
            The text, or an empty string where there is no original exception.
        """
        if self.original is None:
            return ""
        from gowsgi.errors import format_exception

        return format_exception(self.original)


class AppSpecError(AppError):
    """The spec is malformed, or names nothing that can be served."""

    exit_code = 4


class AppImportError(AppError):
    """The module is missing, or its code or the factory raised."""

    exit_code = 3


class Spec:
    """A parsed spec.

    Attributes:
        text: The spec as it was given.
        module: The module's dotted name, or for a file its path.
        is_file: Whether it is a file.
        path: The attribute's parts; empty where the spec names none.
        arguments: Positional and keyword arguments for a factory, else None.
    """

    __slots__ = ("arguments", "is_file", "module", "path", "text")

    def __init__(
        self, text: str, module: str, path: list[str], arguments: tuple[list[Any], dict[str, Any]] | None
    ) -> None:
        """Creates a spec from its parts."""
        self.text = text
        self.module = module
        self.is_file = False
        self.path = path
        self.arguments = arguments


def load(spec: str) -> Callable[..., Any]:
    """Imports and returns the application that a spec names.

    Args:
        spec: ``module``, ``module:attr``, ``module:a.b``, ``module:factory()``
            or ``module:factory("arg", key=1)`` with literal arguments. Without
            an attribute, ``application`` and then ``app`` is looked up.
            ``file:path/to/app.py:attr`` takes a file by its path, as uWSGI's
            wsgi-file does.

    Returns:
        The application.

    Raises:
        AppSpecError: If the spec is malformed, or its attribute missing, not a
            WSGI application or called with the wrong arguments.
        AppImportError: If the module is missing, or it or the factory raises.
    """
    parsed = parse(spec)
    module = _import(parsed)
    app = _attribute(module, parsed)
    if parsed.arguments is not None:
        app = _call(app, parsed)
    _check(app, module, parsed)
    return app  # type: ignore[no-any-return]


def parse(text: str) -> Spec:
    """Takes a spec apart without importing anything.

    Args:
        text: See ``load``.

    Returns:
        The parts.

    Raises:
        AppSpecError: If the spec is malformed.
    """
    if text.lstrip().startswith(_FILE):
        spec = _parse_rest(text, *text.strip().removeprefix(_FILE).partition(":"))
        spec.is_file = True
        return spec
    module, colon, expression = (part.strip() for part in text.partition(":"))
    if not module:
        raise AppSpecError(f"no module is named in the application {text!r}", _EXAMPLE)
    _refuse_file(text, module, expression)
    # Not isidentifier(): "my-app:app" works, as it does in gunicorn.
    if not all(module.split(".")) or any(char.isspace() or char == "\0" for char in module):
        raise AppSpecError(f"{module!r} is not the name of a module", _EXAMPLE)
    return _parse_rest(text, module, colon, expression)


def _parse_rest(text: str, module: str, colon: str, expression: str) -> Spec:
    if not module:
        raise AppSpecError(f"no file is named in the application {text!r}", "write file:PATH:ATTRIBUTE")
    if not colon:
        return Spec(text, module, [], None)
    arguments: tuple[list[Any], dict[str, Any]] | None = None
    name = expression.removesuffix("()")
    if name != expression:
        arguments = ([], {})
    path = name.split(".")
    if not all(part.isidentifier() for part in path):
        path, arguments = _parse_call(text, expression)
    return Spec(text, module, path, arguments)


def _refuse_file(text: str, module: str, expression: str) -> None:
    import os

    if "/" not in module:
        # With app/py.py there, "app.py" is a module's name after all.
        is_file = module.endswith(".py") and os.path.isfile(module)
        if not is_file or os.path.isfile(module[:-3].replace(".", "/") + "/py.py"):
            return
    from gowsgi._hints import for_file

    raise AppSpecError(f"{module!r} is a file, not a module", for_file(module, expression))


def _parse_call(text: str, expression: str) -> tuple[list[str], tuple[list[Any], dict[str, Any]]]:
    import ast

    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        node = None
    function = node.func if isinstance(node, ast.Call) else None
    path: list[str] = []
    while isinstance(function, ast.Attribute):
        path.insert(0, function.attr)
        function = function.value
    if not isinstance(node, ast.Call) or not isinstance(function, ast.Name):
        raise AppSpecError(f"{expression!r} in {text!r} is neither an attribute nor a call of one", _EXAMPLE)
    path.insert(0, function.id)
    try:
        args = [ast.literal_eval(arg) for arg in node.args]
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("**mapping")
        if len({keyword.arg for keyword in node.keywords}) < len(node.keywords):
            raise ValueError("one name twice")
        kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    except Exception:
        raise AppSpecError(
            f"the arguments in {expression!r} are not literal values, each name once",
            "only strings, numbers, tuples, lists, dicts, sets, True, False and None can be given",
        ) from None
    return path, (args, kwargs)


def _import(spec: Spec) -> ModuleType:
    try:
        if spec.is_file:
            return _import_file(spec.module)
        # Not importlib.import_module: for __import__, CPython itself removes
        # the frames of the import machinery from a traceback.
        __import__(spec.module)
        return sys.modules[spec.module]
    except BaseException as exc:
        raise _import_error(spec, exc) from exc


def _import_file(path: str) -> ModuleType:
    """Imports a file under uWSGI's name for it, once."""
    import os
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    # As uWSGI has it, so that loggers that are named after modules keep their names.
    name = "uwsgi_file_" + path.replace(".", "_").replace("/", "_").removesuffix("_py")
    path = os.path.abspath(path)
    if name in sys.modules:
        return sys.modules[name]
    # The suffix need not be .py: mod_wsgi's users have .wsgi.
    loader = SourceFileLoader(name, path)
    found = spec_from_file_location(name, path, loader=loader)
    if found is None or not os.path.exists(path):
        raise FileNotFoundError(2, "there is no such file", path)
    module = module_from_spec(found)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_error(spec: Spec, exc: BaseException) -> AppImportError:
    from gowsgi import _hints
    from gowsgi.errors import summarize

    if isinstance(exc, ModuleNotFoundError) and isinstance(exc.name, str):
        named = spec.module == exc.name or spec.module.startswith(exc.name + ".")
        if named and not _left_this_file(exc):
            return AppImportError(f"there is no module {exc.name!r}", _hints.for_module(spec, exc.name), exc)
        return AppImportError(
            f"{spec.module!r} cannot be imported: it needs the module {exc.name!r}, which is not there",
            _hints.for_dependency(exc.name),
            exc,
        )
    if isinstance(exc, SystemExit):
        return AppImportError(
            f"{spec.module!r} cannot be imported: it exited with {_hints.safe_repr(exc.code)}",
            f'keep what a script does under: if __name__ == "__main__", so that {spec.module!r} can be imported',
            exc,
        )
    return AppImportError(f"{spec.module!r} cannot be imported: {summarize(exc)}", None, exc)


def _attribute(module: ModuleType, spec: Spec) -> Any:
    if not spec.path:
        for name in DEFAULT_ATTRIBUTES:
            if hasattr(module, name):
                spec.path = [name]
                break
        else:
            from gowsgi._hints import for_attribute

            names = " nor ".join(repr(name) for name in DEFAULT_ATTRIBUTES)
            raise AppSpecError(f"module {spec.module!r} has neither {names}", for_attribute(module, spec, module))
    found: Any = module
    for depth, name in enumerate(spec.path):
        try:
            found = getattr(found, name)
        except AttributeError as exc:
            from gowsgi._hints import for_attribute

            owner = ".".join([spec.module, *spec.path[:depth]])
            raise AppSpecError(
                f"{owner!r} has no attribute {name!r}",
                for_attribute(module, spec, found),
                # An error inside a __getattr__ or a property is worth showing.
                exc if _left_this_file(exc) else None,
            ) from exc
        except BaseException as exc:
            from gowsgi.errors import summarize

            raise AppImportError(f"looking up {spec.text!r} failed: {summarize(exc)}", None, exc) from exc
    return found


def _call(factory: Any, spec: Spec) -> Any:
    from gowsgi.errors import summarize

    name = ".".join(spec.path)
    if not callable(factory):
        raise AppSpecError(
            f"{name!r} in {spec.module!r} is a {type(factory).__name__} and cannot be called",
            f"if it is the application, leave the parentheses out: {spec.module}:{name}",
        )
    args, kwargs = spec.arguments or ([], {})
    try:
        return factory(*args, **kwargs)
    except BaseException as exc:
        # A call with the wrong arguments fails before the factory has a frame.
        if isinstance(exc, TypeError) and not _left_this_file(exc):
            from gowsgi._hints import for_arguments

            raise AppSpecError(
                f"{name!r} cannot be called like that: {summarize(exc)}", for_arguments(factory, spec)
            ) from exc
        what = "exited" if isinstance(exc, SystemExit) else "failed"
        raise AppImportError(f"the factory {name!r} {what}: {summarize(exc)}", None, exc) from exc


def _check(app: Any, module: ModuleType, spec: Spec) -> None:
    if type(app).__name__ == "coroutine":
        app.close()  # or Python warns that it was never awaited
        raise AppSpecError(f"{spec.text!r} is async and returned a coroutine", "the factory must be a plain function")
    if not callable(app):
        from gowsgi import _hints

        what = "None" if app is None else f"a {type(app).__name__}"
        verb = "returned" if spec.arguments is not None else "is"
        raise AppSpecError(
            f"{spec.text!r} {verb} {what}, which is no WSGI application", _hints.for_attribute(module, spec, module)
        )
    fault = _call_fault(app)
    if fault is not None:
        from gowsgi import _hints

        function, bound = _called_function(app)
        hint = _hints.for_signature(function, bound, spec)
        raise AppSpecError(f"{spec.text!r} is no WSGI application: {fault}", hint)


def _call_fault(app: Any) -> str | None:
    """Says why ``app(environ, start_response)`` is certain to fail, or None."""
    function, bound = _called_function(app)
    # Only a plain function is judged: a class or wrapper may take anything.
    if type(function) is not type(load):
        return None
    code = function.__code__
    takes = code.co_argcount - bound
    needs = takes - len(function.__defaults__ or ())
    if needs > 2 or (takes < 2 and not code.co_flags & _CO_VARARGS):
        return f"it takes {takes} argument{'' if takes == 1 else 's'}, not (environ, start_response)"
    if code.co_flags & _CO_ASYNC:
        return "it is async"
    return None


def _called_function(app: Any) -> tuple[Any, int]:
    """Returns what a call of app runs, and how many arguments are bound to it."""
    kind = type(app)
    if kind is type(load):
        return app, 0
    if kind is type(AppError("").traceback_text):
        return app.__func__, 1
    # By the class dicts, since a staticmethod binds nothing.
    return next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None), 1


_CO_VARARGS = 0x04
_CO_ASYNC = 0x80 | 0x200  # a coroutine or an async generator


def _left_this_file(exc: BaseException) -> bool:
    """Tells whether the traceback reaches code other than this module's."""
    traceback = exc.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename != load.__code__.co_filename and not code.co_filename.startswith("<frozen importlib"):
            return True
        traceback = traceback.tb_next
    return False
