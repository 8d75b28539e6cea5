"""Unpacks a CPython that the Go module proxy serves: python tests/python_from_go.py FOLDER.

The module kluctl/go-embed-python carries python-build-standalone's builds, which
have a shared libpython: the way to a CPython that the system does not package.
Prints the interpreter's path. Does nothing when it is there already.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = "github.com/kluctl/go-embed-python@v0.0.0-3.14.6-20260610-1"
MINOR = "3.14"


def main(folder: Path) -> Path:
    """Unpack into a folder; return the interpreter."""
    python = folder / "bin" / f"python{MINOR}"
    if python.exists():
        return python
    found = subprocess.run(["go", "mod", "download", "-json", MODULE], check=True, capture_output=True, text=True)
    data = Path(json.loads(found.stdout)["Dir"]) / "python" / "internal" / "data" / "linux-amd64"
    half = folder.with_name(folder.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    for entry in json.loads((data / "files.json").read_text())["files"]:
        unpack(data, half, entry)
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
    return python


def unpack(data: Path, folder: Path, entry: dict) -> None:
    """Write one file, folder or link of the module's list."""
    target = folder / entry["name"]
    packed = data / (entry["name"] + ".gz")
    plain = data / entry["name"]
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.get("symlink"):
        target.symlink_to(entry["symlink"])
    elif packed.exists():
        target.write_bytes(gzip.decompress(packed.read_bytes()))
        target.chmod(entry["perm"] & 0o777)
    elif plain.is_file():
        shutil.copyfile(plain, target)
        target.chmod(entry["perm"] & 0o777)
    else:
        target.mkdir(exist_ok=True)


if __name__ == "__main__":
    print(main(Path(sys.argv[1]).resolve()))
