"""The program that `instructions` runs under callgrind: logs each kind of record to both handlers.

    python benchmarks/counted.py RECORDS URL KIND...

Each part begins and ends with a call of getloadavg, at which callgrind writes a profile. Of
`request`, each record is the only line of a request over a socket to the URL; others never leave
the process.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import requests
from requests.adapters import BaseAdapter

from kinds import KINDS, LogOne, order
from logplex_handler import LogplexHandler
from subjects import Subject, make_logger, null

WARM_UP = 1_000
REQUEST = "request"
# The number of records that makes a batch due. The program waits for each batch; otherwise its size
# would depend on the clock.
BATCH = 500
# The share of the records for some kinds, so that counting does not take too long.
SHARES = dict.fromkeys(("metric", "metrics", "mapping", "values", "accented", "web_mix"), 0.3)
SHARES |= {"long": 0.05, "medium": 0.1, REQUEST: 0.03}
# Nanoseconds from one record to the next, so that half of the records have a new millisecond.
APART = 500_000


class Instant(BaseAdapter):
    """Answers at once, without using a socket."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        answer = requests.Response()
        answer.status_code = 204
        answer.url = str(request.url)
        answer.request = request
        answer.raw = Empty()
        return answer

    def close(self) -> None:
        pass


class Empty:
    """An empty body."""

    headers: Mapping[str, str] = {}

    def read(self, *_: Any, **__: Any) -> bytes:
        return b""

    def close(self) -> None:
        pass

    def release_conn(self) -> None:
        pass


def run_clock() -> None:
    """Give records the same times in every run.

    The cost of rendering a record depends on whether the previous one has the same millisecond.
    """
    times = itertools.count(1_790_000_000_000_000_000, APART)
    clock = {"time_ns": times.__next__, "time": lambda: next(times) / 1e9}
    logging.time = SimpleNamespace(**{**vars(time), **clock})  # type: ignore[attr-defined]


def ours(url: str, *, answers_at_once: bool) -> Subject:
    if answers_at_once:
        # Patches the handler's own session: requests of an application's session are prepared one
        # by one.
        requests.Session.get_adapter = lambda *_, **__: Instant()  # type: ignore[method-assign]
    handler = LogplexHandler(url, batch_size=BATCH, flush_interval=3600)
    return Subject(handler, lambda: handler.flush(3600))


def log(logger: logging.Logger, subject: Subject, kind: str, records: range) -> None:
    log_one: LogOne
    log_one, batch = (order, 1) if kind == REQUEST else (KINDS[kind], BATCH)
    for i in records:
        log_one(logger, i)
        if i % batch == batch - 1:
            subject.finish()
    subject.finish()


def main() -> None:
    url, *kinds = sys.argv[2:]
    parts = [
        (kind, round(WARM_UP * share), round(int(sys.argv[1]) * share))
        for kind, share in [(kind, SHARES.get(kind, 1)) for kind in kinds]
    ]
    run_clock()
    for subject in (null(""), ours(url, answers_at_once=REQUEST not in kinds)):
        logger = make_logger(subject)
        for kind, warm_up, records in parts:
            log(logger, subject, kind, range(warm_up))
            os.getloadavg()
            log(logger, subject, kind, range(records))
            os.getloadavg()
        logger.removeHandler(subject.handler)
        if isinstance(subject.handler, LogplexHandler):
            stats = subject.handler.stats()
            if stats.delivered != sum([warm_up + records for _, warm_up, records in parts]):
                sys.exit(f"not all were delivered: {stats}")


if __name__ == "__main__":
    main()
