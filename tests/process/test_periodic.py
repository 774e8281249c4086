"""A function that is called once per interval."""

import threading

from logplex_handler._process.periodic import Periodic


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
    assert again.wait(15)
    assert periodic.stop(15)
    assert "logplex_handler: internal error: SystemExit" in capsys.readouterr().err
