"""The command `demo`: a shop logs for a few seconds, and the customer's view shows what happens."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import random
import sys
import time

import requests

from logplex_handler import KeyValueFormatter, LogplexHandler, count, measure, sample
from logplex_handler.receiver.feed import Feed, ReceivedRequest
from logplex_handler.receiver.style import Style
from logplex_handler.receiver.terminal import Filter, Terminal
from logplex_handler.testing import LogplexReceiver

_CITIES = ("berlin", "lisbon", "oslo", "porto")
# The least and most seconds between two activities of the shop: few enough lines to read.
_PAUSE = (0.1, 0.3)

_NASTY = "red shoes level=critical user=admin"

# Its octet count is 71, the number of characters; the packet has 72 bytes.
_WRONG_BODY = "71 <190>1 2026-01-02T03:04:05.000000+00:00 host app other.1 - - café=open\n".encode()


def run(options: argparse.Namespace) -> int:
    """Show the scenes; return 0 if every record of the shop arrived, else 1."""
    # The demo must show the same on every machine, whatever its environment.
    for name in [name for name in os.environ if name.startswith("LOGPLEX_")]:
        del os.environ[name]
    style = Style(sys.stdout)
    terminal = Terminal(style, Filter())
    received: list[ReceivedRequest] = []
    with LogplexReceiver(on_arrival=Feed([terminal, received.append])) as logplex:
        handler = LogplexHandler(logplex.url, procid="web.1")
        handler.setFormatter(KeyValueFormatter(source="demo"))
        logger = logging.getLogger("shop")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            _scene(style, "A shop logs. Its customer sees, in `heroku logs --tail`:")
            _open_shop(options.seconds)
            handler.flush()

            _scene(style, "The receiver answers 503. The handler sends the batch again:")
            logplex.fail_next(503)
            logger.warning("stock is low", extra={"item": "teapot", "left": 2})
            logger.info("order shipped", extra={"order_id": next(_orders), "city": "oslo"})
            handler.flush()
            _say_frame_ids(style, received)

            _scene(style, "A customer searches for something nasty. It stays one value:")
            logging.getLogger("shop.web").info("query=%s", _NASTY)
            handler.flush()
        finally:
            handler.close()
        arrived, violations = terminal.lines, terminal.violations

        _scene(style, "Another sender counts characters instead of bytes. What Logplex would do:")
        _send_wrong_length(logplex)
    stats = handler.stats()
    dropped = sum(stats.dropped.values())
    _scene(style, "The handler's counts:")
    print(
        f"accepted={stats.accepted} delivered={stats.delivered} dropped={dropped} "
        f"requests={stats.requests} retries={stats.retries}"
    )
    _scene(style, "Next:")
    print(
        "logplex-handler receive          a Logplex of your own: point LOGPLEX_URL at it\n"
        "logplex-handler receive --web    the same with a page (needs logplex-handler[cli])\n"
        "docs/tutorial.md                 your own program's first line"
    )
    return 0 if arrived == stats.accepted == stats.delivered and not violations else 1


def _scene(style: Style, title: str) -> None:
    print(f"\n{style.paint(title, 'bold')}", flush=True)


def _say_frame_ids(style: Style, received: list[ReceivedRequest]) -> None:
    """Print the frame id of each request since the first failure: a retry has that of its batch."""
    answered = [one.request for one in received if one.request is not None]
    first = next(n for n, one in enumerate(answered) if one.on_purpose)
    for one in answered[first:]:
        answer = f"  - {one.status} for frame id {one.frame_id}"
        print(style.paint(answer, "dim"))


def _send_wrong_length(logplex: LogplexReceiver) -> None:
    with requests.Session() as session:
        # Use no proxy of the environment.
        session.trust_env = False
        session.post(
            logplex.url,
            data=_WRONG_BODY,
            headers={
                "Content-Type": "application/logplex-1",
                "Logplex-Msg-Count": "1",
                "Logplex-Frame-Id": "of-another-sender",
                "User-Agent": "another-sender",
            },
            timeout=5,
        )


_orders = itertools.count(1000)


def _open_shop(seconds: float) -> None:
    """Do what a shop does for so many seconds, and each activity at least once."""
    deadline = time.monotonic() + seconds
    for number, activity in enumerate(itertools.cycle((_serve, _ship, _serve, _report))):
        if number >= 4 and time.monotonic() >= deadline:
            break
        activity()
        time.sleep(random.uniform(*_PAUSE))


def _serve() -> None:
    """Log a web request: a message that is key=value by itself, with metrics."""
    latency = random.randrange(2, 80)
    path = random.choice(("/", "/cart", "/search?q=red shoes"))
    logging.getLogger("shop.web").info(
        "method=GET path=%s status=%d",
        path,
        200,
        extra=measure("web.latency", latency, "ms") | count("web.requests"),
    )


def _ship() -> None:
    """Log an order: free text with extras, and sometimes an exception."""
    order = next(_orders)
    logger = logging.getLogger("shop.orders")
    logger.info("order shipped", extra={"order_id": order, "city": random.choice(_CITIES)})
    if order % 5 == 0:
        try:
            raise TimeoutError("the carrier did not answer")
        except TimeoutError:
            logger.exception("label not printed", extra={"order_id": order})


def _report() -> None:
    """Log statistics that are already aggregated."""
    backlog = sample("queue.backlog", random.randrange(40))
    logging.getLogger("shop.queue").info("", extra=backlog | sample("queue.memory", 21.5, "MB"))
