"""Fails when it is imported."""


def connect() -> None:
    """Fail."""
    msg = "no database at import"
    raise RuntimeError(msg)


connect()
app = None
