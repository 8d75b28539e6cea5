"""``python -m gowsgi``: runs the command ``gowsgi`` for this interpreter."""

from __future__ import annotations

import os
import sys


def find_command() -> str | None:
    """Finds the Go binary of this installation, else the one on PATH.

    Returns:
        Its path, or None.
    """
    import sysconfig

    folders = [sysconfig.get_path("scripts")]
    user_scheme = f"{os.name}_user"
    if user_scheme in sysconfig.get_scheme_names():
        folders.append(sysconfig.get_path("scripts", user_scheme))
    folders += os.environ.get("PATH", "").split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, "gowsgi")
        if folder and os.path.isfile(path) and os.access(path, os.X_OK) and not _is_script(path):
            return path
    return None


def main() -> int:
    """Replaces this process by the command; returns only if there is none.

    The environment variable GOWSGI_PYTHON tells the command which interpreter
    to embed; its flag --python wins over that.

    Returns:
        The exit status 1.
    """
    command = find_command()
    if command is None:
        print(
            "gowsgi: the command gowsgi is neither installed with this Python nor on PATH\n"
            f"gowsgi: install it with: {sys.executable} -m pip install gowsgi",
            file=sys.stderr,
        )
        return 1
    os.environ["GOWSGI_PYTHON"] = sys.executable
    try:
        os.execv(command, [command, *sys.argv[1:]])
    except OSError as exc:
        print(f"gowsgi: cannot run {command}: {exc.strerror}", file=sys.stderr)
    return 1


def _is_script(path: str) -> bool:
    # A wrapper script may well run "python -m gowsgi": that would never end.
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


if __name__ == "__main__":
    sys.exit(main())
