"""Add the handler to existing loggers: your own and those of libraries.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see.
"""

from __future__ import annotations

import logging
import os
import sys

import urllib3

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("shop.stock")


def stock_of(item: str) -> int | None:
    """Call a service that is down; urllib3 logs a warning before it retries."""
    log.info("asking for %s", item)
    try:
        answer = urllib3.request("GET", f"http://127.0.0.1:1/stock/{item}", retries=1)
    except urllib3.exceptions.HTTPError as error:
        log.error("no answer", extra={"item": item, "reason": type(error).__name__})
        return None
    return int(answer.data)


def main() -> None:
    logplex = LogplexHandler(level="WARNING")
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(levelname)-7s %(name)s: %(message)s"))

    for name in ("shop", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(terminal)
        logger.addHandler(logplex)

    stock_of("teapot")


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as receiver:
            os.environ["LOGPLEX_URL"] = receiver.url
            main()
            logging.shutdown()
        print("\nThe customer sees:", *receiver.lines, sep="\n")
