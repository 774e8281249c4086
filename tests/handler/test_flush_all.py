"""`flush_all` delivers without a reference to a handler."""

import os
import subprocess
import sys
import textwrap

from logplex_handler import flush_all
from logplex_handler.testing import LogplexReceiver
from tests.logs import logging_to, wait_until
from tests.pace import stopwatch
from tests.servers import accept, hang, serving


def test_every_handler_is_flushed():
    """All that was logged before has arrived when it returns."""
    with (
        LogplexReceiver() as one,
        LogplexReceiver() as other,
        logging_to(one.url, flush_interval=60) as (logger, _),
        logging_to(other.url, flush_interval=60) as (other_logger, _),
    ):
        logger.info("a")
        other_logger.info("b")
        assert flush_all()
        assert [line.text for line in (*one.lines, *other.lines)] == ["a", "b"]


def test_a_receiver_that_hangs_takes_no_time_from_the_others():
    """Records that can be delivered are: here, it hangs until the other one has its own."""

    def hang_for_the_other(connection):
        assert wait_until(lambda: well.received)
        accept(connection)

    with (
        serving(hang_for_the_other) as hung,
        serving(accept) as well,
        logging_to(hung.url) as (logger, _),
        logging_to(well.url, flush_interval=1000) as (other_logger, _),
    ):
        logger.info("a")
        other_logger.info("b")
        assert flush_all(100)
        assert (hung.frames(), well.frames()) == ([b"a"], [b"b"])


def test_receivers_that_hang_share_the_time():
    with (
        serving(hang) as one,
        serving(hang) as other,
        logging_to(one.url, shutdown_timeout=0.1) as (logger, _),
        logging_to(other.url, shutdown_timeout=0.1) as (other_logger, _),
    ):
        logger.info("a")
        other_logger.info("b")
        with stopwatch() as watch:
            assert not flush_all(1.5)
            assert watch.seconds < 3


def test_a_process_that_ends_at_once_loses_nothing_after_it():
    """`os._exit` runs no exit functions."""
    program = """
    import logging, os
    from logplex_handler import LogplexHandler, flush_all
    logging.getLogger().addHandler(LogplexHandler(timeout=60, shutdown_timeout=60))
    logging.warning("last words")
    assert flush_all()
    os._exit(0)
    """
    with LogplexReceiver() as logplex:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=os.environ | {"LOGPLEX_URL": logplex.url},
            check=True,
            timeout=100,
        )
        assert [dict(line.pairs)["msg"] for line in logplex.lines] == ["last words"]


def test_without_a_handler_there_is_nothing_to_wait_for():
    """It is True at once, in a process that has none."""
    program = "from logplex_handler import flush_all; assert flush_all() and flush_all(1)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
