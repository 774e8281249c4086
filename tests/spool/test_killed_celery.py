"""Celery workers are killed with their parent; the next workers deliver their lines."""

from __future__ import annotations

import sys

import pytest

from tests.logs import wait_until
from tests.runtimes.shared import children
from tests.servers import accept
from tests.spool.killed import REFUSE, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


def test_workers_of_celery_that_are_killed(story):
    """With their parent; the next workers deliver their lines and end properly."""
    folder = str(story.folder)
    (story.folder / "tasks.py").write_text(
        "import celery, celery.signals, time, shop\n"
        f"folder = {folder!r}\n"
        "options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)\n"
        "app = celery.Celery('tasks', broker='filesystem://')\n"
        "app.conf.update(broker_transport_options=options, task_ignore_result=True)\n"
        "@app.task\n"
        "def work(number):\n"
        "    for _ in range(10): shop.say()\n"
        "@celery.signals.worker_ready.connect\n"
        "def send(**_):\n"
        "    for number in range(30): work.delay(number)\n"
        "    open('sent', 'w').close()\n"
    )
    sent = story.folder / "sent"
    for step in (REFUSE, accept):
        story.weather(step)
        with running(
            story,
            *(
                sys.executable,
                "-m",
                "celery",
                "-A",
                "tasks",
                "worker",
                "--pool",
                "prefork",
                "--concurrency",
                "3",
            ),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            CELERY_BROKER_URL="filesystem://",
        ) as worker:
            assert wait_until(sent.exists)
            sent.unlink()
            assert wait_until(lambda: not list(story.folder.glob("*.msg")))
            if step is not accept:
                # Celery itself may wait for ever for one that has died alone.
                story.kill(worker.pid, *map(int, children(worker.pid)))
    story.check()
