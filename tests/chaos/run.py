"""One scenario, played: from its seed to what was seen of it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import ssl
import tempfile
import threading
import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests
import trustme
import urllib3.exceptions

from logplex_handler import LogplexHandler, Stats
from logplex_handler._process import exits
from logplex_handler._sender import retry_policy
from logplex_handler._transport import answer
from tests.chaos import spools, surroundings
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import Receiver, Routed
from tests.chaos.scenario import Scenario, text
from tests.logs import Told, balanced
from tests.pace import Metronome

TOKEN = "t.chaos-01234567-89ab-cdef"
# Seconds that a storm lasts at least, and that recovery from it may take on a loaded machine.
_STORM = 0.5
_RECOVERY = 30.0

# What the package holds for seconds and minutes, as seconds in a scenario.
_WAITS = {
    (retry_policy, "FIRST_WAIT"): 0.02,
    (retry_policy, "LONGEST_WAIT"): 0.1,
    (retry_policy, "LONGEST_REFUSED_WAIT"): 0.1,
    (answer, "LONGEST_ASKED_WAIT"): 0.15,
}


@dataclass
class Seen:
    """Observations of a scenario, for `checks`."""

    scenario: Scenario
    stats: Stats = field(default_factory=Stats)
    flushed: bool = False
    closing_took: float = 0.0
    routed: list[Routed] = field(default_factory=list)
    # Of each call of the application: its seconds on the wall and on the processor, and how long
    # nobody else had the processor meanwhile.
    calls: list[tuple[float, float, float]] = field(default_factory=list)
    # Causes and numbers that `on_drop` was called with.
    dropped: dict[str, int] = field(default_factory=dict)
    most_pending: int = 0
    stderr: str = ""
    faults: int = 0
    wrong: list[str] = field(default_factory=list)


_authority = trustme.CA()


def _tls(context: ExitStack) -> tuple[ssl.SSLContext, str]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority.issue_cert(surroundings.HOST).configure_cert(server)
    return server, context.enter_context(_authority.cert_pem.tempfile())


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def play(scenario: Scenario) -> Seen:
    """Play it, and tear all of it down."""
    seen = Seen(scenario)
    # In a child of multiprocessing, the first call of this starts what watches signals to the end.
    exits.call_at_exit(lambda: None)()
    before = (threading.active_count(), descriptors())
    real_hook = threading.excepthook
    threading.excepthook = lambda args: seen.wrong.append(
        f"a thread ended by {args.exc_type.__name__}: {args.exc_value}"
    )
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), warnings.catch_warnings(), ExitStack() as context:
            # That a clock is off is known.
            warnings.simplefilter("ignore", urllib3.exceptions.SystemTimeWarning)
            for (module, name), seconds in _WAITS.items():
                context.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, seconds)
            _play(scenario, seen, context)
    finally:
        threading.excepthook = real_hook
    seen.stderr = said.getvalue()
    _wait_for_the_end(before, seen)
    return seen


def _play(scenario: Scenario, seen: Seen, context: ExitStack) -> None:
    spool = None
    over = threading.Event()
    if scenario.spool:
        spool = Path(context.enter_context(tempfile.TemporaryDirectory()), "spool.db")
        spools.plant(scenario.spool, spool, scenario.seed)
        context.enter_context(spools.meddling(scenario.spool, spool, over))
    tls, ca = _tls(context) if scenario.tls else (None, "")
    receiver = Receiver(scenario.seed, TOKEN, tls, hostile=scenario.hostile)
    context.callback(receiver.close)
    proxy = Proxy(("127.0.0.1", receiver.port), scenario.seed, corrupts=scenario.tls)
    context.callback(proxy.close)
    if not scenario.proxy_rages:
        proxy.raging = False
    if not scenario.receiver_rages:
        receiver.calm()
    _surround(scenario, proxy.port, over, context)
    metronome = Metronome()
    context.callback(metronome.close)

    told = Told()

    def session() -> requests.Session:
        made = requests.Session()
        made.verify = ca
        return made

    handler = LogplexHandler(
        f"http{'s' if tls else ''}://token:{TOKEN}@{surroundings.HOST}:{proxy.port}/logs",
        hostname="host",
        procid="web.1",
        on_drop=told,
        spool=spool,
        session_factory=session if tls else None,
        **scenario.options,
    )
    logger = logging.getLogger("chaos")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    context.callback(logger.removeHandler, handler)
    if not scenario.key_value:
        handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        _log(scenario, seen, logger, handler, metronome)
        if not scenario.ends_in_the_storm:
            over.set()
            receiver.calm()
            proxy.calm()
            seen.flushed = handler.flush(_RECOVERY)
    finally:
        started = time.perf_counter()
        handler.close()
        seen.closing_took = time.perf_counter() - started
        seen.stats = handler.stats()
        seen.dropped = told.dropped
        over.set()
    receiver.close()
    seen.routed, seen.faults = receiver.routed, sum(proxy.struck.values())
    seen.faults += sum(n for how, n in receiver.answers.items() if not how.startswith("ok"))
    seen.wrong += receiver.wrong


def _surround(scenario: Scenario, port: int, over: threading.Event, context: ExitStack) -> None:
    seed, failing = scenario.seed, scenario.surroundings
    if "failing_names" in failing:
        context.enter_context(surroundings.failing_names(seed, port, over))
    else:
        context.enter_context(surroundings.named(port))
    if "jumping_clock" in failing:
        context.enter_context(surroundings.jumping_clock(seed, over))
    if "full_disk" in failing:
        context.enter_context(surroundings.full_disk())
    if "few_descriptors" in failing:
        context.enter_context(surroundings.few_descriptors(seed, port, over))


def _log(
    scenario: Scenario,
    seen: Seen,
    logger: logging.Logger,
    handler: LogplexHandler,
    metronome: Metronome,
) -> None:
    """Have all threads log while this one watches the counts."""
    texts = [
        [text(scenario, thread, number) for number in range(scenario.records)]
        for thread in range(scenario.threads)
    ]
    spans: list[tuple[float, float, float]] = []

    def work(thread: int) -> None:
        for one in texts[thread]:
            cpu = time.thread_time()
            started = time.perf_counter()
            logger.info("%s", one)
            ended = time.perf_counter()
            spans.append((started, ended, time.thread_time() - cpu))
            if scenario.pace:
                time.sleep(scenario.pace)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(scenario.threads)]
    until = time.perf_counter() + _STORM
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or time.perf_counter() < until:
        stats = handler.stats()
        if not balanced(stats):
            seen.wrong.append(f"the books do not balance: {stats}")
            break
        seen.most_pending = max(seen.most_pending, stats.pending)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    for started, ended, cpu in spans:
        seen.calls.append((ended - started, cpu, metronome.late(started, ended)))


def _wait_for_the_end(before: tuple[int, int], seen: Seen) -> None:
    deadline = time.monotonic() + 10
    while True:
        now = (threading.active_count(), descriptors())
        if now[0] <= before[0] and now[1] <= before[1]:
            return
        if time.monotonic() > deadline:
            names = sorted(thread.name for thread in threading.enumerate())
            seen.wrong.append(f"threads and descriptors: {before} before, {now} after: {names}")
            return
        time.sleep(0.01)
