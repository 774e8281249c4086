"""The handler by itself: values, an exception, metrics, and the counts.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see.
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

    # Pass values as arguments or extras, so that nothing in them can break the line.
    log.info("order shipped", extra={"order_id": 42, "customer": "Zoë Ωmega"})
    log.info("status=delivered order=%s", "42 or 43")

    try:
        {"teapot": 3}["kettle"]
    except KeyError:
        log.exception("no such item")

    # Metrics form a line of their own, or are added to another line.
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
