"""What applications do to the interpreter that they run in: exits, processes, threads."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from routing import Routes, answer, query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from routing import Environ, StartResponse

app = Routes()

IMPORT_THREAD = threading.get_ident()
CHILD_TIMEOUT = 5.0
LOG = "E2E_LOG"  # An environment variable: a file for what outlives a request.

# Exceptions that are not Exception -----------------------------------------------


@app.raw("/exit")
def leave(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Call sys.exit."""
    sys.exit(3)


@app.raw("/interrupt")
def interrupt(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Raise KeyboardInterrupt."""
    raise KeyboardInterrupt


@app.raw("/generator-exit")
def generator_exit(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Raise GeneratorExit."""
    raise GeneratorExit


@app.raw("/stop-iteration")
def stop_iteration(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Raise StopIteration."""
    raise StopIteration


@app.raw("/os-error")
def os_error(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
    """Raise what servers mistake for their own socket's error."""
    raise BrokenPipeError(32, "the app's own pipe")


@app.raw("/recursion")
def recursion(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Recurse without end."""
    return recursion(environ, start_response)


@app.raw("/exit-in-body")
def exit_in_body(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Call sys.exit in the generator, before its first chunk."""
    start_response("200 OK", [])
    sys.exit(3)
    yield b""  # Makes this a generator.


@app.raw("/exit-in-close")
def exit_in_close(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Call sys.exit in close()."""

    class Body(list[bytes]):
        def close(self) -> None:
            sys.exit(3)

    start_response("200 OK", [("Content-Length", "4")])
    return Body([b"sent"])


@app.json("/broken-pipe")
def broken_pipe(_environ: Environ) -> Any:
    """Write to a pipe that nobody reads; the signal must not end the process."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    except BrokenPipeError:
        return "BrokenPipeError"
    finally:
        os.close(writer)
    return "no error"


# Processes -----------------------------------------------------------------------


def _touch(name: str) -> None:
    with open(os.environ[LOG], "a") as log:
        log.write(f"{name} {os.getpid()}\n")


def _child_sleep() -> None:
    time.sleep(30)


def _wait(pid: int) -> dict[str, Any]:
    deadline = time.monotonic() + CHILD_TIMEOUT
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return {"exit": os.waitstatus_to_exitcode(status), "hung": False}
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"exit": None, "hung": True}


@app.json("/subprocess")
def run_subprocess(_environ: Environ) -> Any:
    """Run the interpreter of sys.executable."""
    code = "import sys; print(sys.prefix); sys.exit(4)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return {"exit": run.returncode, "prefix": run.stdout.strip(), "here": sys.prefix}


@app.json("/subprocess-preexec")
def run_preexec(_environ: Environ) -> Any:
    """Run a command with a preexec_fn, which forks with Python code in the child."""
    command = [sys.executable, "-c", "import os; print(os.getpid() == os.getpgid(0))"]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        preexec_fn=os.setpgrp,
    )
    return run.stdout.strip()


@app.json("/subprocess-terminate")
def terminate_subprocess(_environ: Environ) -> Any:
    """Terminate a command: it must not have inherited blocked or ignored signals."""
    with subprocess.Popen(["sleep", "30"]) as child:
        child.terminate()
        return child.wait(CHILD_TIMEOUT)


@app.json("/multiprocessing")
def run_multiprocessing(environ: Environ) -> Any:
    """Run a function in a process started in the way ?how says."""
    context = multiprocessing.get_context(query(environ)["how"])
    child = context.Process(target=_touch, args=("child",))
    child.start()
    child.join(20)
    if child.exitcode is None:
        child.kill()
    return child.exitcode


@app.json("/multiprocessing-thread")
def run_multiprocessing_here(_environ: Environ) -> Any:
    """Run a function in a forked process, and tell which thread forked."""
    time.sleep(0.05)  # so that other threads get the other requests
    child = multiprocessing.get_context("fork").Process(target=abs, args=(1,))
    child.start()
    deadline = time.monotonic() + 20
    # Another thread's start() may reap this child, and join() then returns too early.
    while child.exitcode is None and time.monotonic() < deadline:
        child.join(0.1)
    if child.exitcode is None:
        child.kill()
    return {"exit": child.exitcode, "thread": threading.current_thread().name}


@app.json("/multiprocessing-pool")
def run_pool(environ: Environ) -> Any:
    """Map over a pool of processes."""
    context = multiprocessing.get_context(query(environ)["how"])
    with context.Pool(2) as pool:
        return pool.map_async(abs, [-1, -2, -3]).get(20)


@app.json("/multiprocessing-terminate")
def terminate_multiprocessing(_environ: Environ) -> Any:
    """Terminate a forked child: the server's handler of SIGTERM must not be in its way."""
    child = multiprocessing.get_context("fork").Process(target=_child_sleep)
    child.start()
    time.sleep(0.1)
    child.terminate()
    child.join(CHILD_TIMEOUT)
    code = child.exitcode
    if code is None:
        child.kill()
        child.join()
    return code


@app.json("/fork-exit")
def fork_exit(_environ: Environ) -> Any:
    """Fork a child that does some work and leaves by os._exit."""
    pid = os.fork()
    if pid == 0:
        total = sum(len(str(number)) for number in range(20_000))
        os._exit(7 if total else 8)
    return _wait(pid)


@app.json("/fork-threads")
def fork_threads(_environ: Environ) -> Any:
    """Fork a child that starts a thread, as Python allows after a fork."""
    pid = os.fork()
    if pid == 0:
        results: list[int] = []
        thread = threading.Thread(target=results.append, args=(7,))
        thread.start()
        thread.join(CHILD_TIMEOUT)
        os._exit(results[0] if results else 8)
    return _wait(pid)


@app.raw("/fork-raise")
def fork_raise(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Fork a child that raises SystemExit out of the application."""
    pid = os.fork()
    if pid == 0:
        raise SystemExit(7)
    return answer(start_response, repr(_wait(pid)).encode())


@app.raw("/fork-return")
def fork_return(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Fork a child that answers too, as if it were the server."""
    pid = os.fork()
    if pid == 0:
        return answer(start_response, b"from the child")
    return answer(start_response, repr(_wait(pid)).encode())


@app.raw("/fork-in-body")
def fork_in_body(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Fork between two chunks; the child goes on with the generator."""
    start_response("200 OK", [])
    yield b"first "
    pid = os.fork()
    if pid == 0:
        yield b"from the child"
        return
    yield repr(_wait(pid)).encode()


# Threads -------------------------------------------------------------------------

kept: list[dict[str, Any]] = []
local = threading.local()
database = sqlite3.connect(":memory:")  # Of the thread that imports the application.
database.execute("create table seen (path text)")


@app.json("/thread")
def thread(_environ: Environ) -> Any:
    """Tell which thread runs this request, and how many it has run."""
    local.count = getattr(local, "count", 0) + 1
    current = threading.current_thread()
    time.sleep(0.01)  # So that several requests at once need several threads.
    return {
        "ident": threading.get_ident(),
        "native": threading.get_native_id(),
        "name": current.name,
        "main": current is threading.main_thread(),
        "imported": threading.get_ident() == IMPORT_THREAD,
        "count": local.count,
    }


@app.json("/keep-environ")
def keep_environ(environ: Environ) -> Any:
    """Let a thread read the environ after the answer."""

    def later() -> None:
        time.sleep(0.3)
        try:
            rest: object = environ["wsgi.input"].read().decode()
        except Exception as error:
            rest = repr(error)
        kept.append(
            {
                "path": environ["PATH_INFO"],
                "query": environ["QUERY_STRING"],
                "header": environ.get("HTTP_X_KEPT"),
                "rest": rest,
            }
        )

    threading.Thread(target=later).start()
    return "started"


@app.json("/kept")
def show_kept(_environ: Environ) -> Any:
    """Return what the threads have read."""
    return kept


@app.json("/sqlite")
def use_sqlite(environ: Environ) -> Any:
    """Use the connection that was opened at import: sqlite3 checks the thread."""
    database.execute("insert into seen values (?)", [environ["PATH_INFO"]])
    return database.execute("select count(*) from seen").fetchone()[0]


@app.json("/background")
def background(_environ: Environ) -> Any:
    """Run Python in a thread while no request does: the GIL must be free then."""

    def work() -> None:
        for _ in range(20):
            time.sleep(0.01)
            _touch("background")

    threading.Thread(target=work).start()
    return "started"


# Contexts --------------------------------------------------------------------------

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


@app.json("/context-set")
def set_context(environ: Environ) -> Any:
    """Set the context variable, as an authentication middleware does."""
    user.set(query(environ)["user"])
    return user.get()


@app.json("/context-get")
def get_context(_environ: Environ) -> Any:
    """Return the context variable."""
    return user.get()


@app.raw("/context-stream")
def stream_context(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Set the variable in the generator's first step and read it in the next."""
    start_response("200 OK", [])
    user.set("streamer")
    yield b"set, "
    yield user.get().encode()


# Output ----------------------------------------------------------------------------


@app.json("/print")
def use_print(environ: Environ) -> Any:
    """Print to stdout, without a flush."""
    print("printed:", query(environ)["text"])
    return "printed"


@app.json("/errors")
def use_errors(environ: Environ) -> Any:
    """Write to wsgi.errors and to stderr in all ways."""
    errors, text = environ["wsgi.errors"], query(environ)["text"]
    errors.write(f"wsgi.errors write {text}\n")
    errors.writelines([f"wsgi.errors writelines {text}\n"])
    print(f"wsgi.errors print {text} \N{SNOWMAN}", file=errors)
    errors.flush()
    print(f"stderr print {text}", file=sys.stderr)
    return "written"


@app.json("/fd-output")
def use_descriptors(environ: Environ) -> Any:
    """Write to the descriptors themselves, as C libraries do."""
    text = query(environ)["text"].encode()
    os.write(1, b"fd 1 " + text + b"\n")
    os.write(2, b"fd 2 " + text + b"\n")
    return "written"
