"""A function that is called once per interval."""

import threading

import pytest

from logplex_handler._process.periodic import Periodic


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
