"""Servers and event loops that change what processes, threads and sockets are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.logs import wait_until
from tests.servers import serving

SETTING_UP = """
import logging, os, sys, threading, time
from logplex_handler import LogplexHandler, Metrics
handler = LogplexHandler(flush_interval=FLUSH_INTERVAL)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.propagate = False
log.addHandler(handler)
"""


def setting_up(flush_interval=60):
    """A program's first lines: a logger `log` with a handler for `LOGPLEX_URL`."""
    return SETTING_UP.replace("FLUSH_INTERVAL", str(flush_interval))


@pytest.fixture
def run(tmp_path):
    """Runs a program of that text to its end."""

    def run(url, *parts, timeout=25):
        path = tmp_path / "program.py"
        path.write_text("\n".join(textwrap.dedent(part) for part in parts))
        done = subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "LOGPLEX_URL": url},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def texts(logplex):
    return [line.text for line in logplex.lines]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_pool_delivers_every_line_once(run, method):
    """Of `concurrent.futures`, however it makes its processes, with nothing called at the end."""
    with LogplexReceiver() as logplex:
        run(
            logplex.url,
            setting_up(),
            f"""
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            def work(number):
                log.info("job %d", number)

            if __name__ == "__main__":
                log.info("parent")
                with ProcessPoolExecutor(4, get_context("{method}")) as pool:
                    list(pool.map(work, range(60)))
            """,
        )
        lines = texts(logplex)
    assert sorted(lines) == sorted(["parent", *(f"job {number}" for number in range(60))])


@pytest.mark.parametrize("per_child", [7, 1000], ids=["children that are replaced", "that stay"])
def test_celery_delivers_the_lines_of_its_tasks(tmp_path, per_child):
    """With prefork, as its children come and go, up to a warm shutdown by SIGTERM."""
    (tmp_path / "shop.py").write_text(
        setting_up()
        + textwrap.dedent(f"""
        import celery
        folder = {str(tmp_path)!r}
        options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)
        app = celery.Celery("shop", broker="filesystem://")
        app.conf.update(broker_transport_options=options, task_ignore_result=True)

        metrics = Metrics(log, interval=3600)

        @app.task
        def work(number):
            log.info("task %d", number)
            metrics.count("tasks")
        """)
    )
    with LogplexReceiver() as logplex:
        environment = {**os.environ, "LOGPLEX_URL": logplex.url}
        environment["CELERY_BROKER_URL"] = "filesystem://"
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "prefork"),
                *("--concurrency", "3", "--max-tasks-per-child", str(per_child)),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                *("--loglevel", "INFO"),
            ],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            send = "import shop; [shop.work.delay(number) for number in range(40)]"
            subprocess.run(
                [sys.executable, "-c", send], cwd=tmp_path, env=environment, check=True, timeout=20
            )
            # They wait for the flush interval, or go as a child ends; so this sees the broker's.
            assert wait_until(lambda: not list(tmp_path.glob("*.msg")), 20)
        finally:
            worker.send_signal(signal.SIGTERM)
            said, _ = worker.communicate(timeout=20)
        assert worker.returncode == 0, said
        assert "not delivered" not in said
        lines = texts(logplex)
    counts = [int(line.partition("count#tasks=")[2]) for line in lines if "count#" in line]
    assert sum(counts) == 40
    assert sorted(line for line in lines if "count#" not in line) == sorted(
        f"task {number}" for number in range(40)
    )


# Where threads are greenlets.

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all(); from gevent import spawn",
    "eventlet": "import eventlet; eventlet.monkey_patch(); from eventlet import spawn",
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("library", PATCHES)
def test_greenlets_deliver_while_others_run(run, library):
    """Beside a request that takes long the other greenlets go on, and nothing is lost."""
    slow = 0.5

    def answer(connection):
        time.sleep(slow)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(answer) as server:
        done = run(
            server.url,
            PATCHES[library],
            setting_up(0.01),
            """
            longest = [0.0]
            def work(name):
                for number in range(100):
                    log.info("%s %d", name, number)
                    slept_at = time.monotonic()
                    time.sleep(0.005)
                    longest[0] = max(longest[0], time.monotonic() - slept_at)
            greenlets = [threading.Thread(target=work, args=(n,)) for n in range(5)]
            for greenlet in greenlets: greenlet.start()
            for greenlet in greenlets: greenlet.join()
            assert handler.flush(10)
            print(longest[0])
            """,
        )
        lines = server.frames()
    # Each of the requests would have held them up for so long.
    assert float(done.stdout) < slow
    for name in range(5):
        own = [line for line in lines if line.startswith(b"%d " % name)]
        assert own == [b"%d %d" % (name, number) for number in range(100)]


@pytest.mark.parametrize("library", PATCHES)
def test_a_greenlet_that_lives_on_in_a_forked_child_delivers_nothing_there(run, library):
    """It would send again what waits in the parent, which does so itself."""
    with LogplexReceiver() as logplex:
        run(
            logplex.url,
            PATCHES[library],
            setting_up(0.3),
            """
            log.info("parent")
            time.sleep(0.05)
            pid = os.fork()
            if pid == 0:
                log.info("child")
                time.sleep(1)
                handler.close()
                os._exit(0)
            time.sleep(1.5)
            assert os.waitpid(pid, 0)[1] == 0
            """,
        )
        lines = texts(logplex)
    assert sorted(lines) == ["child", "parent"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_event_loop_does_not_wait_for_the_network(run, loop):
    """Its tasks log beside a receiver that does not answer; then one that does has every line."""
    body = f"""
        import asyncio, {loop}
        longest = 0.0
        async def work(name):
            global longest
            for number in range(50):
                called_at = time.monotonic()
                log.info("%d %d", name, number)
                longest = max(longest, time.monotonic() - called_at)
                await asyncio.sleep(0.002)
        async def main():
            await asyncio.gather(*(work(name) for name in range(8)))
        {loop}.run(main())
        print(longest)
    """
    with serving(lambda _: time.sleep(3)) as server:
        done = run(server.url, setting_up(0.01).replace("01)", "01, shutdown_timeout=0.1)"), body)
    assert float(done.stdout) < 1
    with LogplexReceiver() as logplex:
        run(logplex.url, setting_up(0.01), body)
        lines = texts(logplex)
    assert sorted(lines) == sorted(f"{name} {number}" for name in range(8) for number in range(50))


def test_a_subinterpreter_delivers_like_any_other(run):
    """Where it may have no thread that outlives its main one, as of Python 3.12, at `flush`."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import os, sys, warnings
            warnings.simplefilter("ignore")
            try:
                import _interpreters as interpreters
            except ImportError:
                import _xxsubinterpreters as interpreters
            """,
            f"program = {setting_up()!r}",
            """
            program += '''
            for number in range(50):
                log.info("line %d", number)
            assert handler.flush()
            handler.close()
            log.info("too late")
            assert handler.stats().dropped == {"closed": 1}
            '''.replace("\\n            ", "\\n")
            failure = interpreters.run_string(
                interpreters.create(), f"import sys; sys.path[:] = {sys.path}" + program
            )
            sys.stdout.flush()
            # Ending several interpreters is not what this is about.
            os._exit(0 if failure is None else 1)
            """,
        )
        lines = texts(logplex)
    assert lines == [f"line {number}" for number in range(50)]
    assert "internal error" not in done.stderr
