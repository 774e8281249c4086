"""After a fork, parent and child each deliver their own records."""

import os
import subprocess
import sys

import pytest

from logplex_handler._process import forks
from logplex_handler.testing import LogplexReceiver
from tests.process.shared import PREAMBLE
from tests.process.shared import run_forked as run


def test_forked_children_deliver_what_is_theirs_while_threads_log():
    """Every line of parent and children arrives once; the children's counts begin at zero."""
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
                    time.sleep(0.001)
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
            timeout=100,
            check=False,
        )
        lines = [line.text for line in logplex.lines]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines == ["line"]


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


@pytest.mark.parametrize(
    ("ends", "counts", "lines"),
    [
        ('return "child"', (1, 1, {}), ["child", "parent"]),
        ("raise ValueError", (1, 0, {"format_error": 1}), ["parent"]),
    ],
)
def test_a_child_forked_by_a_value_has_a_record_of_its_own(ends, counts, lines):
    """The queue that the record was for is its parent's, which delivers its own."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            f"""
            class Forking:
                def __str__(self):
                    self.pid = os.fork()
                    if not self.pid:
                        {ends}
                    return "parent"
            logging.raiseExceptions = False
            value = Forking()
            logger.info("%s", value)
            if value.pid == 0:
                is_flushed, stats = handler.flush(), handler.stats()
                counts = stats.accepted, stats.delivered, dict(stats.dropped)
                os._exit(0 if is_flushed and counts == {counts} else 9)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(value.pid, 0)[1]))
            """,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        # The child's report of its drop is a line, too.
        delivered = [line.text for line in logplex.lines if "dropped" not in line.text]
        assert sorted(delivered) == lines
