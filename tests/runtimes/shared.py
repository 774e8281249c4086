"""Source text of programs with a handler, and helpers for their tests."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

SETTING_UP = """
import logging, os, sys, threading, time
from logplex_handler import LogplexHandler, Metrics
handler = LogplexHandler(**OPTIONS)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.propagate = False
log.addHandler(handler)
"""

# A WSGI application that logs each request, and whose background thread logs all the time.
APP = """
import logging, os, threading, time
from logplex_handler import LogplexHandler

handler = LogplexHandler(flush_interval=30, shutdown_timeout=50)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.addHandler(handler)
log.info("loaded %d", os.getpid())

def background():
    while True:
        log.info("background %d %f", os.getpid(), time.time())
        time.sleep(0.003)

threading.Thread(target=background, daemon=True).start()

def app(environ, start_response):
    log.info("request %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

# gevent looks for plugins in all installed packages, again for each module that it patches: that
# takes longer than all else of a program's start.
WITHOUT_PLUGINS = (
    "import gevent.events; gevent.events.notify_and_call_entry_points = gevent.events.notify\n"
)

# The configuration of a gunicorn whose workers need not import the HTTP libraries, each of them
# again, except where these are patched first. The application and the package they do import. What
# the arbiter has is not looked at again by each worker that ends.
_GUNICORN = """
import gc, requests
def pre_fork(server, worker):
    gc.freeze()
"""


def gunicorn_conf(worker_class):
    """A gunicorn.conf.py with which workers of this class start and end at less cost."""
    return WITHOUT_PLUGINS if worker_class == "gevent" else _GUNICORN


# A line of a program, so that each of its processes says where its threads are if it does not end.
SHOWS_STACKS = "import faulthandler, signal; faulthandler.register(signal.SIGUSR2)"


class Group:
    """A process and those that descend from it; what they say is in a file.

    Not in a pipe, which would have to be read meanwhile. None of them outlives the test.
    """

    def __init__(self, command, output, **options):
        self._output = output
        self._ended, theirs = os.pipe()
        with output.open("w") as file:
            self.process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[theirs],
                **options,
            )
        os.close(theirs)

    def __enter__(self):
        return self

    def end(self, seconds=100):
        """End the process by SIGTERM; its status and what was said, after all have ended."""
        self.process.send_signal(signal.SIGTERM)
        # The other end is inherited by each of them.
        if not select.select([self._ended], [], [], seconds)[0]:
            os.killpg(self.process.pid, signal.SIGUSR2)
            # Nothing says when the signal handlers have said it.
            time.sleep(1)
            raise AssertionError(f"has not ended: {self._output.read_text()}")
        return self.process.wait(seconds), self._output.read_text()

    def __exit__(self, *_):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(100)
        os.close(self._ended)


# First lines by which the threads of a program are greenlets.
PATCHES = {
    "gevent": f"{WITHOUT_PLUGINS}from gevent import monkey; monkey.patch_all(); "
    "from gevent import spawn",
    "eventlet": "import eventlet; eventlet.monkey_patch(); from eventlet import spawn",
}


def setting_up(flush_interval=60, **options):
    """A program's first lines: a logger `log` with a handler for `LOGPLEX_URL`.

    No load makes a delivery at the program's end take as long as it may.
    """
    options = {"flush_interval": flush_interval, "shutdown_timeout": 60, **options}
    return SETTING_UP.replace("OPTIONS", repr(options))


def texts(logplex):
    return [line.text for line in logplex.lines]


def children(pid):
    """The ids of a process's children, as Linux lists them."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
