"""At exit a process delivers its records within `shutdown_timeout`."""

import pytest

from logplex_handler._process import exits
from logplex_handler.testing import LogplexReceiver
from tests.pace import stopwatch
from tests.process.shared import run, run_forked
from tests.servers import TOKEN, hang, refusing_port, serving


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("sys.exit(3)", 3), ("raise RuntimeError('the end')", 1)],
    ids=["end", "sys.exit", "exception"],
)
def test_leaving_a_program_delivers_what_waits(ending, status):
    """By its end, by sys.exit, or by an exception: nothing has to be called."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            f"""
            for number in range(100):
                logger.info("line %d", number)
            {ending}
            """,
        )
        assert done.returncode == status
        assert "logplex_handler" not in done.stderr
        assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(100)]


def test_a_record_of_an_exit_function_is_delivered():
    """A program may log first while it exits, where no thread can be started on 3.12."""
    with LogplexReceiver() as logplex:
        done = run(logplex.url, "import atexit; atexit.register(logger.info, 'bye')")
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.text for line in logplex.lines] == ["bye"]


def test_a_record_of_a_thread_that_outlives_the_main_one_is_delivered():
    """The interpreter waits for ordinary threads, and then for the handler."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            def work():
                threading.main_thread().join()
                logger.info("late")
            threading.Thread(target=work).start()
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.text for line in logplex.lines] == ["late"]


def test_leaving_beside_a_server_that_hangs_takes_no_longer_than_shutdown_timeout():
    """It says how many records were not delivered, and exits as it would have."""
    with serving(hang) as server, stopwatch() as watch:
        done = run_forked(
            server.url,
            """
            import time
            for number in range(5):
                logger.info("line %d", number)
            print(time.monotonic())
            """,
            shutdown_timeout=1.0,
        )
        assert done.returncode == 0
        assert watch.since(float(done.stdout)) < 1.0 + 1.5
    assert "logplex_handler: 5 records not delivered: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_leaving_beside_a_closed_port_says_what_was_not_delivered():
    """Refused connections are tried until the time is over."""
    with refusing_port() as port:
        url = f"http://token:{TOKEN}@127.0.0.1:{port}/logs"
        done = run_forked(url, "logger.info('line')", shutdown_timeout=0.7)
    assert done.returncode == 0
    assert "logplex_handler: 1 record not delivered: NewConnectionError" in done.stderr


def test_a_closed_stderr_is_no_reason_to_fail():
    """Neither while records are dropped nor at exit."""
    done = run_forked(
        "http://token:t@127.0.0.1:1/logs",
        """
        sys.stderr.close()
        logger.info("%d", "x")
        logger.info("line")
        """,
        shutdown_timeout=0.2,
    )
    assert (done.returncode, done.stdout) == (0, "")


class Interrupted(dict[int, object]):
    """Its first reader is interrupted as soon as it has read."""

    def __init__(self, function):
        self._function = function

    def get(self, key, default=None):
        found, function = super().get(key, default), self._function
        self._function = lambda: None
        function()
        return found


def test_no_function_is_forgotten_that_another_thread_adds_as_the_first_one_is_looked_for(
    monkeypatch,
):
    monkeypatch.setattr(exits.atexit, "register", lambda _: None)
    functions = exits._ExitFunctions()
    called = []

    def add(name):
        functions.add(lambda: called.append(name), before_handlers=False)

    functions._functions = Interrupted(lambda: add("inner"))
    add("outer")
    functions()
    assert sorted(called) == ["inner", "outer"]


@pytest.mark.parametrize("place", ["getpid", "_install"])
def test_no_function_is_forgotten_that_another_thread_adds_at_the_same_moment(monkeypatch, place):
    """The second one comes while the first, in the middle of it, has not added its own."""
    functions = exits._ExitFunctions()
    called = []
    owner = exits.os if place == "getpid" else exits._ExitFunctions
    original = getattr(owner, place)
    inner = iter([lambda: functions.add(lambda: called.append("inner"), before_handlers=False)])

    def in_the_middle(*arguments):
        next(inner, lambda: None)()
        return None if place == "_install" else original(*arguments)

    monkeypatch.setattr(owner, place, in_the_middle)
    monkeypatch.setattr(exits.atexit, "register", lambda _: None)
    functions.add(lambda: called.append("outer"), before_handlers=False)
    functions()
    assert called == ["inner", "outer"]


def test_a_function_that_is_interrupted_keeps_no_other_from_its_call(monkeypatch):
    """Ctrl-C during the wait of one handler; the interruption passes on in the end."""
    monkeypatch.setattr(exits.atexit, "register", lambda _: None)
    functions = exits._ExitFunctions()
    called = []

    def interrupted():
        raise KeyboardInterrupt

    functions.add(lambda: called.append("a handler"), before_handlers=False)
    functions.add(interrupted, before_handlers=True)
    functions.add(lambda: called.append("metrics"), before_handlers=True)
    with pytest.raises(KeyboardInterrupt):
        functions()
    assert called == ["metrics", "a handler"]
