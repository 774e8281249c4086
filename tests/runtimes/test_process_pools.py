"""Workers of `concurrent.futures` and Celery deliver each line once."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.logs import wait_until
from tests.pace import far_interval
from tests.runtimes.shared import SHOWS_STACKS, Group, setting_up, texts


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
                with ProcessPoolExecutor(2, get_context("{method}")) as pool:
                    list(pool.map(work, range(60)))
            """,
        )
        lines = texts(logplex)
    assert sorted(lines) == sorted(["parent", *(f"job {number}" for number in range(60))])


@pytest.mark.parametrize("per_child", [7, 1000], ids=["children that are replaced", "that stay"])
def test_celery_delivers_the_lines_of_its_tasks(tmp_path, per_child):
    """With prefork, as its children come and go, up to a warm shutdown by SIGTERM.

    For a broker without an event loop, as this one, a thread of the pool replaces children. At a
    warm shutdown that thread ends first, and then the kernel kills its children, as Celery tells it
    to (`set_pdeathsig`). For other brokers, the main thread replaces children.
    """
    (tmp_path / "shop.py").write_text(
        setting_up()
        + textwrap.dedent(f"""
        {SHOWS_STACKS}
        import celery, celery.signals
        folder = {str(tmp_path)!r}
        options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)
        app = celery.Celery("shop", broker="filesystem://")
        app.conf.update(broker_transport_options=options, task_ignore_result=True)
        celery.platforms.set_pdeathsig = lambda signal: None

        metrics = Metrics(log, interval={far_interval()})

        @app.task
        def work(number):
            log.info("task %d", number)
            metrics.count("tasks")
            open(os.path.join(folder, "ran-%d" % number), "w").close()

        @celery.signals.worker_ready.connect
        def send(**_):
            for number in range(40):
                work.delay(number)
        """)
    )
    with LogplexReceiver() as logplex:
        environment = {**os.environ, "LOGPLEX_URL": logplex.url}
        environment["CELERY_BROKER_URL"] = "filesystem://"
        command = [
            *(sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "prefork"),
            *("--concurrency", "3", "--max-tasks-per-child", str(per_child)),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            *("--loglevel", "INFO"),
        ]
        with Group(command, tmp_path / "output", cwd=tmp_path, env=environment) as worker:
            # The lines wait for the flush interval, or leave as a child ends. A warm shutdown does
            # not run the tasks that its children have not begun, if all of these are just replaced.
            assert wait_until(lambda: len(list(tmp_path.glob("ran-*"))) == 40)
            status, said = worker.end()
        assert status == 0, said
        assert "not delivered" not in said
        lines = texts(logplex)
    counts = [int(line.partition("count#tasks=")[2]) for line in lines if "count#" in line]
    assert sum(counts) == 40, (sorted(lines), said)
    assert sorted(line for line in lines if "count#" not in line) == sorted(
        f"task {number}" for number in range(40)
    )
