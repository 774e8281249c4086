"""A fleet: any number of processes write into customers' log streams, and shippers deliver it all.

Three files are all there is:

- `producer.py`, this program, stands for your own processes. It needs no customer's URL.
- `customers.py` knows the URLs, and only the shippers read it.
- `Procfile` starts both kinds of process: `web` and `shipper`.

`docs/relay.md` says how to try it on one machine, and to kill some of it. On Heroku, let the
`Procfile` say `LOGPLEX_RELAY=$REDIS_URL` before each command, and start as many as you like with
`heroku ps:scale web=3 shipper=2`.
"""

from __future__ import annotations

import itertools
import logging
import time

from logplex_handler import LogplexHandler, flush_on_sigterm, use_stream

CUSTOMERS = ("acme", "globex")

log = logging.getLogger("shop")


def main() -> None:
    # The relay is LOGPLEX_RELAY. Lines are handed over at once: shippers let them wait for more.
    logging.basicConfig(level=logging.INFO, handlers=[LogplexHandler(flush_interval=0.1)])
    flush_on_sigterm()
    for order in itertools.count(1):
        with use_stream(CUSTOMERS[order % len(CUSTOMERS)]):
            log.info("order shipped", extra={"order": order})
        time.sleep(0.1)


if __name__ == "__main__":
    main()
