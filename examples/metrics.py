"""Counters, samples and times that are aggregated in the program and logged once a minute.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see. Needs the extras
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

    # Called before each report.
    metrics.sample("carts", lambda: len(carts))

    @metrics.timer("checkout", aggregate=True)
    def check_out(items: int) -> None:
        metrics.count("orders")
        metrics.count("items", items)

    for items in (1, 2, 3):
        check_out(items)

    # Rare events get a line of their own, at once.
    metrics.measure("backup", timedelta(seconds=61.5))

    ProcessMetrics(metrics)

    # Reports at once. The end of the program would do that too; otherwise a report comes each
    # minute.
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
