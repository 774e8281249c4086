"""Source text of programs with a handler, and helpers for their tests."""

from __future__ import annotations

from pathlib import Path

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

# A WSGI application that logs each request, and whose background thread logs all the time.
APP = """
import logging, os, threading, time
from logplex_handler import LogplexHandler

handler = LogplexHandler(flush_interval=30)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.addHandler(handler)
log.info("loaded %d", os.getpid())

def background():
    while True:
        log.info("background %d %f", os.getpid(), time.time())
        time.sleep(0.001)

threading.Thread(target=background, daemon=True).start()

def app(environ, start_response):
    log.info("request %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

# A first line by which the threads of a program are greenlets.
PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all(); from gevent import spawn",
    "eventlet": "import eventlet; eventlet.monkey_patch(); from eventlet import spawn",
}


def setting_up(flush_interval=60):
    """A program's first lines: a logger `log` with a handler for `LOGPLEX_URL`."""
    return SETTING_UP.replace("FLUSH_INTERVAL", str(flush_interval))


def texts(logplex):
    return [line.text for line in logplex.lines]


def children(pid):
    """The ids of a process's children, as Linux lists them."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
