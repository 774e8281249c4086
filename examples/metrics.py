"""Counters, samples and times that add up in the program, and go out as lines once a minute.

Sends to LOGPLEX_URL; without one it shows what your customer would see. Needs the extras
`percentiles` and `psutil`.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta

from logplex_handler import LogplexHandler, Metrics
from logplex_handler.process_metrics import ProcessMetrics
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("shop.metrics")


def main() -> None:
    handler = LogplexHandler(procid="web.1")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    metrics = Metrics(log, source="us-east")
    carts = ["teapot", "kettle"]

    # Asked for before each report.
    metrics.sample("carts", lambda: len(carts))

    @metrics.timer("checkout", aggregate=True)
    def check_out(items: int) -> None:
        metrics.count("orders")
        metrics.count("items", items)

    for items in (1, 2, 3):
        check_out(items)

    # What is rare has a line of its own, at once.
    metrics.measure("backup", timedelta(seconds=61.5))

    ProcessMetrics(metrics)

    # So does the end of the program; by itself a report comes once a minute.
    metrics.close()
    handler.flush()


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as logplex:
            os.environ["LOGPLEX_URL"] = logplex.url
            main()
        print(*logplex.lines, sep="\n")
