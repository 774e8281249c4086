"""Configure everything with `dictConfig`, as Django, Celery and many others do.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see.
"""

from __future__ import annotations

import logging.config
import os

from logplex_handler.testing import LogplexReceiver

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"pairs": {"()": "logplex_handler.KeyValueFormatter", "source": "us-east"}},
    "handlers": {"logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "pairs"}},
    "loggers": {"shop.billing": {"level": "DEBUG"}},
    "root": {"level": "INFO", "handlers": ["logplex"]},
}


def main() -> None:
    logging.config.dictConfig(LOGGING)

    orders = logging.getLogger("shop.orders")
    orders.info("order shipped", extra={"order_id": 42, "carrier": "DHL Express"})
    orders.debug("not sent: the root logger's level is INFO")
    logging.getLogger("shop.billing").debug("invoice=%s total=%.2f", "2026-0117", 19.9)


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as logplex:
            os.environ["LOGPLEX_URL"] = logplex.url
            main()
            logging.shutdown()
        print(*logplex.lines, sep="\n")
