"""How processes live and die with a handler: real exits, real forks, real interpreters."""

import logging
import logging.config
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from logplex_handler._process import forks
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, own_stream
from tests.servers import accept, serving

PREAMBLE = """
import logging, os, sys, threading
from logplex_handler import LogplexHandler
handler = LogplexHandler(flush_interval=60, **OPTIONS)
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
"""


def run(url, script, *, timeout=20, **options):
    """Run a program whose `logger` sends to the URL; its exit status, and what it said."""
    program = PREAMBLE.replace("OPTIONS", repr(options)) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "LOGPLEX_URL": url},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


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
            import time
            def work():
                time.sleep(0.3)
                logger.info("late")
            threading.Thread(target=work).start()
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.text for line in logplex.lines] == ["late"]


def test_leaving_beside_a_server_that_hangs_takes_no_longer_than_shutdown_timeout():
    """It says how many records were not delivered, and exits as it would have."""
    over = threading.Event()
    with serving(lambda connection: over.wait(10)) as server:
        done = run(
            server.url,
            """
            import time
            for number in range(5):
                logger.info("line %d", number)
            print(time.monotonic())
            """,
            shutdown_timeout=1.0,
        )
        ended = time.monotonic()
        over.set()
    assert done.returncode == 0
    # On the clock that all processes share.
    took = ended - float(done.stdout)
    assert took < 1.0 + 1.5
    assert "logplex_handler: 5 records not delivered: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_leaving_beside_a_closed_port_says_what_was_not_delivered():
    """Refused connections are tried until the time is over."""
    with LogplexReceiver() as logplex:
        url = logplex.url
    done = run(url, "logger.info('line')", shutdown_timeout=0.7)
    assert done.returncode == 0
    assert "logplex_handler: 1 record not delivered: NewConnectionError" in done.stderr


