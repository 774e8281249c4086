"""Several processes share a path: forks, kills, and a handler closed during a request."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial

import pytest

from logplex_handler._spool import transactions
from logplex_handler._spool.owner_locks import MAX_OWNER, OwnerLock
from logplex_handler._spool.spool import Spool, SpoolOptions
from tests.buffer.shared import InterruptedLock
from tests.commands import run_program
from tests.logs import balanced, logging_to, logging_to_server, wait_until
from tests.servers import accept, answer, serving
from tests.spool import kills
from tests.spool.shared import DEAD, rows

# Several processes on one path


def test_the_rows_of_a_live_process_are_not_taken_over(spool):
    """Not by another handler of the same process either."""
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, first):
        logger.info("of the first")
        assert wait_until(lambda: spool.exists() and rows(spool))
        with logging_to_server(accept, spool=spool) as (server, _, second):
            assert second.flush(100)
            program = f"""
                from logplex_handler import LogplexHandler
                handler = LogplexHandler({server.url!r}, spool={str(spool)!r})
                print(handler.flush(100), handler.stats().recovered)
            """
            found = run_program("-c", textwrap.dedent(program), env=os.environ)
            assert (found.returncode, found.stdout) == (0, "True 0\n")
            assert server.received == []
        assert first.stats().pending == 1


def test_the_rows_of_another_interpreter_of_the_process_are_not_taken_over(spool):
    """The system's locks do not tell them apart; and what one closes is still locked by another."""
    other = """
        from logplex_handler import LogplexHandler
        handler = LogplexHandler({url!r}, spool={spool!r})
        flushed = handler.flush(100)
        print(flushed, handler.stats().recovered, flush=True)
        handler.close()
    """
    program = """
        import logging, os, subprocess, sys, time, warnings
        warnings.simplefilter("ignore")
        from logplex_handler import LogplexHandler
        from tests.spool.shared import DEAD, rows
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        handler = LogplexHandler(DEAD, spool={spool!r}, shutdown_timeout=0.1)
        logging.getLogger("app").addHandler(handler)
        logging.getLogger("app").warning("of the first")
        while not (os.path.exists({spool!r}) and rows({spool!r})):
            time.sleep(0.01)
        path = "import sys; sys.path[:] = " + repr(sys.path)
        failure = interpreters.run_string(interpreters.create(), path + {other!r})
        subprocess.run([sys.executable, "-c", path + {other!r}], check=True)
        print(failure, handler.stats().pending, flush=True)
        # Before Python 3.13, the end of an interpreter is not what this is about.
        os._exit(0)
    """
    with serving(accept) as server:
        other = "\n" + textwrap.dedent(other).format(url=server.url, spool=str(spool))
        program = textwrap.dedent(program).format(spool=str(spool), other=other)
        found = run_program("-c", program, env=os.environ)
        assert (found.returncode, found.stdout) == (0, "True 0\nTrue 0\nNone 1\n")
        assert server.received == []


