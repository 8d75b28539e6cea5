import threading

import pytest

from gowsgi import stacks


@pytest.fixture
def blocked():
    """Starts a thread in a function that ends with the test."""
    free = []

    def start(function):
        import _thread

        started, release, done = threading.Event(), threading.Event(), threading.Event()

        def run():
            function(lambda: (started.set(), release.wait(20)))
            done.set()

        free.append((release, done))
        ident = _thread.start_new_thread(run, ())
        assert started.wait(10)
        return ident

    yield start
    for release, done in free:
        release.set()
        assert done.wait(10)


def test_dump_of_a_thread_that_threading_does_not_know(blocked):
    def deep(wait, n=300):
        return deep(wait, n - 1) if n else wait()

    ident = blocked(deep)
    text = dict(stacks.dump())[ident]
    assert text.startswith("Thread 'unknown' (native id ?), most recent call last:\n")
    assert "in deep\n" in text
    assert "in run\n" not in text  # only the innermost frames


def test_dump_leaves_this_thread_out():
    assert threading.get_ident() not in dict(stacks.dump())


def test_dump_does_not_wait_for_threadings_lock(blocked):
    ident = blocked(lambda wait: wait())
    with threading._active_limbo_lock:
        assert ident in dict(stacks.dump())


ALARM = """
import faulthandler, json, os, sys, time
from gowsgi.stacks import Alarm
alarm = Alarm()
alarm.guard()
there, here = os.pipe(), os.pipe()
os.set_blocking(there[0], False)
os.set_blocking(here[0], False)
def written(pipe):
    time.sleep(0.5)
    try:
        return os.read(pipe[0], 99).decode().partition("!")[0]
    except BlockingIOError:
        return None
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("wound = alarm.wind(0.1, here[1])", [True, "Timeout (0:00:00.100000)", None]),
        ("wound = alarm.wind(0.1, here[1]) and alarm.wind(60, here[1])", [True, None, None]),
        # The app's own is left alone, for as long as it may go off.
        (
            "faulthandler.dump_traceback_later(0.2, file=there[1]); wound = alarm.wind(0.1, here[1])",
            [False, None, "Timeout (0:00:00.200000)"],
        ),
        (
            "faulthandler.dump_traceback_later(0.05, file=there[1]); time.sleep(0.3); wound = alarm.wind(0.1, here[1])",
            [True, "Timeout (0:00:00.100000)", "Timeout (0:00:00.050000)"],
        ),
        (
            "faulthandler.dump_traceback_later(timeout=0.1, repeat=True, file=there[1]); time.sleep(0.3)\n"
            "wound = alarm.wind(0.1, here[1])",
            [False, None, "Timeout (0:00:00.100000)"],
        ),
        (
            "faulthandler.dump_traceback_later(9, True, there[1]); faulthandler.cancel_dump_traceback_later()\n"
            "wound = alarm.wind(0.1, here[1])",
            [True, "Timeout (0:00:00.100000)", None],
        ),
        # It takes the timer over when ours is set already.
        (
            "wound = alarm.wind(0.3, here[1]); faulthandler.dump_traceback_later(0.1, file=there[1])",
            [True, None, "Timeout (0:00:00.100000)"],
        ),
        (
            "alarm.guard()\ntry: faulthandler.dump_traceback_later(-1)\nexcept ValueError: pass\n"
            "wound = alarm.wind(0.1, here[1])",
            [True, "Timeout (0:00:00.100000)", None],
        ),
    ],
)
def test_alarm(child, code, expected):
    assert child.json(ALARM + code + "\nprint(json.dumps([wound, written(here), written(there)]))") == expected


def test_alarm_that_guards_nothing():
    assert stacks.Alarm().wind(60, 2) is False


def test_alarm_is_off_while_a_process_forks(child):
    # A child that ended a timer whose thread it lacks would wait for ever.
    code = """
import signal
assert alarm.wind(60, here[1])
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    faulthandler.dump_traceback_later(60)
    faulthandler.cancel_dump_traceback_later()
    os._exit(7 if alarm.wind(60, here[1]) else 8)  # a zygote's child serves itself
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), alarm.wind(60, here[1])]))
"""
    assert child.json(ALARM + code) == [7, True]


def test_the_apps_alarm_survives_a_fork(child):
    code = """
faulthandler.dump_traceback_later(0.3, file=there[1])
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
print(json.dumps(written(there)))
"""
    assert child.json(ALARM + code) == "Timeout (0:00:00.300000)"
