"""A fleet: any number of processes write into customers' log streams, and shippers deliver it all.

Three files are all there is:

- `producer.py`, this program, stands for your own processes. It needs no customer's URL.
- `customers.py` knows the URLs, and only the shippers read it.
- `Procfile` starts both kinds of process: `web` and `shipper`.

On a machine of one's own, with Redis installed:

    pip install 'logplex-handler[relay]'
    redis-server --appendonly yes --maxmemory 1gb --maxmemory-policy noeviction
    export LOGPLEX_RELAY=redis://127.0.0.1
    echo '{"acme": "https://token:…@…/logs", "globex": "https://token:…@…/logs"}' >customers.json
    honcho start --concurrency web=3,shipper=2

(`logplex-handler receive` prints a URL of a receiver on this machine, which shows what a customer
would see; all customers may have it.) Then look at it, and end what you like:

    logplex-handler relay
    kill -9 %1

On Heroku, `heroku addons:create heroku-redis:premium-0` sets `REDIS_URL`; give it to all processes
as `LOGPLEX_RELAY`, and `heroku ps:scale web=3 shipper=2`.
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
