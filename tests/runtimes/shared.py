"""A program with a handler, in an interpreter of its own."""

from __future__ import annotations

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
