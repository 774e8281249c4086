"""What is imported when: the package itself, its handler, and what only some programs use."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
import typing

import pytest

import logplex_handler
from logplex_handler.testing import LogplexReceiver

# What takes longest to import.
HTTP = {"requests", "urllib3", "http.client", "ssl"}
DELIVERY = {f"logplex_handler.{room}" for room in ("_buffer", "_delivery", "_sender", "_transport")}
SPOOL = {"sqlite3", "secrets", "logplex_handler._spool", "logplex_handler._delivery.spool_writer"}
METRICS = {"logplex_handler.metrics.meter", "logplex_handler.metrics.reporter"}
ELSEWHERE = {
    "logplex_handler.cli",
    "logplex_handler.heroku",
    "logplex_handler.process_metrics",
    "logplex_handler.receiver",
    "logplex_handler.testing",
    "gzip",
    "psutil",
    "ddsketch",
    "logging.handlers",
    "multiprocessing",
}


def imported_by(script):
    """The modules that a program has imported at its end."""
    # Nothing happens at exit, so that no spool is opened.
    program = textwrap.dedent(script) + (
        "\nimport sys, json, os\nprint(json.dumps([*sys.modules]), flush=True)\nos._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("script", "absent", "present"),
    [
        (
            "import logplex_handler",
            {*HTTP, *DELIVERY, *SPOOL, *METRICS, *ELSEWHERE, "logplex_handler._formatting"},
            set(),
        ),
        (
            "from logplex_handler import measure; measure('a', 1)",
            {*HTTP, *DELIVERY, *SPOOL, *METRICS, *ELSEWHERE, "logplex_handler._formatting"},
            {"logplex_handler.metrics.metric_pairs"},
        ),
        (
            # The types of its options are known by then.
            "from logplex_handler import LogplexHandler, KeyValueFormatter, use_stream\n"
            "import typing; typing.get_type_hints(LogplexHandler.__init__)",
            {*HTTP, *DELIVERY, *SPOOL, *METRICS, *ELSEWHERE},
            {"logplex_handler._formatting"},
        ),
        (
            "from logplex_handler import LogplexHandler; LogplexHandler('http://u:t@[::1]:9/')",
            {*SPOOL, *METRICS, *ELSEWHERE},
            {*HTTP, *DELIVERY},
        ),
        (
            """
            from logplex_handler import LogplexHandler
            LogplexHandler('http://u:t@[::1]:9/', spool='/tmp/never-opened')
            """,
            {*METRICS, *ELSEWHERE},
            {*HTTP, *DELIVERY, *SPOOL},
        ),
        (
            "import logging; from logplex_handler import Metrics; Metrics(logging.getLogger('a'))",
            {*HTTP, *DELIVERY, *SPOOL, *ELSEWHERE},
            METRICS,
        ),
        ("import logplex_handler.pytest_plugin", {*HTTP, *DELIVERY, *SPOOL, *METRICS}, set()),
    ],
    ids=["package", "measure", "class", "handler", "spool", "metrics", "pytest"],
)
def test_what_a_program_does_not_use_is_not_imported(script, absent, present):
    found = imported_by(script)
    assert found & absent == set()
    assert found >= present


def test_nothing_is_imported_by_a_worker(tmp_path):
    """It could wait for the import of a thread that waits for it, or run as the program ends."""
    program = textwrap.dedent(
        """
        import builtins, logging, sys, threading
        from logplex_handler import LogplexHandler
        from logplex_handler.testing import LogplexReceiver

        with LogplexReceiver() as logplex:
            logger = logging.getLogger("app")
            handler = LogplexHandler(
                logplex.url, streams={1: logplex.url}, spool=sys.argv[1], compress=True,
                health_interval=0.05, timeout=60, shutdown_timeout=60,
            )
            logger.addHandler(handler)
            original, found = builtins.__import__, set()

            def noting(name, globals=None, locals=None, fromlist=(), level=0):
                before = set(sys.modules)
                result = original(name, globals, locals, fromlist, level)
                if threading.current_thread() is not threading.main_thread():
                    found.update(set(sys.modules) - before)
                return result

            builtins.__import__ = noting
            for number in range(200):
                logger.warning("number %d", number, extra={"logplex_stream": number % 2 or None})
            assert handler.flush()
            handler.close()
            print(*found)
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, tmp_path / "spool"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert [one for one in done.stdout.split() if "encodings" not in one] == []


def test_every_public_name_is_found_and_listed():
    assert {*logplex_handler.__all__, "errors", "handler", "metrics"} <= {*dir(logplex_handler)}
    for name in logplex_handler.__all__:
        assert getattr(logplex_handler, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = logplex_handler.nonsense
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from logplex_handler import nonsense")


def test_the_types_of_all_public_functions_can_be_asked_for():
    """As programs do that check types at run time, or make forms of options."""
    public = [getattr(logplex_handler, name) for name in logplex_handler.__all__]
    for found in public:
        methods = filter(inspect.isfunction, vars(found).values()) if type(found) is type else ()
        for one in (found, *methods):
            typing.get_type_hints(one)


def test_modules_that_the_package_used_to_import_are_found_without_an_import_of_their_own():
    found = imported_by(
        """
        import logplex_handler
        logplex_handler.errors.LogplexError, logplex_handler.stats.Stats
        logplex_handler.handler.LogplexHandler, logplex_handler.metrics.Metrics
        logplex_handler.sigterm.flush_on_sigterm, logplex_handler.streams.Destination
        from logplex_handler import *
        LogplexHandler, measure
        """
    )
    assert "logplex_handler.handler" in found


def test_threads_that_use_a_name_first_at_the_same_moment_find_it():
    program = """
    import threading
    import logplex_handler
    found, barrier = [], threading.Barrier(8)
    def work():
        barrier.wait()
        found.append(logplex_handler.LogplexHandler("http://u:t@[::1]:9/"))
    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads: one.start()
    for one in threads: one.join()
    assert len({type(one) for one in found}) == 1 and len(found) == 8, found
    """
    assert "requests" in imported_by(program)


def test_the_first_handler_may_be_made_as_the_program_ends():
    """Where no thread can be started any more, on Python 3.12."""
    program = """
    import atexit, logging, sys
    import logplex_handler
    def end():
        logger = logging.getLogger("app")
        handler = logplex_handler.LogplexHandler(sys.argv[1], timeout=60, shutdown_timeout=60)
        logger.addHandler(handler)
        logger.warning("late")
        assert logger.handlers[0].flush()
    atexit.register(end)
    """
    with LogplexReceiver() as logplex:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program), logplex.url],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(logplex.lines) == 1