@pytest.mark.parametrize("length", [1, 0], ids=["one owner", "without an end"])
def test_locks_of_other_processes_hide_none_of_another_interpreter(spool, length):
    """The system tells of the other process's first, though they are behind."""
    spool.touch()
    lock_file = f"{spool}.lock"
    hold = f"""
        import fcntl, sys
        file = open({lock_file!r}, "wb")
        fcntl.lockf(file, fcntl.LOCK_EX, {length}, {MAX_OWNER})
        print("held", flush=True)
        sys.stdin.read()
    """
    program = f"""
        import fcntl
        file = open({lock_file!r}, "r+b")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)
        except OSError:
            print("locked")
    """
    command = [sys.executable, "-c", textwrap.dedent(hold)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as other, open(lock_file, "ab") as of_interpreter:
        assert other.stdout.readline() == b"held\n"
        fcntl.lockf(of_interpreter, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)
        OwnerLock(str(spool)).release()
        found = run_program("-c", textwrap.dedent(program), env=os.environ)
        assert found.stdout == "locked\n"
    OwnerLock(str(spool)).release()


def _log_in_child(handler, logger, name, number):
    for count in range(number):
        logger.info("%s %d", name, count)
    logging.getLogger().handlers.clear()
    handler.close()


def test_forked_children_share_a_path_with_their_parent(spool):
    """Each process has rows of its own; every line arrives once, in order."""
    context = multiprocessing.get_context("fork")
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("parent -1")
        assert wait_until(spool.exists)
        children = [
            context.Process(target=_log_in_child, args=(handler, logger, name, 2000))
            for name in ("a", "b", "c")
        ]
        for process in children:
            process.start()
            for count in range(100):
                logger.info("parent %d", 100 * children.index(process) + count)
        for process in children:
            process.join(100)
            assert process.exitcode == 0
        assert handler.flush(100)
        found: dict[str, list[int]] = {}
        for text in server.frames():
            name, number = text.decode().split()
            found.setdefault(name, []).append(int(number))
        assert found.pop("parent") == list(range(-1, 300))
        assert found == {name: list(range(2000)) for name in ("a", "b", "c")}
        assert handler.stats().recovered == 0
    assert rows(spool) == []


def test_forks_while_other_threads_write_to_the_spool(spool):
    """No child waits for a lock whose holder did not survive the fork."""
    stop = threading.Event()
    with logging_to_server(accept, spool=spool) as (server, logger, handler):

        def chatter():
            while not stop.is_set():
                logger.info("parent")
                time.sleep(0.002)

        threads = [threading.Thread(target=chatter) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            pid = os.fork()
            if not pid:
                status = 1
                with contextlib.suppress(BaseException):
                    logger.info("child")
                    status = 0 if handler.flush(100) else 2
                os._exit(status)
            _, status = os.waitpid(pid, 0)
            assert status == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert handler.flush(100)
        assert server.frames().count(b"child") == 20
        assert balanced(handler.stats())


def test_a_child_opens_the_same_file_wherever_it_works(spool, monkeypatch):
    """Also where its working directory is gone: a path counts from where the handler was made."""
    monkeypatch.chdir(spool.parent)
    with logging_to_server(accept, spool=spool.name) as (server, logger, handler):
        pid = os.fork()
        if not pid:
            status = 1
            with contextlib.suppress(BaseException):
                os.mkdir("gone")
                os.chdir("gone")
                os.rmdir("../gone")
                logger.info("child")
                status = 0 if handler.flush(100) else 2
            os._exit(status)
        _, status = os.waitpid(pid, 0)
        assert status == 0
        assert server.frames() == [b"child"]
    assert spool.exists()


def written(spool):
    """How many records are in the file."""
    return spool.exists() and sum(records for (records,) in rows(spool, "records"))


def test_a_file_that_is_made_by_another_process_meanwhile_is_a_spool(spool, monkeypatch):
    """Its marks are not read before, and its tables after that."""
    options = SpoolOptions(str(spool), 2**20, 1)
    other = threading.Thread(target=Spool(options).write, args=(None, None, [b"of the other"]))

    class Interrupted(sqlite3.Connection):
        def execute(self, statement, *arguments):
            if statement == "PRAGMA user_version" and other.ident is None:
                other.start()
                # It makes the file, or waits for this connection.
                other.join(0.2)
            return super().execute(statement, *arguments)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
    Spool(options).write(None, None, [b"of the first"])
    other.join(100)
    assert len(rows(spool)) == 2


def test_an_interruption_leaves_no_lock_held(spool):
    """Nothing would be written to disk any more."""
    one = Spool(SpoolOptions(str(spool), 2**20, 1))
    lock = one._lock
    one._lock = interrupted = InterruptedLock()
    for call in (partial(one.write, None, None, [b"x"]), one.close):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert not interrupted._is_owned()
    one._lock = lock


def test_a_transaction_that_never_ended_is_rolled_back(spool):
    """Errors of signal handlers may come so close together. Else, nothing could be written."""
    one = Spool(SpoolOptions(str(spool), 2**20, 1))
    one.write(None, None, [b"one"])
    one._db.execute("BEGIN IMMEDIATE")
    one._db.execute("DELETE FROM chunks")
    one.write(None, None, [b"two"])
    one.close()
    assert [body for (body,) in rows(spool, "body")] == [b"one", b"two"]


def test_many_processes_die_and_one_delivers_it_all(spool):
    """Eight are killed during an outage; no line is lost, and none is mixed up."""
    program = f"""
        import logging, os, signal, sys, time
        from logplex_handler import LogplexHandler
        from logplex_handler._delivery import spool_writer
        from logplex_handler.handler import _pipeline
        pids = []
        for name in range(8):
            if not (pid := os.fork()):
                break
            pids.append(pid)
        else:
            sys.stdin.read()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            sys.exit()
        handler = LogplexHandler({DEAD!r}, spool={str(spool)!r})
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger().addHandler(handler)
        for number in range(500):
            logging.warning("%d %d", name, number)
        time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        # At the end of its input it kills them, and ends.
        assert wait_until(lambda: written(spool) == 4000)
    assert process.returncode == 0
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        assert handler.stats().recovered == 4000
        found: dict[bytes, list[int]] = {}
        for text in server.frames():
            name, _, number = text.partition(b" ")
            found.setdefault(name, []).append(int(number))
        assert found == {str(name).encode(): list(range(500)) for name in range(8)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_process_that_is_killed_loses_the_last_moments_at_most(seed):
    """At random instants, one process after the other; see `tests/spool/kills.py`."""
    findings = kills.run(5, seed)
    assert findings.are_good, findings
    assert findings.logged > 100


def test_a_child_that_was_forked_without_telling_python_does_without(spool, monkeypatch, capsys):
    """SQLite would take the parent's locks for its own."""
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, _):
        logger.info("hello")
        assert wait_until(lambda: bool(transactions._opened))
        # As it is seen by a child that has inherited it.
        path = os.path.realpath(spool)
        monkeypatch.setitem(transactions._opened, -1, (path, os.getppid(), None))
        with logging_to_server(accept, spool=spool) as (server, other, handler):
            other.info("hello")
            assert handler.flush(100)
            assert server.frames() == [b"hello"]
    assert "open in the parent at the fork" in capsys.readouterr().err


def test_a_handler_that_is_closed_while_it_sends_leaves_the_rest_when_that_is_over(spool):
    """The next handler may be of the same process, as when logging is reconfigured in an outage."""
    answers = threading.Event()

    def slowly(connection):
        answers.wait(100)
        answer(503)(connection)

    with serving(slowly) as slow, serving(accept) as server:
        with logging_to(slow.url, spool=spool, shutdown_timeout=0.1, timeout=100) as (logger, _):
            logger.info("left")
            assert wait_until(lambda: slow.received)
        with logging_to(server.url, spool=spool) as (logger, handler):
            logger.info("new")
            assert handler.flush(100)
            assert handler.stats().recovered == 0
            answers.set()
            assert wait_until(lambda: handler.stats().delivered == 2)
            assert server.frames() == [b"new", b"left"]
            assert server.received[1].frame_id == slow.received[0].frame_id
    assert rows(spool) == []
