"""The registry of fork hooks."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import pytest

from logplex_handler._process import forks
from logplex_handler._process.forks import LiveObjects
from logplex_handler._process.reentrancy import is_held


class Guard:
    """Writes down which of its hooks is called."""

    def __init__(self, name, calls):
        self._name = name
        self._calls = calls

    def before_fork(self):
        self._calls.append(f"{self._name} before")

    def after_fork_in_parent(self):
        self._calls.append(f"{self._name} parent")

    def after_fork_in_child(self):
        self._calls.append(f"{self._name} child")


class Failing(Guard):
    """A guard that is interrupted."""

    def before_fork(self):
        super().before_fork()
        raise OSError("interrupted")


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch):
    monkeypatch.setattr(forks, "_guards", LiveObjects())
    monkeypatch.setattr(forks, "_forkables", LiveObjects())


def forked(calls):
    """The hooks called in the parent, and those called in the child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, ", ".join(calls).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with open(reader) as child:
        return calls, child.read().split(", ")


def test_guards_are_called_as_locks_are_nested_and_others_begin_anew_afterwards():
    calls = []
    others = [Guard(name, calls) for name in ("x", "y")]
    guards = [Guard(name, calls) for name in ("a", "b")]
    for other in others:
        forks.register(other)
    for guard in guards:
        forks.register_guard(guard)
    in_parent, in_child = forked(calls)
    assert in_parent == ["b before", "a before", "a parent", "b parent"]
    assert in_child == ["b before", "a before", "a child", "b child", "x child", "y child"]


def test_guards_are_called_with_the_lock_of_the_logging_module():
    """Otherwise `dictConfig` would hold it while it waits for what the guards hold up."""
    held = []

    class Looking(Guard):
        def before_fork(self):
            held.append(is_held(forks.logging_lock()))

    guard = Looking("a", [])
    forks.register_guard(guard)
    pid = os.fork()
    if not pid:
        os._exit(not forks.logging_lock().acquire(blocking=False))
    assert os.waitpid(pid, 0)[1] == 0
    assert held == [True]
    assert not is_held(forks.logging_lock())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_guard_that_fails_is_released_with_those_before_it():
    """The fork goes on, as Python ignores what a hook raises; the next one can fork too."""
    calls = []
    guards = [Guard("a", calls), Failing("b", calls), Guard("c", calls)]
    for guard in guards:
        forks.register_guard(guard)
    in_parent, _ = forked(calls)
    assert in_parent == ["c before", "b before", "b parent", "c parent"]
    assert forks._fork_lock.acquire(blocking=False)
    forks._fork_lock.release()


def test_a_guard_whose_hook_forks_again_is_called_for_both_forks():
    """As a signal handler may do while a guard waits for its lock."""
    calls = []

    class Forking(Guard):
        def before_fork(self):
            super().before_fork()
            if len(calls) == 1:
                forks._before()
                forks._after_in_parent()

    guard = Forking("a", calls)
    forks.register_guard(guard)
    forks._before()
    forks._after_in_parent()
    assert calls == ["a before", "a before", "a parent", "a parent"]


@pytest.fixture
def at_sigterm():
    """Set a function that this process's handler of SIGTERM calls."""
    functions = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: functions[-1]())
    yield functions.append
    signal.signal(signal.SIGTERM, previous)


def test_a_sigterm_that_a_child_receives_at_once_is_not_forgotten(at_sigterm):
    """As a pool may send it to a worker that it has just made."""
    at_sigterm(lambda: os._exit(7))
    pid = os.fork()
    if not pid:
        for _ in range(600):
            time.sleep(0.1)
        os._exit(1)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_sigterm_takes_effect_in_a_child_after_all_hooks(at_sigterm):
    """Before, locks of the package are held."""
    calls = []
    at_sigterm(lambda: calls.append("sigterm"))

    class Ending(Guard):
        def after_fork_in_child(self):
            os.kill(os.getpid(), signal.SIGTERM)
            super().after_fork_in_child()

    guard, other = Ending("a", calls), Guard("x", calls)
    forks.register_guard(guard)
    forks.register(other)
    in_parent, in_child = forked(calls)
    assert in_parent == ["a before", "a parent"]
    assert in_child == ["a before", "a child", "x child", "sigterm"]


def test_an_interrupted_hook_leaves_no_signal_blocked():
    """In the child, which could not be ended then."""

    class Interrupted(Guard):
        def after_fork_in_child(self):
            raise KeyboardInterrupt

    guard = Interrupted("a", [])
    forks.register_guard(guard)
    pid = os.fork()
    if not pid:
        os._exit(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert os.waitpid(pid, 0)[1] == 0


def test_what_nobody_uses_any_more_is_not_called():
    calls = []
    forks.register(Guard("x", calls))
    forks.register_guard(Guard("a", calls))
    gc.collect()
    assert forked(calls) == ([], [""])


def test_live_objects_are_listed_while_other_threads_add_some():
    class Thing:
        pass

    things = LiveObjects()
    kept = [Thing() for _ in range(1000)]
    for thing in kept:
        things.add(thing)
    done = threading.Event()

    def add():
        while not done.is_set():
            things.add(Thing())

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for _ in range(200):
            assert things.all()[:1000] == kept
    finally:
        done.set()
        thread.join()
