import gc
import io
import os
import tempfile
import threading
import warnings

import pytest

from gowsgi import streams
from gowsgi.streams import ErrorStream, FileWrapper, open_body


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def pending(reader):
    try:
        return os.read(reader, 1 << 20)
    except BlockingIOError:
        return b""


@pytest.fixture
def written(monkeypatch):
    calls = []
    real = os.write
    monkeypatch.setattr(streams.os, "write", lambda fd, data: calls.append(bytes(data)) or real(fd, data))
    return calls


def test_lines_leave_at_once_and_the_rest_waits(pipe, written):
    stream = ErrorStream(pipe[1])
    print("one", file=stream)
    assert written == [b"one\n"]
    assert stream.write("two\nthree\nfo") == 12
    assert written[1:] == [b"two\nthree\n"]
    stream.write("ur\n")
    stream.write("five")
    assert written[2:] == [b"four\n"]
    stream.flush()
    stream.flush()
    assert written[3:] == [b"five"]
    stream.writelines(["a\n", "b\n"])
    assert written[4:] == [b"a\nb\n"]
    stream.write("x" * 9000)
    assert written[5:] == [b"x" * 9000]


def test_odd_text_and_types(pipe):
    stream = ErrorStream(pipe[1])
    stream.write("ä \udcff\n")
    assert pending(pipe[0]) == "ä \\udcff\n".encode()
    for value in (b"bytes", None, 5):
        with pytest.raises(TypeError, match="must be str, not"):
            stream.write(value)


def test_stream_outlives_close_and_its_descriptor(pipe):
    stream = ErrorStream(pipe[1])
    stream.close()
    with stream:
        stream.write("a")
    assert not stream.closed
    assert pending(pipe[0]) == b"a"
    os.close(pipe[1])
    stream.write("dropped\n")
    stream.flush()
    assert isinstance(stream, io.TextIOBase)
    assert stream.writable()
    assert stream.fileno() == pipe[1]


def test_full_pipe_loses_text_and_does_not_hang(pipe, monkeypatch):
    monkeypatch.setattr(streams, "_WRITE_WAIT_MS", 20)
    os.set_blocking(pipe[1], False)
    ErrorStream(pipe[1]).write("x" * (1 << 21) + "\n")
    assert pending(pipe[0])


def test_threads_do_not_mix_lines(tmp_path):
    path = tmp_path / "log"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    stream = ErrorStream(fd)

    def work(letter):
        for _ in range(300):
            stream.write(letter * 50 + "\n")

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    lines = path.read_text().splitlines()
    assert len(lines) == 1200
    assert set(lines) == {letter * 50 for letter in "abcd"}


def test_child_of_a_fork_is_not_locked_out(pipe):
    stream = ErrorStream(pipe[1])
    stream.write("half")
    held, done = threading.Event(), threading.Event()

    def hold():
        with stream._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    stream.after_fork()
    stream.write("child\n")
    assert pending(pipe[0]) == b"child\n"
    done.set()
    thread.join()


class OnlyRead:
    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, size):
        return self._file.read(size)


def test_wrapper_starts_where_the_file_stands():
    file = io.BytesIO(b"0123456789")
    file.seek(3)
    wrapper = FileWrapper(file, 4)
    assert iter(wrapper) is wrapper
    assert list(wrapper) == [b"3456", b"789"]
    assert (wrapper.filelike, wrapper.blksize) == (file, 4)
    wrapper.close()
    assert file.closed


def test_wrapper_of_other_objects(tmp_path):
    wrapper = FileWrapper(OnlyRead(b"abc"))
    assert not hasattr(wrapper, "close")
    assert list(wrapper) == [b"abc"]
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10000)
    with open(path, "rb") as file:
        assert [len(chunk) for chunk in FileWrapper(file)] == [8192, 1808]
    assert FileWrapper(OnlyRead(b"abc"), 0).blksize == 8192
    assert list(FileWrapper(OnlyRead(b"abc"), -1)) == [b"abc"]


def body_fd(data, offset=0):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        fd = os.dup(file.fileno())
    os.lseek(fd, offset, os.SEEK_SET)
    return fd


def test_body_reads_from_the_start():
    body = open_body(body_fd(b"one\ntwo\nthree", 5))
    assert isinstance(body, io.BufferedReader)
    assert body.readline(2) == b"on"
    assert body.readline() == b"e\n"
    assert list(body) == [b"two\n", b"three"]
    assert body.read(0) == b""
    assert body.read() == b""
    body.seek(0)
    assert body.read(-1) == b"one\ntwo\nthree"
    fd = body.fileno()
    body.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_collected_body_closes_without_a_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        body = open_body(body_fd(b"x"))
        fd = body.fileno()
        del body
        gc.collect()
        # The check can fail: a plain reader does warn.
        plain = open(body_fd(b"x"), "rb")
        del plain
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert "BufferedReader" in str(caught[0].message)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_failed_open_takes_the_descriptor_along(tmp_path, pipe):
    folder = os.open(tmp_path, os.O_RDONLY)
    for fd in (folder, pipe[0]):
        with pytest.raises(OSError):
            open_body(fd)
        with pytest.raises(OSError):
            os.fstat(fd)
    with pytest.raises(OSError):
        open_body(folder)
