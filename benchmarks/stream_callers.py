"""What a record that names its stream costs its caller, beside a QueueHandler.

    python benchmarks/stream_callers.py --streams 300 --spool /tmp/spool

All streams have had records before, and wait for some again. The benchmark then logs one record for
each, a second one, and so on. Each slice of a hundred records goes to a NullHandler, a QueueHandler
and ours in turn. Prints the caller's CPU in microseconds, of the best slice and of the median one,
and the overhead: (ours - NullHandler) / (QueueHandler - NullHandler).
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import queue
import statistics
import time

import requests

from counted import Instant
from logplex_handler import LogplexHandler
from sparse_streams import LINE

_SLICE = 100


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(f"shop.orders.{name}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger


def _microseconds(logger: logging.Logger, extras: list[dict[str, str]]) -> float:
    began = time.thread_time_ns()
    for number, extra in enumerate(extras):
        logger.info(LINE, number, "berlin", number % 500, extra=extra)
    return (time.thread_time_ns() - began) / len(extras) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lines", type=int, default=4, help="of each stream")
    parser.add_argument("--spool")
    given = parser.parse_args()
    # What is sent costs no CPU of a receiver, and is no part of the figures.
    requests.Session.get_adapter = lambda *_, **__: Instant()  # type: ignore[method-assign]
    url = "http://token:t.benchmark@127.0.0.1:9/logs"
    # Nothing becomes due while the caller is measured.
    ours = LogplexHandler(streams=lambda _: url, flush_interval=3600, spool=given.spool)
    queued: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    loggers = {
        "null": _logger("null", logging.NullHandler()),
        "queue": _logger("queue", logging.handlers.QueueHandler(queued)),
        "ours": _logger("ours", ours),
    }
    extras = [{"logplex_stream": f"customer-{number}"} for number in range(given.streams)]
    slices = [extras[begin : begin + _SLICE] for begin in range(0, given.streams, _SLICE)]
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(given.rounds):
        _microseconds(loggers["ours"], extras)
        assert ours.flush(600)
        for line in range(given.lines):
            for one in slices:
                for name, logger in loggers.items():
                    found.setdefault((name, line), []).append(_microseconds(logger, one))
                while not queued.empty():
                    queued.get()
    for line in range(given.lines):
        print(f"line {line + 1} of each of {given.streams} streams:", end="")
        for how, choose in (("best", min), ("median", statistics.median)):
            null, queued_, mine = (choose(found[name, line]) for name in loggers)
            overhead = (mine - null) / (queued_ - null)
            print(f"  {how} {null:.2f} {queued_:.2f} {mine:.2f} overhead {overhead:.2f}", end="")
        print()
    os._exit(0)


if __name__ == "__main__":
    main()
