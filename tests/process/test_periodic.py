"""A function that is called once per interval."""

import threading
from types import SimpleNamespace

import pytest

from logplex_handler._process import diagnostics
from logplex_handler._process import periodic as module
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.periodic import Periodic


def failing():
    raise ValueError("no time")


def test_an_interrupted_start_starts_nothing(monkeypatch):
    """Ctrl-C, for example, as the thread is started; the end does not wait for it."""

    def interrupted(thread):
        raise KeyboardInterrupt

    periodic = Periodic(60, list)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            periodic.start()
    assert periodic.stop(100) is None


def test_whatever_the_function_raises_it_is_called_again(capsys):
    """Even what is meant to end a program. It is said."""
    calls = []
    again = threading.Event()

    def function():
        calls.append(None)
        if len(calls) > 1:
            again.set()
        raise SystemExit

    periodic = Periodic(0.01, function)
    periodic.start()
    assert again.wait(100)
    assert periodic.stop(100)
    assert "logplex_handler: internal error: SystemExit" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_started_again(monkeypatch):
    """A test has replaced the clock, for example."""
    called = threading.Event()
    periodic = Periodic(0.01, called.set)
    with monkeypatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(time=failing))
        periodic.start()
        first = periodic._thread
        assert first is not None
        first.join(100)
    assert not called.is_set()
    periodic.start()
    assert called.wait(100)
    assert periodic.stop(100)


def test_a_report_is_no_error_whatever_the_clock_does(monkeypatch, capsys):
    """The caller is an application that logs, or flushes."""
    reports = Diagnostics()
    with monkeypatch.context() as patch:
        patch.setattr(diagnostics, "time", SimpleNamespace(monotonic=failing))
        assert reports.warn("kind", "hello")
    assert reports.warn("kind", "hello")
    assert capsys.readouterr().err == "logplex_handler: hello\n"
