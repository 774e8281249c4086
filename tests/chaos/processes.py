"""Whole programs in a storm: they log, fork, and end in one way or another.

What an ending leaves undelivered, it says. Endings that nobody can prepare for, SIGKILL first of
all, belong here too: as one more of `ENDINGS`, with what may be missing after it.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter

from tests.chaos.checks import first_bodies
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import Receiver, texts_and_frames
from tests.chaos.run import TOKEN

_PROGRAM = """
import logging, os, signal, sys, threading, time
from logplex_handler import LogplexHandler, flush_on_sigterm
from logplex_handler._sender import retry_policy
from logplex_handler._transport import answer
retry_policy.FIRST_WAIT, retry_policy.LONGEST_WAIT = 0.02, 0.1
retry_policy.LONGEST_REFUSED_WAIT = 0.1
answer.LONGEST_ASKED_WAIT = 0.15
FORKS, RECORDS = int(sys.argv[1]), int(sys.argv[2])
handler = LogplexHandler(timeout=0.2, shutdown_timeout=20, flush_interval=0.01)
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("chaos")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
flush_on_sigterm()

def work(who):
    for number in range(RECORDS):
        logger.info("%s %d", who, number)
        time.sleep(0.001)

threads = [threading.Thread(target=work, args=("parent-%d" % n,)) for n in range(2)]
for thread in threads: thread.start()
children = []
for child in range(FORKS):
    time.sleep(0.02)
    pid = os.fork()
    if pid == 0:
        work("child-%d" % child)
        handler.close()
        os._exit(0)
    children.append(pid)
for thread in threads: thread.join()
for pid in children: os.waitpid(pid, 0)
"""
# How a program ends, and with which status.
ENDINGS = {
    "its end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise RuntimeError('the end')", 1),
    "a thread that goes on": ("threading.Timer(0.2, work, ('late',)).start()", 0),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    "os._exit after a flush": ("handler.flush(); os._exit(4)", 4),
    "an exec after a flush": (
        "handler.flush(); os.execv(sys.executable, [sys.executable, '-c', ''])",
        0,
    ),
}

_UNDELIVERED = re.compile(r"([0-9]+) records? (?:not delivered|dropped)")


def broken_by(ending: str, seed: int) -> list[str]:
    """The conditions that do not hold for a program that ends this way, in words."""
    dice = random.Random(f"program {seed}")
    forks, records = dice.choice((0, 1, 4)), dice.choice((5, 100))
    code, status = ENDINGS[ending]
    receiver = Receiver(seed, TOKEN, None)
    proxy = Proxy(("127.0.0.1", receiver.port), seed, corrupts=False)
    program = subprocess.Popen(
        [sys.executable, "-c", f"{_PROGRAM}\n{code}", str(forks), str(records)],
        env={**os.environ, "LOGPLEX_URL": f"http://token:{TOKEN}@127.0.0.1:{proxy.port}/logs"},
        stderr=subprocess.PIPE,
        text=True,
    )

    # Its end falls into the storm, or into what comes after it.
    def end_the_storm() -> None:
        receiver.calm()
        proxy.calm()

    calm = threading.Timer(dice.choice((0.5, 1.0)), end_the_storm)
    calm.start()
    try:
        _, said = program.communicate(timeout=60)
    finally:
        program.kill()
        calm.join()
        proxy.close()
        receiver.close()
    expected = {f"parent-{n}": records for n in range(2)}
    expected |= {f"child-{n}": records for n in range(forks)}
    if ending == "a thread that goes on":
        expected["late"] = records
    undelivered = sum(map(int, _UNDELIVERED.findall(said)))
    wrong = [*receiver.wrong, *_wrong_lines(receiver, expected, undelivered)]
    if program.returncode != status:
        wrong.append(f"status {program.returncode} instead of {status}")
    if TOKEN in said:
        wrong.append("the token was said on stderr")
    return wrong


def _wrong_lines(receiver: Receiver, expected: dict[str, int], undelivered: int) -> list[str]:
    wrong = []
    lines = Counter[str]()
    last: dict[str, int] = {}
    for body in first_bodies(receiver.routed).values():
        for line, _ in texts_and_frames(body):
            who, _, number = line.partition(" ")
            if who not in expected:
                continue
            lines[line] += 1
            if last.get(who, -1) >= int(number):
                wrong.append(f"{line} after {last[who]}")
            last[who] = int(number)
    missing = sum(expected.values()) - len(lines)
    if missing > undelivered:
        wrong.append(f"{missing} lines are missing, and {undelivered} were said to be")
    if twice := sum(lines.values()) - len(lines):
        wrong.append(f"{twice} lines came twice under different frame ids")
    return wrong