def test_a_closed_stderr_is_no_reason_to_fail():
    """Neither while records are dropped nor at exit."""
    done = run(
        "http://token:t@127.0.0.1:1/logs",
        """
        sys.stderr.close()
        logger.info("%d", "x")
        logger.info("line")
        """,
        shutdown_timeout=0.2,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_second_dictconfig_delivers_and_does_not_freeze():
    """It closes the first handler with the logging module's lock held, under load."""
    with LogplexReceiver() as logplex:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(message)s"}},
            "handlers": {
                "logplex": {
                    "class": "logplex_handler.LogplexHandler",
                    "url": logplex.url,
                    "formatter": "plain",
                }
            },
            "loggers": {
                "test.twice": {"handlers": ["logplex"], "level": "DEBUG", "propagate": False}
            },
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.twice")
        stop = threading.Event()
        sent = []

        def work(thread):
            number = 0
            while not stop.is_set():
                logger.info("%d %d", thread, number)
                number += 1
                time.sleep(0.0005)
            sent.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        longest = 0.0
        handlers = []
        for _ in range(5):
            time.sleep(0.2)
            started = time.monotonic()
            first = logger.handlers[0]
            handlers.append(first)
            logging.config.dictConfig(config)
            longest = max(longest, time.monotonic() - started)
            assert balanced(first.stats())
            assert first.stats().pending == 0
        stop.set()
        for thread in threads:
            thread.join()
        last = logger.handlers[0]
        logger.removeHandler(last)
        last.close()
        handlers.append(last)
        assert longest < 2
        assert len({line.text for line in logplex.lines}) == len(logplex.lines)
        # Records that came between the closing of one handler and its removal are counted there.
        closed = sum(one.stats().dropped.get("closed", 0) for one in handlers)
        assert len(logplex.lines) + closed == sum(one.stats().accepted for one in handlers)
        assert sum(sent) == sum(one.stats().accepted for one in handlers)


def test_logging_shutdown_delivers_while_other_threads_log():
    """It holds the handler's lock meanwhile, which keeps nobody from logging."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=60) as (
            logger,
            handler,
        ),
    ):
        logger.info("before")
        handler.acquire()
        try:
            worker = threading.Thread(target=logger.info, args=("meanwhile",))
            worker.start()
            worker.join(2)
            assert not worker.is_alive()
            assert handler.flush()
        finally:
            handler.release()
    assert [line.text for line in logplex.lines] == ["before", "meanwhile"]


def test_forked_children_deliver_what_is_theirs_while_threads_log():
    """Every line of parent and children arrives once; the children's books begin at zero."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import time
            stop = threading.Event()
            counts = [0, 0, 0]
            def work(thread):
                while not stop.is_set():
                    logger.info("parent %d %d", thread, counts[thread])
                    counts[thread] += 1
                    time.sleep(0.0002)
            threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
            for thread in threads: thread.start()
            children = []
            for child in range(6):
                time.sleep(0.05)
                pid = os.fork()
                if pid == 0:
                    for number in range(50):
                        logger.info("child %d %d", child, number)
                    ok = handler.flush() and handler.stats().accepted == 50
                    handler.close()
                    os._exit(0 if ok else 9)
                children.append(pid)
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
            stop.set()
            for thread in threads: thread.join()
            print(*counts)
            sys.exit(max(codes))
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        counts = [int(count) for count in done.stdout.split()]
        expected = {f"child {child} {n}" for child in range(6) for n in range(50)}
        expected |= {f"parent {thread} {n}" for thread in range(3) for n in range(counts[thread])}
        lines = [line.text for line in logplex.lines]
        assert len(lines) == len(set(lines))
        assert set(lines) == expected


def test_a_fork_that_python_is_not_told_of_is_noticed():
    """uWSGI forks without the hook: the child's first record shows it."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            from logplex_handler._process import forks
            forks._forkables.__init__()
            logger.info("parent")
            pid = os.fork()
            if pid == 0:
                logger.info("child")
                handler.flush()
                os._exit(handler.stats().accepted)
            accepted = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            sys.exit(0 if accepted == 1 else 9)
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(line.text for line in logplex.lines) == ["child", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("mark", [forks.here, forks._HereByPid])
def test_a_mark_says_whether_it_was_made_in_this_process(mark):
    """Not in a child, nor in a child of that; but in each for its own."""
    here = mark()
    assert here[0]
    pid = os.fork()
    if pid == 0:
        own = mark()
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(1 if here[0] or own[0] else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1])
        os._exit(1 if here[0] or not own[0] else status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert here[0]


def _worker(number):
    logger = logging.getLogger("test.workers")
    for line in range(20):
        logger.info("worker %d line %d", number, line)
    logger.handlers[0].flush()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_multiprocessing_workers_deliver_their_lines():
    """Forked workers log through the handler of their parent's configuration."""
    with LogplexReceiver() as logplex, logging_to(logplex.url) as (_, handler):
        logger = logging.getLogger("test.workers")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        logger.info("parent")
        processes = [
            multiprocessing.get_context("fork").Process(target=_worker, args=(number,))
            for number in range(8)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(20)
        assert [process.exitcode for process in processes] == [0] * 8
        logger.removeHandler(handler)
        assert handler.flush()
        expected = {f"worker {n} line {line}" for n in range(8) for line in range(20)} | {"parent"}
        assert {line.text for line in logplex.lines} == expected
        assert len(logplex.lines) == len(expected)


def test_an_application_thread_never_waits_for_the_network():
    """Beside a server that does not answer, calls stay short."""
    over = threading.Event()
    with (
        serving(lambda connection: over.wait(5)) as server,
        logging_to(server.url, shutdown_timeout=0.1, flush_interval=0.01) as (logger, _),
    ):
        logger.info("first")
        deadline = time.monotonic() + 2
        while not server.received and time.monotonic() < deadline:
            time.sleep(0.01)
        longest = 0.0
        for number in range(2000):
            started = time.perf_counter()
            logger.info("line %d", number)
            longest = max(longest, time.perf_counter() - started)
        over.set()
    # The request alone would take five seconds; the bound leaves room for a busy machine.
    assert longest < 0.5


def test_a_record_made_by_garbage_collection_inside_the_handler_does_not_lock_up():
    """What is collected while the handler holds its locks may log through it."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, max_buffer_bytes=10_000_000) as (
            logger,
            handler,
        ),
    ):

        class Noisy:
            def __del__(self):
                logger.info("collected")

        with own_stream(handler).accumulator._lock:
            noisy = Noisy()
            del noisy
        with handler._pipeline._worker_pool._lock, handler._pipeline._worker_pool._starting:
            noisy = Noisy()
            del noisy
        assert handler.flush()
        assert [line.text for line in logplex.lines] == ["collected", "collected"]


def test_importing_the_package_starts_and_says_nothing():
    """No thread, no output, no handler of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import logging, threading, logplex_handler;"
            "assert threading.active_count() == 1; assert not logging.getLogger().handlers",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_without_being_told(method, tmp_path):
    """They run no exit functions, or not Python's own; every line arrives all the same."""
    (tmp_path / "work.py").write_text(
        textwrap.dedent(
            f"""
            import logging, multiprocessing, os
            from logplex_handler import LogplexHandler

            def configure():
                handler = LogplexHandler(flush_interval=60)
                handler.setFormatter(logging.Formatter("%(message)s"))
                logger = logging.getLogger("app")
                logger.setLevel(logging.DEBUG)
                logger.addHandler(handler)
                return logger

            def work(number):
                logger = logging.getLogger("app")
                if not logger.handlers:
                    configure()
                for line in range(20):
                    logger.info("worker %d line %d", number, line)

            if __name__ == "__main__":
                logger = configure()
                logger.info("parent")
                context = multiprocessing.get_context("{method}")
                workers = [context.Process(target=work, args=(n,)) for n in range(8)]
                for worker in workers: worker.start()
                for worker in workers: worker.join()
                raise SystemExit(max(worker.exitcode for worker in workers))
            """
        )
    )
    with LogplexReceiver() as logplex:
        done = subprocess.run(
            [sys.executable, "work.py"],
            cwd=tmp_path,
            env={**os.environ, "LOGPLEX_URL": logplex.url},
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.text for line in logplex.lines]
    assert sorted(lines) == sorted(
        ["parent", *(f"worker {n} line {line}" for n in range(8) for line in range(20))]
    )


def test_children_of_billiard_deliver_without_being_told():
    """Celery's fork of multiprocessing has finalizers of its own."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import warnings
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import billiard
            logger.info("parent")
            children = [
                billiard.Process(target=logger.info, args=("child %d", n)) for n in range(3)
            ]
            for child in children: child.start()
            for child in children: child.join()
            sys.exit(max(child.exitcode for child in children))
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines = sorted(line.text for line in logplex.lines)
    assert lines == ["child 0", "child 1", "child 2", "parent"]


SIGTERM_SELF = """
import signal, time
from logplex_handler import flush_on_sigterm
{before}
flush_on_sigterm()
flush_on_sigterm()
logger.info("line")
os.kill(os.getpid(), signal.SIGTERM)
{after}
"""


def test_without_asking_sigterm_ends_a_program_at_once():
    """No signal handler is installed by itself."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            "import signal; logger.info('line'); os.kill(os.getpid(), signal.SIGTERM)",
        )
        assert done.returncode == -signal.SIGTERM
        assert not logplex.lines


def test_sigterm_delivers_first_when_asked():
    """Then the process dies of it, as whoever sent it expects."""
    with LogplexReceiver() as logplex:
        done = run(logplex.url, SIGTERM_SELF.format(before="", after="time.sleep(10)"))
        assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
        assert [line.text for line in logplex.lines] == ["line"]


def test_sigterm_goes_on_to_who_listened_before():
    """An application's own handler is called after the delivery."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            SIGTERM_SELF.format(
                before="signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))",
                after="time.sleep(10)",
            ),
        )
        assert (done.returncode, done.stderr) == (7, "")
        assert [line.text for line in logplex.lines] == ["line"]


def test_sigterm_stays_ignored_where_it_was():
    """What waits is delivered, and the program goes on."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            SIGTERM_SELF.format(
                before="signal.signal(signal.SIGTERM, signal.SIG_IGN)",
                after="print(handler.stats().delivered)",
            ),
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_sigterm_in_the_middle_of_logging_loses_nothing():
    """It comes while the main thread logs as fast as it can, and other threads too."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import signal
            from logplex_handler import flush_on_sigterm
            counts = [0, 0]
            def leave(number, frame):
                print(counts[0], handler.stats().dropped, flush=True)
                os._exit(0 if handler.stats().pending < 100 else 9)
            signal.signal(signal.SIGTERM, leave)
            flush_on_sigterm()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            while True:
                logger.info("line %d", counts[0])
                counts[0] += 1
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        count, dropped = done.stdout.split(" ", 1)
        assert eval(dropped) == {}
        # The interrupted call itself may not have come to the accumulator.
        assert len(logplex.lines) >= int(count)
        assert [line.text for line in logplex.lines] == [
            f"line {number}" for number in range(len(logplex.lines))
        ]


def test_uwsgi_without_threads_is_recognised_and_said():
    """Its options say whether threads run; nothing would leave in the background."""
    with LogplexReceiver() as logplex:
        program = """
            import types
            uwsgi = sys.modules["uwsgi"] = types.ModuleType("uwsgi")
            uwsgi.opt = {OPT}
            logger.info("line")
            logger.info("line")
            """
        without = run(logplex.url, program.replace("{OPT}", "{'processes': b'4'}"))
        with_threads = run(logplex.url, program.replace("{OPT}", "{'enable-threads': True}"))
    assert without.stderr.count("uWSGI runs no threads without --enable-threads") == 1
    assert with_threads.stderr == ""


def test_a_platform_without_fork_hooks_works():
    """`os.register_at_fork` is not everywhere."""
    with LogplexReceiver() as logplex:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                "import os, random, requests; del os.register_at_fork\n"
                + PREAMBLE.replace("OPTIONS", "{}")
                + "logger.info('line')",
            ],
            env={**os.environ, "LOGPLEX_URL": logplex.url},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        lines = [line.text for line in logplex.lines]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines == ["line"]


def test_a_second_dictconfig_does_not_freeze_in_the_middle_of_a_request():
    """A level that was set just before has the loggers of the HTTP libraries ask for the lock."""
    begun = threading.Event()

    def slow_accept(connection):
        begun.set()
        time.sleep(0.7)
        accept(connection)

    with serving(slow_accept) as server:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"logplex": {"class": "logplex_handler.LogplexHandler", "url": server.url}},
            "loggers": {"test.cold": {"handlers": ["logplex"], "level": "INFO"}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.cold")
        first = logger.handlers[0]
        logger.info("line")
        assert begun.wait(5)
        logging.getLogger("test.other").setLevel(logging.INFO)
        started = time.monotonic()
        logging.config.dictConfig(config)
        took = time.monotonic() - started
        second = logger.handlers[0]
        logger.removeHandler(second)
        second.close()
        assert first.stats().delivered == 1
    assert took < 3


def test_sigterm_delivers_to_one_receiver_while_another_hangs():
    """All handlers are flushed side by side, and what is not delivered is said."""
    over = threading.Event()
    with LogplexReceiver() as logplex, serving(lambda connection: over.wait(10)) as hanging:
        started = time.monotonic()
        done = run(
            logplex.url,
            f"""
            import signal, time
            from logplex_handler import flush_on_sigterm
            hanging = LogplexHandler({hanging.url!r}, shutdown_timeout=1.0)
            logger.addHandler(hanging)
            logger.info("line")
            flush_on_sigterm()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
            """,
            shutdown_timeout=1.0,
        )
        took = time.monotonic() - started
        over.set()
        assert done.returncode == -signal.SIGTERM
        assert [line.text for line in logplex.lines] == ["line"]
    assert done.stderr.count("1 record not delivered") == 1
    assert took < 1.0 + 2.0


def test_a_child_forked_by_a_callback_delivers_on_its_own():
    """It is not the parent's doing any more."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            handler.close()
            logger.removeHandler(handler)
            children = []
            def on_drop(records, cause):
                if children: return
                children.append(os.fork())
                if children[0] == 0:
                    logger.info("child")
                    os._exit(0 if handler.flush() else 9)
            handler = LogplexHandler(flush_interval=0.05, max_buffer_bytes=20_000, on_drop=on_drop)
            handler.setFormatter(logging.Formatter("%(message)s"))
            logger.addHandler(handler)
            logger.info("x" * 30_000)
            import time
            while not children: time.sleep(0.01)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
            """,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        assert "child" in [line.text for line in logplex.lines]


def test_handlers_that_come_and_go_in_a_child_of_multiprocessing_leave_nothing():
    """A closed one is not kept for the child's end."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import multiprocessing
            from multiprocessing import util
            from logplex_handler._process import exits
            def come_and_go(times):
                for number in range(times):
                    one = LogplexHandler()
                    one.handle(logging.makeLogRecord({"msg": "line", "levelno": 20}))
                    one.close()
            def work():
                # The first one leaves the finalizer that all share.
                come_and_go(1)
                before = len(util._finalizer_registry)
                come_and_go(19)
                left = len(util._finalizer_registry) - before
                sys.exit(left + len(exits._end._first) + len(exits._end._last))
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
            sys.exit(child.exitcode)
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(logplex.lines) == 20
