"""The file-like objects of a request: errors, spooled bodies, file_wrapper."""

from __future__ import annotations

import io
import os
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PENDING_LIMIT = 8192
_WRITE_WAIT_MS = 1000
_DEFAULT_BLOCK = 8192
_BODY_BUFFER = 65536


class ErrorStream(io.TextIOBase):
    """``wsgi.errors``: text lines straight to a file descriptor.

    Complete lines leave at once, in one ``os.write`` where the system takes
    them whole, so that lines of different threads and processes do not mix.
    What follows the last newline waits for its end, for ``flush`` or for 8 KiB.
    A descriptor that is closed or stays full for a second loses the text: an
    app must not fail because its log does.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, fd: int) -> None:
        """Opens a stream.

        Args:
            fd: The descriptor, which stays the caller's and is never closed.
        """
        self._fd = fd
        self._pending = ""
        # Reentrant: a __del__ that logs may run while this thread holds it.
        self._lock = RLock()

    def write(self, text: str, /) -> int:
        """Writes text; anything but str is a TypeError."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            self._pending += text
            end = len(self._pending)
            if end < _PENDING_LIMIT:
                end = self._pending.rfind("\n") + 1
            out, self._pending = self._pending[:end], self._pending[end:]
        self._send(out)
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        """Writes several strings as one."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Writes what waits for the end of its line."""
        with self._lock:
            out, self._pending = self._pending, ""
        self._send(out)

    def close(self) -> None:
        """Flushes only: the stream is the server's, not one request's."""
        self.flush()

    def writable(self) -> bool:
        """Tells that the stream can be written to."""
        return True

    def fileno(self) -> int:
        """Returns the descriptor, for subprocesses and faulthandler."""
        return self._fd

    def use(self, fd: int) -> None:
        """Writes to another descriptor from now on."""
        self.flush()
        self._fd = fd

    def after_fork(self) -> None:
        """Frees the child of a fork from a lock that another thread held."""
        self._lock = RLock()
        self._pending = ""

    def _send(self, text: str) -> None:
        data = text.encode(self.encoding, self.errors)
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if not self._wait():
                    return
            except OSError:
                return

    def _wait(self) -> bool:
        from select import POLLOUT, poll

        poller = poll()
        poller.register(self._fd, POLLOUT)
        return bool(poller.poll(_WRITE_WAIT_MS))


class FileWrapper:
    """``wsgi.file_wrapper`` of PEP 3333: a file's blocks from where it stands.

    The server looks at ``filelike`` and ``blksize`` to send real files without
    reading them through Python; iterating is what it does otherwise. ``close``
    exists only if the file has it.

    Attributes:
        filelike: The wrapped object; only ``read(size)`` is needed.
        blksize: The size of one read.
    """

    close: Callable[[], object]

    def __init__(self, filelike: io.IOBase, block_size: int = _DEFAULT_BLOCK) -> None:
        """Wraps a file-like object; block_size is the app's suggestion."""
        self.filelike = filelike
        # read(0) would end the response at once and read(-1) load it whole.
        self.blksize = block_size if block_size > 0 else _DEFAULT_BLOCK
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        """Returns itself: the file has one position."""
        return self

    def __next__(self) -> bytes:
        """Reads the next block."""
        data: bytes = self.filelike.read(self.blksize)
        if not data:
            raise StopIteration
        return data


class BodyFile(io.BufferedReader):
    """A request body in a temporary file, closed without a ResourceWarning.

    Apps do not close ``wsgi.input``: it goes when the environ goes, and that
    is no leak to warn about.
    """

    def __del__(self) -> None:
        """Closes the file before the finalizer of io would warn."""
        try:
            self.close()
        except (OSError, ValueError):
            pass  # the app closed the descriptor, or construction failed


def open_body(fd: int) -> BodyFile:
    """Opens a body that the server has written to an unlinked file.

    Args:
        fd: An open descriptor, wherever it stands. It belongs to this function
            from the call on, also when the call fails.

    Returns:
        A binary reader at position 0 that closes fd when it is collected.

    Raises:
        OSError: If fd is no open, seekable file.
    """
    try:
        raw = io.FileIO(fd, "rb", closefd=True)
    except BaseException:
        try:
            os.close(fd)
        except OSError:
            pass
        raise
    try:
        raw.seek(0)
        return BodyFile(raw, _BODY_BUFFER)
    except BaseException:
        raw.close()
        raise
