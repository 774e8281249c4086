"""Children of multiprocessing and billiard deliver their records at exit."""

import logging
import logging.config
import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.commands import run_program
from tests.logs import logging_to_receiver
from tests.pace import far_interval
from tests.process.shared import run_forked
from tests.servers import accept, serving


def _worker(number):
    logger = logging.getLogger("test.workers")
    for line in range(20):
        logger.info("worker %d line %d", number, line)
    logger.handlers[0].flush()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_multiprocessing_workers_deliver_their_lines():
    """Forked workers log through the handler of their parent's configuration."""
    with logging_to_receiver() as (logplex, _, handler):
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
            process.join(100)
        assert [process.exitcode for process in processes] == [0] * 8
        logger.removeHandler(handler)
        assert handler.flush()
        expected = {f"worker {n} line {line}" for n in range(8) for line in range(20)} | {"parent"}
        assert {line.text for line in logplex.lines} == expected
        assert len(logplex.lines) == len(expected)


# A spawned child is an interpreter of its own, which takes long to start.
@pytest.mark.parametrize(
    ("method", "children"),
    [("fork", 8), ("spawn", 2), ("forkserver", 8)],
    ids=["fork", "spawn", "forkserver"],
)
def test_children_of_multiprocessing_deliver_without_being_told(method, children, tmp_path):
    """They run no exit functions, or not Python's own; every line arrives all the same."""
    (tmp_path / "work.py").write_text(
        textwrap.dedent(
            f"""
            import logging, multiprocessing, os
            from logplex_handler import LogplexHandler

            def configure():
                handler = LogplexHandler(flush_interval=60, timeout=60, shutdown_timeout=60)
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
                workers = [context.Process(target=work, args=(n,)) for n in range({children})]
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
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.text for line in logplex.lines]
    assert sorted(lines) == sorted(
        ["parent", *(f"worker {n} line {line}" for n in range(children) for line in range(20))]
    )


def test_children_of_billiard_deliver_without_being_told():
    """Celery's fork of multiprocessing has finalizers of its own."""
    with LogplexReceiver() as logplex:
        done = run_forked(
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


def _lines_of_a_child(work):
    """The lines of a forked child whose function is `work`, which is a program's text."""
    head = """
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from logplex_handler import Metrics
metrics = Metrics(logger, interval=80_000)

def last():
    # It runs on while the process is said to be ending.
    threading.main_thread().join()
    metrics.count("last")
    logger.info("last")
"""
    tail = """
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
sys.exit(child.exitcode)
"""
    with LogplexReceiver() as logplex:
        done = run_forked(logplex.url, head + textwrap.dedent(work) + tail)
        assert (done.returncode, done.stderr) == (0, "")
        return sorted(line.text for line in logplex.lines)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_of_multiprocessing_delivers_what_its_threads_log_at_last():
    """They may outlive its function, and the process waits for them."""
    lines = _lines_of_a_child(
        """
        def work():
            logger.info("first")
            pool = ThreadPoolExecutor(1)
            pool.submit(logger.info, "pool")
            threading.Thread(target=last).start()
        """
    )
    assert lines == ["count#last=1", "first", "last", "pool"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_delivers_though_only_a_thread_logs_that_outlives_its_function():
    """Before Python 3.13, the library has called its finalizers by then."""
    lines = _lines_of_a_child(
        """
        def later(thread):
            thread.join()
            logger.info("later")

        def work():
            thread = threading.Thread(target=last)
            thread.start()
            threading.Thread(target=later, args=(thread,)).start()
        """
    )
    assert lines == ["count#last=1", "last", "later"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_that_has_no_descriptor_left_delivers_at_its_end():
    """As its first record comes; the signals of such a child are not watched."""
    with LogplexReceiver() as logplex:
        done = run_forked(
            logplex.url,
            """
            import multiprocessing, resource

            def work():
                resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
                logger.info("one")
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                logger.info("two")

            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
            sys.exit(child.exitcode)
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.text for line in logplex.lines]
    assert lines == ["one", "two"]


def test_handlers_that_come_and_go_in_a_child_of_multiprocessing_leave_nothing():
    """A closed one is not kept for the child's end."""
    with LogplexReceiver() as logplex:
        done = run_forked(
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
                sys.exit(left + sum(map(len, exits._exit_functions._functions[os.getpid()])))
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
            sys.exit(child.exitcode)
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(logplex.lines) == 20


POOL = """
import logging, multiprocessing, os, signal, sys, time
from logplex_handler import LogplexHandler, Metrics

logger = logging.getLogger("app")

def configure():
    if not logger.handlers:
        handler = LogplexHandler(
            flush_interval=60, timeout=60, shutdown_timeout=60, procid=f"p{os.getpid()}"
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        global metrics
        metrics = Metrics(logger, interval=INTERVAL)

def work(number):
    configure()
    logger.info("job %d", number)
    metrics.count("jobs")

if __name__ == "__main__":
    configure()
    logger.info("parent")
    context = multiprocessing.get_context(sys.argv[1])
"""


def write_pool(tmp_path, end):
    """A program with a pool, whose last lines are the given ones."""
    program = (
        f"INTERVAL = {far_interval()}\n"
        + textwrap.dedent(POOL)
        + textwrap.indent(textwrap.dedent(end), "    ")
    )
    (tmp_path / "work.py").write_text(program)
    return tmp_path / "work.py"


def run_pool(tmp_path, url, method, end):
    """Run it in an interpreter of its own."""
    write_pool(tmp_path, end)
    return subprocess.run(
        [sys.executable, "-W", "error", "work.py", method],
        cwd=tmp_path,
        env={**os.environ, "LOGPLEX_URL": url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def run_pool_of_forks(tmp_path, url, end):
    """Run it in a fork."""
    environ = {**os.environ, "LOGPLEX_URL": url}
    return run_program(write_pool(tmp_path, end), "fork", env=environ, cwd=tmp_path)


METHODS = [one for one in ("fork", "spawn", "forkserver") if sys.platform != "win32"]


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_a_pool_that_sigterm_ends_deliver_their_lines(method, tmp_path):
    """`with Pool()` ends its workers so, also when they have done everything."""
    with LogplexReceiver() as logplex:
        done = run_pool(
            tmp_path,
            logplex.url,
            method,
            """
            with context.Pool(2) as pool:
                pool.map(work, range(100))
                workers = list(pool._pool)
            sys.exit(any(worker.exitcode not in (0, -signal.SIGTERM) for worker in workers))
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        texts = [line.text for line in logplex.lines]
    metrics = [text for text in texts if text.startswith("count#jobs=")]
    assert sorted(set(texts) - set(metrics)) == sorted(
        ["parent", *(f"job {number}" for number in range(100))]
    )
    assert sum(int(text.partition("=")[2]) for text in metrics) == 100
    assert len(texts) == 101 + len(metrics)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
@pytest.mark.parametrize(
    ("before", "status", "expected"),
    [
        ("pass", "-signal.SIGTERM", ["job 0", "parent"]),
        ("signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))", "7", ["parent"]),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "0", ["job 0", "parent"]),
    ],
    ids=["default", "handled", "ignored"],
)
def test_sigterm_of_a_child_is_left_to_the_application(before, status, expected, tmp_path):
    """It takes effect as if there were no handler, after the delivery if it would end the child."""
    with LogplexReceiver() as logplex:
        done = run_pool_of_forks(
            tmp_path,
            logplex.url,
            f"""
            def child(end):
                {before}
                logger.info("job 0")
                end.send("ready")
                end.poll(1 if {status} == 0 else 20)
            ours, its = context.Pipe()
            one = context.Process(target=child, args=(its,))
            one.start()
            ours.recv()
            one.terminate()
            one.join()
            sys.exit(one.exitcode != {status})
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(line.text for line in logplex.lines) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_sigterm_does_not_cut_off_a_child_that_is_ending_by_itself(tmp_path):
    """A pool sends it to children that may be delivering their last lines already."""
    with serving(accept) as server:
        done = run_pool_of_forks(
            tmp_path,
            server.url,
            """
            def child():
                logger.info("job 0")
                from logplex_handler._delivery.flush import Flusher
                flush_last = Flusher.flush_last
                def closing(self, seconds):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return flush_last(self, seconds)
                Flusher.flush_last = closing
            one = context.Process(target=child)
            one.start()
            one.join()
            sys.exit(one.exitcode)
            """,
        )
        assert done.returncode == 0
        assert b"job 0" in b"".join(server.frames())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
@pytest.mark.parametrize(
    ("before", "lines"),
    [("pass", ["job 0"]), ("flush_on_sigterm()", ["job 0"]), ("flush_on_sigterm()", [])],
    ids=["default", "flush", "silent"],
)
def test_sigterm_ends_a_child_although_nothing_wakes_its_main_thread(before, lines, tmp_path):
    """It may come just before the wait for a task, or to another thread, which is the same."""
    with LogplexReceiver() as logplex:
        done = run_pool_of_forks(
            tmp_path,
            logplex.url,
            f"""
            import threading
            from logplex_handler import flush_on_sigterm
            {before}
            never = context.Lock()
            never.acquire()
            def wait_for_task():
                never.acquire()
            def child():
                for line in {lines}: logger.info(line)
                main = threading.get_ident()
                def take_sigterm():
                    while sys._current_frames()[main].f_code.co_name != "wait_for_task":
                        time.sleep(0.01)
                    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
                    time.sleep(60)
                    os._exit(1)
                threading.Thread(target=take_sigterm, daemon=True).start()
                wait_for_task()
            one = context.Process(target=child)
            one.start()
            one.join()
            sys.exit(one.exitcode != -signal.SIGTERM)
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(line.text for line in logplex.lines) == [*lines, "parent"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_reports_its_signals_neither_to_its_parent_nor_in_place_of_another_library(
    tmp_path,
):
    with LogplexReceiver() as logplex:
        done = run_pool_of_forks(
            tmp_path,
            logplex.url,
            """
            import socket, warnings
            warnings.simplefilter("ignore")
            def child():
                logger.info("job 0")
                grandchild = os.fork()
                if not grandchild:
                    os._exit(signal.set_wakeup_fd(-1) != -1)
                in_grandchild = os.waitpid(grandchild, 0)[1]
                sys.exit(in_grandchild or signal.set_wakeup_fd(-1) == -1)
            def child_with_another():
                _, written = socket.socketpair()
                written.setblocking(False)
                signal.set_wakeup_fd(written.fileno())
                logger.info("job 1")
                sys.exit(signal.set_wakeup_fd(-1) != written.fileno())
            children = [context.Process(target=one) for one in (child, child_with_another)]
            for one in children: one.start()
            for one in children: one.join()
            sys.exit(max(one.exitcode for one in children))
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(line.text for line in logplex.lines) == ["job 0", "job 1", "parent"]
