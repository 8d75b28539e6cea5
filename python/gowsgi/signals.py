"""Keeps the app from replacing the signal handlers that the server owns.

Go's runtime catches the server's signals. An app that calls ``signal.signal``
for one of them would deafen the server, so for those the handler is only
recorded, and run once the server stops gracefully. ``set_wakeup_fd`` is left
alone: only Python's own C handlers write to it, and owned signals have none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class SignalGuard:
    """Stands in for the functions of ``signal`` that change a handler.

    One guard is installed for the life of the process. In a forked child, which
    has Go's handlers but no Go runtime to hear them, it gives the signals back.
    """

    def __init__(self, report: Callable[[str], object]) -> None:
        """Creates a guard that does nothing yet.

        Args:
            report: Takes the lines to log, each ending in a newline.
        """
        self._report = report
        self._owned: frozenset[int] = frozenset()
        self._library = False
        self._handlers: dict[int, Handler] = {}
        self._warned: set[int] = set()
        self._real: dict[tuple[object, str], Any] = {}
        self._masks = threading.local()

    def install(self, owned: Iterable[str], *, library: bool = False) -> None:
        """Takes over; a second call changes which signals are owned.

        Args:
            owned: Names such as "SIGTERM"; those this system lacks are ignored.
                "*" is every signal that can be handled.
            library: The process is a Go program's, which never runs the app's
                handlers.
        """
        self._library = library
        numbers: Iterable[int | None]
        if "*" in owned:
            numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        else:
            numbers = (getattr(signal, name, None) for name in owned)
        self._owned = frozenset(int(number) for number in numbers if number is not None)
        if self._real:
            self._rearm()
            return
        import faulthandler  # built in; its register() sets handlers as well

        self._replace(signal, "signal", self._signal)
        self._replace(signal, "getsignal", self._getsignal)
        self._replace(signal, "siginterrupt", self._siginterrupt)
        self._replace(faulthandler, "register", self._register)
        self._replace(faulthandler, "unregister", self._unregister)
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._restore_mask,
            after_in_child=self._after_fork,
        )

    def run(self, signum: int) -> None:
        """Runs the handler recorded for a signal, if it is a callable.

        SystemExit and KeyboardInterrupt are what such handlers end with and
        are dropped; other exceptions are reported.
        """
        handler = self._handlers.get(signum)
        if not callable(handler):
            return
        try:
            handler(signum, None)
        except (SystemExit, KeyboardInterrupt):
            pass
        except BaseException as exc:
            from gowsgi.errors import format_exception

            self._report(f"gowsgi: the app's handler for {_name(signum)} failed\n{format_exception(exc)}")

    def _rearm(self) -> None:
        """Sets the handlers of other signals again: Go's, set since, replaced them."""
        get_handler, set_handler = self._real[signal, "getsignal"], self._real[signal, "signal"]
        for number in signal.valid_signals() - self._owned:
            if callable(handler := get_handler(number)):
                set_handler(number, handler)

    def _replace(self, module: Any, name: str, function: Callable[..., object]) -> None:
        real = getattr(module, name)
        self._real[module, name] = real

        # A plain function: apps look at __name__ and put it into classes.
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return function(real, *args, **kwargs)

        guarded.__name__ = guarded.__qualname__ = name
        guarded.__module__ = module.__name__
        guarded.__doc__ = real.__doc__
        guarded.__wrapped__ = real  # type: ignore[attr-defined]
        setattr(module, name, guarded)

    def _signal(self, real: Callable[[Any, Any], Any], signalnum: Any, handler: Any) -> Any:
        number = self._owned_number(signalnum)
        if number is None:
            return real(signalnum, handler)
        # The checks of CPython's signal_signal_impl, in its order and words.
        if threading.get_ident() != threading.main_thread().ident:
            raise ValueError("signal only works in main thread of the main interpreter")
        if sys._getframe(2).f_globals.get("__name__") == "pdb":
            # For Ctrl-C at `continue`; without one it goes on as on another thread.
            raise ValueError(f"{_name(number)} is the server's")
        checked = _as_handler(handler)
        previous = self._handlers.get(number, signal.SIG_DFL)
        self._handlers[number] = checked
        if checked != signal.SIG_DFL:
            run = "it is never run" if self._library else f"it is only run when {_name(number)} stops the server"
            self._warn(number, f"a handler for {_name(number)}", run)
        return previous

    def _getsignal(self, real: Callable[[Any], Any], signalnum: Any) -> Any:
        number = self._owned_number(signalnum)
        return real(signalnum) if number is None else self._handlers.get(number, signal.SIG_DFL)

    def _siginterrupt(self, real: Callable[[Any, Any], None], signalnum: Any, flag: Any) -> None:
        # Go's handlers must keep SA_RESTART, and asyncio asks for just that.
        if self._owned_number(signalnum) is None:
            real(signalnum, flag)

    def _register(self, real: Callable[..., None], signum: Any, *args: Any, **kwargs: Any) -> None:
        number = self._owned_number(signum)
        if number is None:
            real(signum, *args, **kwargs)
        else:
            self._warn(number, f"faulthandler for {_name(number)}", "the call is ignored")

    def _unregister(self, real: Callable[[Any], bool], signum: Any) -> bool:
        return real(signum) if self._owned_number(signum) is None else False

    def _owned_number(self, signalnum: Any) -> int | None:
        try:
            number = int(signalnum)
        except (TypeError, ValueError):
            return None  # the real function words the error
        return number if number in self._owned else None

    def _warn(self, number: int, what: str, consequence: str) -> None:
        if number in self._warned:
            return
        self._warned.add(number)
        owner = "Go program" if self._library else "server"
        self._report(f"gowsgi: {_caller()} sets {what}, which the {owner} owns: {consequence}\n")

    def _before_fork(self) -> None:
        # A signal that met the child before _after_fork would be lost in Go's
        # handler: terminate() right after start() is such a case.
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, self._owned)

    def _restore_mask(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)

    def _after_fork(self) -> None:
        owned, self._owned = self._owned, frozenset()
        set_handler = self._real[signal, "signal"]
        for number in owned:
            # None stands for a handler of unknown origin: nothing to restore.
            set_handler(number, self._handlers.get(number) or _default(number))
        self._restore_mask()


def _as_handler(handler: Any) -> Handler:
    try:
        return signal.Handlers(int(handler))
    except (TypeError, ValueError):
        pass
    if not callable(handler):
        raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
    return handler  # type: ignore[no-any-return]


def _default(number: int) -> signal.Handlers:
    # CPython ignores these when it starts by itself.
    return signal.SIG_IGN if number in (signal.SIGPIPE, signal.SIGXFSZ) else signal.SIG_DFL


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _caller() -> str:
    # The nearest frame that is the app's: asyncio sets handlers on its behalf.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in ("gowsgi", "asyncio"):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "the app"
