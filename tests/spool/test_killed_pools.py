"""Workers of process pools and gevent programs are killed; others deliver their lines."""

from __future__ import annotations

import sys

import pytest

from tests.runtimes.shared import PATCHES, children
from tests.servers import accept, reset
from tests.spool.killed import REFUSE, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


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
            with ProcessPoolExecutor(2, get_context(sys.argv[1])) as pool:
                list(pool.map(work, range(3_000)))
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
            story.kill(*map(int, children(parent.pid)))
        story.wait_for_lines()
        story.kill(parent.pid, *map(int, children(parent.pid)))
    story.check()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("library", PATCHES)
def test_programs_of_greenlets_that_are_killed(story, library):
    """One after the other; the last one lives, and its other greenlets go on."""
    (story.folder / "program.py").write_text(
        f"{PATCHES[library]}\n"
        "import sys, threading, time\n"
        "import shop\n"
        "for _ in range(3): shop.chatter()\n"
        "time.sleep(60)\n"
    )
    for step in (REFUSE, reset, accept):
        story.weather(step)
        # eventlet's own look-up of names takes long to import, and looks up no addresses.
        command = [sys.executable, "program.py"]
        with running(story, *command, EVENTLET_NO_GREENDNS="yes") as program:
            story.wait_for_lines()
            story.kill(program.pid)
    story.check()
