"""The handler by itself: values, an exception, metrics, and what became of it all.

Sends to LOGPLEX_URL; without one it shows what your customer would see.
"""

from __future__ import annotations

import logging
import os

from logplex_handler import LogplexHandler, count, measure, sample
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("shop")


def main() -> None:
    handler = LogplexHandler(procid="web.1")
    log.addHandler(handler)
    log.setLevel(logging.INFO)

    # Values go in as arguments or as extras: then nothing in them can break the line.
    log.info("order shipped", extra={"order_id": 42, "customer": "Zoë Ωmega"})
    log.info("status=delivered order=%s", "42 or 43")

    try:
        {"teapot": 3}["kettle"]
    except KeyError:
        log.exception("no such item")

    # Metrics make a line of their own, or go with any other.
    log.info("", extra=measure("web.latency", 4, "ms") | sample("db.size", 21.5, "MB"))
    log.info("sold", extra=count("orders") | {"item": "teapot"})

    handler.flush()
    stats = handler.stats()
    print(f"{stats.delivered} of {stats.accepted} records delivered\n")


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as logplex:
            os.environ["LOGPLEX_URL"] = logplex.url
            main()
        print(*logplex.lines, sep="\n")
