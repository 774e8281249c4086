"""Applications whose processes share one spool and are killed during an outage."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import requests

from tests.logs import logging_to, wait_until
from tests.runtimes.shared import children
from tests.servers import accept, answer, reset, texts
from tests.spool import kills
from tests.spool.shared import rows

REFUSE = answer(503)

# Every line has its process, its thread and its number there; a note says that its call was over.
SHOP = """
import collections, itertools, logging, os, threading, time
from logplex_handler import LogplexHandler

handler = LogplexHandler(spool="spool.db")
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.propagate = False
log.addHandler(handler)
notes = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
numbers = collections.defaultdict(itertools.count)

def say():
    thread = threading.get_ident()
    line = f"{os.getpid()} {thread} {next(numbers[os.getpid(), thread])}"
    log.info(line)
    os.write(notes, f"{line}\\n".encode())

def background():
    while True:
        say()
        time.sleep(0.005)

def chatter():
    threading.Thread(target=background, daemon=True).start()

def app(environ, start_response):
    for _ in range(10):
        say()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Story:
    """A receiver, the requests it got, and the processes that were killed.

    How soon a line is on disk depends on how busy the machine is, so each kill waits until those
    logged before it are; `kills` is about that time.
    """

    def __init__(self, folder, server):
        self.folder = folder
        self.url = server.url
        self._server = server
        self._step = accept
        self._received = []
        self._killed = set()
        self._safe = set()

    def step(self, connection):
        """Answer one request as it is the weather."""
        step = self._step
        if step is not REFUSE:
            self._received.append(self._server.current.request)
        step(connection)

    def weather(self, step):
        self._step = step

    def lines(self, *pids):
        """The lines logged so far by all processes, or by some."""
        lines = (self.folder / "notes").read_text().splitlines()
        return {line for line in lines if not pids or int(line.split()[0]) in pids}

    def wait_for_lines(self):
        """Until some more are logged."""
        assert wait_until((self.folder / "notes").exists)
        before = len(self.lines())
        assert wait_until(lambda: len(self.lines()) >= before + 200)

    def _kept(self):
        bodies = [body for (body,) in rows(self.folder / "spool.db", "body")]
        bodies += [request.body for request in self._received]
        return {text.decode() for body in bodies for text in texts(body)}

    def kill(self, *pids):
        """As the system does when memory is out."""
        # A parent may not have noticed yet that one was killed before.
        alive = set(pids) - self._killed
        lines = self.lines(*alive) if alive else set()
        assert wait_until(lambda: lines <= self._kept())
        for pid in alive:
            # It may have died with its parent.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._killed |= alive
        self._safe |= lines

    def _takes_over_all(self):
        spool = self.folder / "spool.db"
        with logging_to(self.url, spool=spool) as (_, handler):
            assert handler.flush(100)
        return not rows(spool)

    def check(self):
        """Whatever is left is delivered now; nothing is lost, doubled or out of order."""
        self.weather(accept)
        # It takes a moment until the system has let go of what they held, and a handler looks for
        # it when it begins.
        assert wait_until(self._takes_over_all)
        late = self.lines(*self._killed) - self._safe
        logged = dict.fromkeys(self.lines(), 0.0)
        findings = kills.compared(logged, late, self._received)
        assert findings.are_good, findings
        assert findings.logged > 100
        assert self._safe


@contextmanager
def running(story, *command, **environment):
    """A program that uses the shop, and must end properly at SIGTERM."""
    with (story.folder / "said").open("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=story.folder,
            env={**os.environ, "LOGPLEX_URL": story.url, **environment},
            stdout=said,
            stderr=said,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(100)
            text = (story.folder / "said").read_text()
    assert process.returncode in (0, -signal.SIGTERM, -signal.SIGKILL), text
    assert "internal error" not in text
    assert "not delivered" not in text


def _ask(url):
    """Ask until there is an answer: the worker that was to give it may have been killed."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return requests.get(url, timeout=10)
        except (requests.ConnectionError, requests.Timeout):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def storm(story, server, url):
    """Some work, some weather, and some dead workers."""
    for step in (REFUSE, reset, accept):
        for _ in range(5):
            _ask(url)
        story.weather(step)
        for _ in range(5):
            _ask(url)
        # The weather lasts for a moment before workers die in it.
        time.sleep(0.3)
        story.kill(*sorted(map(int, children(server.pid)))[:2])
