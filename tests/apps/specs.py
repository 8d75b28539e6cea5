"""Every way in which a command line may name an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    App = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]


def make_app(name: str = "factory", *, k: int = 0) -> App:
    """Return an application that answers its name."""

    def run(_environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        body = f"{name} {k}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    return run


class Holder:
    """Something with an application as an attribute."""

    app = staticmethod(make_app("dotted"))


holder = Holder()
application = make_app("application")
app = make_app("app")
number = 42
