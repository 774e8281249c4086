"""When signals are watched, and which other library Python tells of them."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from logplex_handler._process import signal_watch
from logplex_handler._process.signal_watch import SignalWatch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is watched")


@pytest.fixture
def watch(monkeypatch):
    # Of another test.
    monkeypatch.delitem(sys.modules, "trio", raising=False)
    # The watch ends in this process, where the thread would go on.
    monkeypatch.setattr(signal_watch, "new_thread", lambda *_: SimpleNamespace(start=bool))
    before = signal.set_wakeup_fd(-1)
    watch = SignalWatch()
    yield watch
    watch.after_fork_in_child()
    signal.set_wakeup_fd(before)


def test_the_main_thread_can_begin_after_another_thread_could_not(watch):
    with ThreadPoolExecutor(1) as other, pytest.raises(ValueError, match="main thread"):
        other.submit(watch.start, signal.SIGTERM).result(100)
    watch.start(signal.SIGTERM)
    assert signal.set_wakeup_fd(-1) != -1


def test_another_library_that_has_closed_its_end_breaks_no_fork(watch):
    watch.start(signal.SIGTERM)
    end, other_end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    os.close(end)
    os.close(other_end)
    watch.after_fork_in_child()
    assert watch._ends is None
