"""WorkerPool of real servers share one spool, and are killed while the receiver is out of order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.logs import logging_to, wait_until
from tests.runtimes.shared import PATCHES
from tests.runtimes.test_gunicorn import _children
from tests.servers import accept, answer, reset, serving, texts
from tests.spool import kills

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")

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
        time.sleep(0.003)

def chatter():
    threading.Thread(target=background, daemon=True).start()

def app(environ, start_response):
    for _ in range(10):
        say()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Story:
    """A receiver, what it was sent, and which processes were killed.

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
        """What all processes have logged so far, or some of them."""
        lines = (self.folder / "notes").read_text().splitlines()
        return {line for line in lines if not pids or int(line.split()[0]) in pids}

    def wait_for_lines(self):
        """Until some more are logged."""
        assert wait_until((self.folder / "notes").exists, 30)
        before = len(self.lines())
        assert wait_until(lambda: len(self.lines()) >= before + 200, 30)

    def _kept(self):
        with contextlib.closing(sqlite3.connect(self.folder / "spool.db")) as db:
            bodies = [body for (body,) in db.execute("SELECT body FROM bodies")]
        bodies += [request.body for request in self._received]
        return {text.decode() for body in bodies for text in texts(body)}

    def kill(self, *pids):
        """As the system does when memory is out."""
        lines = self.lines(*pids)
        assert wait_until(lambda: lines <= self._kept(), 10)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self._killed |= set(pids)
        self._safe |= lines

    def _takes_over_all(self):
        spool = self.folder / "spool.db"
        with logging_to(self.url, spool=spool) as (_, handler):
            assert handler.flush(10)
        with contextlib.closing(sqlite3.connect(spool)) as db:
            return not db.execute("SELECT * FROM bodies").fetchall()

    def check(self):
        """Whatever is left is delivered now; nothing is lost, doubled or out of order."""
        self.weather(accept)
        # It takes a moment until the system has let go of what they held, and a handler looks for
        # it when it begins.
        assert wait_until(self._takes_over_all, 10)
        late = self.lines(*self._killed) - self._safe
        logged = dict.fromkeys(self.lines(), 0.0)
        findings = kills.compared(logged, late, self._received)
        assert findings.are_good, findings
        assert findings.logged > 100
        assert self._safe


def _lives(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


REFUSE = answer(503)


@pytest.fixture
def story(tmp_path):
    """In a folder of its own, with the shop."""
    (tmp_path / "shop.py").write_text(SHOP)
    with serving() as server:
        story = Story(tmp_path, server)
        server.steps.append(story.step)
        yield story


@contextmanager
def running(story, *command, **environment):
    """A program beside the shop, which is to end well by SIGTERM."""
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
            process.wait(25)
            text = (story.folder / "said").read_text()
    assert process.returncode in (0, -signal.SIGTERM, -signal.SIGKILL), text
    assert "internal error" not in text
    assert "not delivered" not in text


def _ask(url):
    """Until there is an answer: who was to give one may have been killed."""
    deadline = time.monotonic() + 30
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
        time.sleep(0.3)
        story.kill(*sorted(map(int, _children(server.pid)))[:2])


@pytest.mark.parametrize("arguments", ["sync", "gthread --preload", "gevent", "gevent --preload"])
def test_workers_of_gunicorn_that_are_killed(story, arguments):
    """Others take over what they have left, while they serve."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
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


POOL = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
import shop

def work(number):
    for _ in range(10):
        shop.say()
    time.sleep(0.01)

if __name__ == "__main__":
    shop.chatter()
    while True:
        try:
            with ProcessPoolExecutor(3, get_context(sys.argv[1])) as pool:
                list(pool.map(work, range(10_000)))
        except BrokenProcessPool:
            pass
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_process_pool_that_are_killed(story, method):
    """Again and again, and their parent at last."""
    (story.folder / "pool.py").write_text(POOL)
    with running(story, sys.executable, "pool.py", method) as parent:
        for step in (REFUSE, reset, accept):
            story.weather(step)
            story.wait_for_lines()
            # All of them: the pool ends the others, and does not say when.
            story.kill(*map(int, _children(parent.pid)))
        story.wait_for_lines()
        story.kill(parent.pid, *map(int, _children(parent.pid)))
    story.check()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("library", PATCHES)
def test_programs_of_greenlets_that_are_killed(story, library):
    """One after the other, and at last one that is not; its other greenlets go on meanwhile."""
    (story.folder / "program.py").write_text(
        f"{PATCHES[library]}\n"
        "import sys, threading, time\n"
        "import shop\n"
        "for _ in range(3): shop.chatter()\n"
        "time.sleep(60)\n"
    )
    for step in (REFUSE, reset, accept):
        story.weather(step)
        with running(story, sys.executable, "program.py") as program:
            story.wait_for_lines()
            story.kill(program.pid)
    story.check()


def test_workers_of_celery_that_are_killed(story):
    """With their parent; the next ones take over what they have left, and end in good order."""
    folder = str(story.folder)
    (story.folder / "tasks.py").write_text(
        "import celery, time, shop\n"
        f"folder = {folder!r}\n"
        "options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)\n"
        "app = celery.Celery('tasks', broker='filesystem://')\n"
        "app.conf.update(broker_transport_options=options, task_ignore_result=True)\n"
        "@app.task\n"
        "def work(number):\n"
        "    for _ in range(10): shop.say()\n"
    )
    send = "import tasks; [tasks.work.delay(number) for number in range(30)]"
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
            environment = {**os.environ, "LOGPLEX_URL": story.url}
            environment["CELERY_BROKER_URL"] = "filesystem://"
            command = [sys.executable, "-c", send]
            subprocess.run(command, cwd=folder, env=environment, check=True, timeout=20)
            assert wait_until(lambda: not list(story.folder.glob("*.msg")), 20)
            if step is not accept:
                # Celery itself may wait for ever for one that has died alone.
                story.kill(worker.pid, *map(int, _children(worker.pid)))
    story.check()
