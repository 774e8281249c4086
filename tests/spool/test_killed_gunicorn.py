"""gunicorn workers are killed; the remaining workers deliver their lines."""

from __future__ import annotations

import sys

import pytest

from tests.runtimes.shared import gunicorn_conf
from tests.servers import free_port
from tests.spool.killed import running, storm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


@pytest.mark.parametrize("arguments", ["sync", "gthread --preload", "gevent", "gevent --preload"])
def test_workers_of_gunicorn_that_are_killed(story, arguments):
    """Other workers deliver their lines while they serve."""
    conf = gunicorn_conf(arguments.split()[0])
    (story.folder / "gunicorn.conf.py").write_text(conf)
    port = free_port()
    with running(
        story,
        *(
            sys.executable,
            "-m",
            "gunicorn",
            "shop:app",
            "--bind",
            f"127.0.0.1:{port}",
            "--workers",
            "3",
        ),
        *("--threads", "2", "--graceful-timeout", "8", "--worker-class", *arguments.split()),
    ) as server:
        storm(story, server, f"http://127.0.0.1:{port}")
    story.check()
