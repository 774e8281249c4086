"""The measurements of a subject. Each function runs once in its own process.

Results are CPU seconds, unless their name contains another unit.
"""

from __future__ import annotations

import logging
import os
import re
import resource
import sys
import threading
import time
import tracemalloc
from array import array
from collections.abc import Callable
from pathlib import Path

from kinds import LogOne
from logplex_handler import LogplexHandler
from subjects import Subject, make_logger

Result = dict[str, float]

PACE = 5_000  # records a second
GROUP = 10  # records at a time
THREADS = 8
TURNS = 10

_PROC_STATUS = Path("/proc/self/status")


def burst(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Log as fast as one thread can."""

    def work(logger: logging.Logger) -> None:
        for i in range(records):
            log_one(logger, i)

    return _cpu(subject, work)


def pace(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Log at a fixed rate, in small groups with pauses between them."""

    def work(logger: logging.Logger) -> None:
        start = time.monotonic()
        for first in range(0, records, GROUP):
            for i in range(first, min(first + GROUP, records)):
                log_one(logger, i)
            time.sleep(max(0.0, start + (first + GROUP) / PACE - time.monotonic()))

    return _cpu(subject, work)


def _cpu(subject: Subject, work: Callable[[logging.Logger], None]) -> Result:
    logger = make_logger(subject)
    memory = _resident("VmRSS")
    children = _children_cpu()
    process, wall, thread = time.process_time(), time.monotonic(), time.thread_time()
    work(logger)
    caller = time.thread_time() - thread
    subject.finish()
    return {
        "caller": caller,
        "whole": time.process_time() - process + _children_cpu() - children,
        "wall": time.monotonic() - wall,
        "peak_bytes": _resident("VmHWM") - memory,
    }


def _children_cpu() -> float:
    """CPU time of the separate shipper processes that a peer needs; known once they have ended."""
    used = os.times()
    return used.children_user + used.children_system


def calls(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Measure the wall time of each single call during a burst."""
    logger = make_logger(subject)
    # Allocated before the measurement, and not tracked by the garbage collector.
    taken = array("Q", bytes(8 * records))
    clock = time.perf_counter_ns
    for i in range(records):
        start = clock()
        log_one(logger, i)
        taken[i] = clock() - start
    ordered = sorted(taken)
    return {
        "median_ns": ordered[records // 2],
        "p999_ns": ordered[min(records - 1, records * 999 // 1000)],
        "longest_ns": ordered[-1],
    }


def waiting(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Measure the memory of a waiting record, as Python's allocator counts it."""
    handler = subject.handler
    if not isinstance(handler, LogplexHandler):
        raise TypeError("only the handler itself knows how many records wait")
    logger = make_logger(subject)
    # Objects created once, such as the thread and the first connection, do not count.
    for i in range(500):
        log_one(logger, i)
    time.sleep(1)
    tracemalloc.start()
    before = handler.stats().pending
    for i in range(records):
        log_one(logger, i)
    time.sleep(1)
    grown, _ = tracemalloc.get_traced_memory()
    return {"bytes_per_record": grown / max(1, handler.stats().pending - before)}


def growth(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Measure the largest growth of the process while nothing can be delivered."""
    logger = make_logger(subject)
    before = _resident("VmRSS")
    for i in range(records):
        log_one(logger, i)
    return {"grown_bytes": _resident("VmHWM") - before}


def _resident(name: str) -> float:
    """Memory in bytes: the present value (VmRSS) or the peak (VmHWM)."""
    if _PROC_STATUS.exists():
        found = re.search(rf"{name}:\s+(\d+) kB", _PROC_STATUS.read_text())
        if found:
            return int(found[1]) * 1024
    # Other systems only report the peak, in kilobytes, except macOS, which uses bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def below(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Log records below the level, alternating with a logger that has a NullHandler.

    Their cost is smaller than the difference between two processes.
    """
    loggers = {"caller": make_logger(subject), "null": logging.getLogger("shop.null")}
    loggers["null"].propagate = False
    loggers["null"].setLevel(logging.INFO)
    loggers["null"].addHandler(logging.NullHandler())
    taken = dict.fromkeys(loggers, 0.0)
    for _ in range(TURNS):
        for name, logger in loggers.items():
            start = time.thread_time()
            for i in range(records // TURNS):
                log_one(logger, i)
            taken[name] += time.thread_time() - start
    return taken


def threads(subject: Subject, log_one: LogOne, records: int) -> Result:
    """Count the records that one thread, and then eight threads, log in a second of wall time."""
    logger = make_logger(subject)
    return {
        "one_per_second": _throughput(subject, logger, log_one, records, 1),
        "many_per_second": _throughput(subject, logger, log_one, records, THREADS),
    }


def _throughput(
    subject: Subject, logger: logging.Logger, log_one: LogOne, records: int, number: int
) -> float:
    each = records // number
    ready = threading.Barrier(number + 1)

    def work(first: int) -> None:
        ready.wait()
        for i in range(first, first + each):
            log_one(logger, i)

    workers = [threading.Thread(target=work, args=(n * each,)) for n in range(number)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - start
    subject.finish()
    return each * number / taken


Measure = Callable[[Subject, LogOne, int], Result]

MEASURES: dict[str, Measure] = {
    measure.__name__: measure for measure in (burst, pace, calls, waiting, growth, below, threads)
}
