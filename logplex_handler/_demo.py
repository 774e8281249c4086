"""A few seconds of a shop's logs, sent to a small Logplex in this process and shown."""

from __future__ import annotations

import itertools
import logging
import logging.config
import os
import random
import threading
import time
from collections.abc import Callable

from logplex_handler import LogplexHandler, count, measure, sample
from logplex_handler.testing import LogplexReceiver

_CITIES = ("berlin", "lisbon", "oslo", "porto")

_orders = itertools.count(1000)


def demo(seconds: float) -> int:
    """Log for so many seconds from several threads; 0 if every record arrived, else 1."""
    # It shows the same everywhere, however this machine is set up.
    for name in [name for name in os.environ if name.startswith("LOGPLEX_")]:
        del os.environ[name]
    with LogplexReceiver() as logplex:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {
                    "keyvalue": {"()": "logplex_handler.KeyValueFormatter", "source": "demo"}
                },
                "handlers": {
                    "logplex": {
                        "class": "logplex_handler.LogplexHandler",
                        "url": logplex.url,
                        "procid": "web.1",
                        "formatter": "keyvalue",
                    }
                },
                "loggers": {"shop": {"handlers": ["logplex"], "level": "DEBUG"}},
            }
        )
        handler = next(
            handler
            for handler in logging.getLogger("shop").handlers
            if isinstance(handler, LogplexHandler)
        )
        try:
            shown = _log_and_show(logplex, seconds)
        finally:
            handler.close()
        shown = _show(logplex, shown)
        stats = handler.stats()

    dropped = sum(stats.dropped.values())
    print(
        f"accepted={stats.accepted} delivered={stats.delivered} dropped={dropped} "
        f"requests={stats.requests}"
    )
    everything_arrived = shown == stats.accepted == stats.delivered and not dropped
    return 0 if everything_arrived and not logplex.violations else 1


def _log_and_show(logplex: LogplexReceiver, seconds: float) -> int:
    """Have the shop log for so long; how many lines were shown meanwhile."""
    closed = threading.Event()
    activities: tuple[Callable[[], None], ...] = (_serve, _serve, _ship, _report)
    threads = [
        threading.Thread(target=_repeat, args=(activity, closed), daemon=True)
        for activity in activities
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    shown = 0
    try:
        while time.monotonic() < until:
            time.sleep(0.1)
            shown = _show(logplex, shown)
    finally:
        closed.set()
        for thread in threads:
            thread.join()
    return shown


def _show(logplex: LogplexReceiver, shown: int) -> int:
    """Print what the customer sees of the lines that are new; how many there are by now."""
    lines = logplex.lines
    for line in lines[shown:]:
        print(line, flush=True)
    return len(lines)


def _repeat(activity: Callable[[], None], closed: threading.Event) -> None:
    while not closed.is_set():
        activity()
        closed.wait(random.uniform(0.05, 0.25))


def _serve() -> None:
    """A web request: a line that is key=value by itself, and a metric."""
    latency = random.randrange(2, 80)
    path = random.choice(("/", "/cart", "/search?q=red shoes"))
    logger = logging.getLogger("shop.web")
    logger.info("method=GET path=%s status=%d service=%dms", path, 200, latency)
    logger.info("", extra=measure("web.latency", latency, "ms") | count("web.requests"))


def _ship() -> None:
    """An order: free text with extras, and now and then an exception."""
    order = next(_orders)
    logger = logging.getLogger("shop.orders")
    logger.info("order shipped", extra={"order_id": order, "city": random.choice(_CITIES)})
    if order % 5 == 0:
        try:
            raise TimeoutError("the carrier did not answer")
        except TimeoutError:
            logger.exception("label not printed", extra={"order_id": order})


def _report() -> None:
    """Statistics that are aggregated already."""
    backlog = sample("queue.backlog", random.randrange(40))
    logging.getLogger("shop.queue").info("", extra=backlog | sample("queue.memory", 21.5, "MB"))
