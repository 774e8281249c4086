"""A worker dyno that SIGTERM may stop at any moment."""

from __future__ import annotations

import itertools
import logging
import time

from logplex_handler import LogplexHandler, flush_on_sigterm

log = logging.getLogger("worker")


def main() -> None:
    logging.basicConfig(level=logging.INFO, handlers=[LogplexHandler(flush_interval=10)])
    flush_on_sigterm()
    log.info("at=start")
    for job in itertools.count(1):
        log.info("at=work job=%d", job)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
