"""Each test runs in an interpreter of its own: handlers are a process's state."""

import pytest

SETUP = """
import json, os, signal, sys, threading
os_write, log = os.write, []
from gowsgi import embed
read, write = os.pipe()
os.set_blocking(read, False)
real_signal, real_getsignal = signal.signal, signal.getsignal
embed.setup(json.dumps({"error_fd": write, "owned_signals": ["SIGTERM", "SIGINT", "SIGHUP", "SIGNONE"]}))
def logged():
    try:
        return os.read(read, 65536).decode()
    except BlockingIOError:
        return ""
def error(function, *args):
    try:
        function(*args)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
def result(*values):
    print(json.dumps(values))
"""


@pytest.fixture
def run(child):
    def run(code, **kwargs):
        return child.json(SETUP + code, **kwargs)

    return run


def test_owned_signal_is_recorded_only(run):
    log, same, previous, process_untouched, agrees, again = run("""
before = real_getsignal(signal.SIGTERM)
def handler(signum, frame): pass
first = signal.signal(signal.SIGTERM, handler)
second = signal.signal(15, signal.SIG_IGN)
result(logged(), second is handler, str(first), real_getsignal(signal.SIGTERM) == before,
       signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, signal.signal(15, first) is signal.SIG_IGN)
""")
    assert log.count("\n") == 1
    assert "<string>:24 sets a handler for SIGTERM, which the server owns" in log
    assert previous == str(__import__("signal").SIG_DFL)
    assert [same, process_untouched, agrees, again] == [True] * 4


def test_one_warning_a_signal_and_none_for_the_default(run):
    log = run("""
signal.signal(signal.SIGHUP, signal.SIG_DFL)
quiet = logged()
for _ in range(3):
    signal.signal(signal.SIGHUP, print)
    signal.signal(signal.SIGTERM, print)
result(quiet, logged())
""")
    assert log[0] == ""
    assert [line.split(" sets ")[1].split(",")[0] for line in log[1].splitlines()] == [
        "a handler for SIGHUP",
        "a handler for SIGTERM",
    ]


def test_other_signals_reach_python(run):
    assert run("""
got = []
old = signal.signal(signal.SIGUSR1, lambda *args: got.append(args[0]))
os.kill(os.getpid(), signal.SIGUSR1)
signal.siginterrupt(signal.SIGUSR1, True)
result(got, old == signal.SIG_DFL, callable(signal.getsignal(signal.SIGUSR1)), logged())
""") == [[10], True, True, ""]


def test_errors_are_pythons_own(run):
    guarded, real = run("""
def all_errors(function, number):
    found = [error(function, number, "text"), error(function, number, 77), error(function, number, None)]
    thread = threading.Thread(target=lambda: found.append(error(function, number, print)))
    thread.start()
    thread.join()
    return found
out = all_errors(signal.signal, 15), all_errors(real_signal, 15)
for bad in (0, 999, "x", None):
    assert error(signal.signal, bad, print) == error(real_signal, bad, print), bad
result(*out)
""")
    assert guarded == real
    assert guarded[3] == "ValueError: signal only works in main thread of the main interpreter"
    assert all(guarded)


def test_imported_by_name(run):
    assert run("""
from signal import signal as by_name
by_name(signal.SIGTERM, print)
result(signal.getsignal(signal.SIGTERM) is print, by_name.__name__, by_name.__module__)
""") == [True, "signal", "signal"]


def test_asyncio(run):
    log, flags_kept, got = run("""
import asyncio
got = []
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, got.append, "term")
    loop.add_signal_handler(signal.SIGUSR1, got.append, "usr1")
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.1)
    assert loop.remove_signal_handler(signal.SIGTERM)
before = real_getsignal(signal.SIGTERM)
asyncio.run(main())
result(logged(), real_getsignal(signal.SIGTERM) == before, got)
""")
    assert log.count("\n") == 1
    assert "asyncio" not in log
    assert "<string>:" in log
    assert (flags_kept, got) == (True, ["usr1"])


def test_pdb_leaves_ctrl_c_to_the_server(run):
    log, previous, handler = run("""
import io, pdb
debugger = pdb.Pdb(stdin=io.StringIO("continue\\n"), stdout=io.StringIO())
debugger.set_trace()
debugger = None
result(logged(), pdb.Pdb._previous_sigint_handler, signal.getsignal(signal.SIGINT) == signal.SIG_DFL)
""")
    assert (log, previous, handler) == ("", None, True)


def test_siginterrupt_and_faulthandler_leave_owned_signals_alone(run):
    log, _, unregistered, ends = run("""
import faulthandler
faulthandler.register(signal.SIGHUP, chain=True)
signal.siginterrupt(signal.SIGTERM, True)
unregistered = faulthandler.unregister(signal.SIGHUP)
log = logged()
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGHUP)
    os._exit(0)
result(log, 0, unregistered, os.WTERMSIG(os.waitpid(pid, 0)[1]))
""")
    assert "faulthandler for SIGHUP" in log
    assert unregistered is False
    assert ends == 1


def test_exit_handlers(run):
    log, calls = run("""
calls = []
signal.signal(signal.SIGTERM, lambda *args: calls.append(args) or sys.exit(3))
embed.run_exit_handlers(15)
embed.run_exit_handlers("15")
signal.signal(signal.SIGTERM, signal.default_int_handler)
embed.run_exit_handlers(15)
logged()
def bad(signum, frame):
    1 / 0
signal.signal(signal.SIGTERM, bad)
embed.run_exit_handlers(15)
for handler in (signal.SIG_IGN, signal.SIG_DFL):
    signal.signal(signal.SIGTERM, handler)
    embed.run_exit_handlers(15)
embed.run_exit_handlers(1)
embed.run_exit_handlers(999)
result(logged(), calls)
""")
    assert calls == [[15, None], [15, None]]
    assert log.startswith("gowsgi: the app's handler for SIGTERM failed\nTraceback")
    assert log.endswith("ZeroDivisionError: division by zero\n")
    assert log.count("Traceback") == 1
    assert "signals.py" not in log


FOREIGN_HANDLER = """
# Stands for Go's handler: one that Python did not install and that does nothing.
import ctypes
libc = ctypes.CDLL(None)
callback = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda signum: None)
libc.signal.restype = ctypes.c_void_p
libc.signal(15, callback)
def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def test_forked_children_get_their_signals_back(run):
    assert run(
        FOREIGN_HANDLER
        + """
default = fork(lambda: os.kill(os.getpid(), 15))
signal.signal(15, lambda *args: os._exit(42))
recorded = fork(lambda: os.kill(os.getpid(), 15))
def own_handler():
    signal.signal(15, lambda *args: os._exit(43))
    os.kill(os.getpid(), 15)
def guarded_again():
    embed.setup('{"owned_signals": ["SIGTERM"]}')
    libc.signal(15, callback)
    signal.signal(15, lambda *args: os._exit(44))
    os.kill(os.getpid(), 15)
result(default, recorded, fork(own_handler), fork(guarded_again), callable(signal.getsignal(15)))
"""
    ) == [-15, 42, 43, 7, True]


def test_signal_in_the_midst_of_a_fork_is_not_lost(child):
    # A hook registered before the guard's runs before it in the child.
    early = """
import os
armed = False
os.register_at_fork(after_in_child=lambda: armed and os.kill(os.getpid(), 15))
"""
    code = """
armed = True
ended = fork(lambda: None)
result(ended, sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""
    assert child.json(early + SETUP + FOREIGN_HANDLER + code) == [-15, []]


def test_multiprocessing_child_can_be_terminated(child):
    (child.folder / "spawned.py").write_text(
        SETUP
        + FOREIGN_HANDLER
        + """
import multiprocessing, time
context = multiprocessing.get_context("fork")
process = context.Process(target=time.sleep, args=(30,))
process.start()
process.terminate()
process.join(10)
result(process.exitcode)
"""
    )
    assert child.json("import runpy; runpy.run_path('spawned.py')") == [-15]


def test_a_go_program_owns_every_signal(run):
    log, never, children = run("""
embed.setup(json.dumps({"error_fd": write, "owned_signals": ["*"], "library": True}))
before = [real_getsignal(number) for number in sorted(signal.valid_signals())]
for number in (signal.SIGALRM, signal.SIGPIPE, signal.SIGUSR1, signal.SIGRTMIN):
    signal.signal(number, lambda *args: None)
untouched = before == [real_getsignal(number) for number in sorted(signal.valid_signals())]
pid = os.fork()
if not pid:
    ok = real_getsignal(signal.SIGINT) == signal.SIG_DFL and callable(real_getsignal(signal.SIGUSR1))
    os._exit(0 if ok and real_getsignal(signal.SIGXFSZ) == signal.SIG_IGN else 1)
result(logged(), untouched, os.waitpid(pid, 0)[1])
""")
    assert "which the Go program owns: it is never run" in log
    assert [never, children] == [True, 0]
