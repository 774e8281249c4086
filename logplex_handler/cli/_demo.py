"""The command `demo`: logs like a shop for a few seconds, and shows what the customer sees."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable

from logplex_handler import KeyValueFormatter, LogplexHandler, count, measure, sample
from logplex_handler.receiver.terminal import Style, shown_line
from logplex_handler.testing import LogplexReceiver

# Returns a terminal's cursor to the start of its line, and clears the line.
_CLEAR_LINE = "\r\x1b[K"
# Characters of the progress bar.
_BAR_WIDTH = 30

_CITIES = ("berlin", "lisbon", "oslo", "porto")

_orders = itertools.count(1000)


def run(options: argparse.Namespace) -> int:
    """Log for some seconds from several threads; return 0 if every record arrived, else 1."""
    # The demo must show the same on every machine, whatever its environment.
    for name in [name for name in os.environ if name.startswith("LOGPLEX_")]:
        del os.environ[name]
    with LogplexReceiver() as logplex:
        handler = LogplexHandler(logplex.url, procid="web.1")
        handler.setFormatter(KeyValueFormatter(source="demo"))
        logger = logging.getLogger("shop")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        screen = _Screen(logplex, options.seconds)
        try:
            _log_and_show(screen, options.seconds)
        finally:
            handler.close()
        screen.update()
        screen.close()
        stats = handler.stats()

    dropped = sum(stats.dropped.values())
    print(
        f"accepted={stats.accepted} delivered={stats.delivered} dropped={dropped} "
        f"requests={stats.requests}"
    )
    everything_arrived = screen.shown == stats.accepted == stats.delivered and not dropped
    return 0 if everything_arrived and not logplex.violations else 1


def _log_and_show(screen: _Screen, seconds: float) -> None:
    """Run the shop, and show its lines meanwhile."""
    closed = threading.Event()
    activities: tuple[Callable[[], None], ...] = (_serve, _serve, _ship, _report)
    threads = [
        threading.Thread(target=_repeat, args=(activity, closed), daemon=True)
        for activity in activities
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            time.sleep(0.1)
            screen.update()
    finally:
        closed.set()
        for thread in threads:
            thread.join()


class _Screen:
    """Prints new lines as the customer sees them; on a terminal in colours, above a progress bar.

    Attributes:
        shown: The number of lines so far.
    """

    def __init__(self, logplex: LogplexReceiver, seconds: float) -> None:
        self.shown = 0
        self._logplex = logplex
        self._style = Style(sys.stdout)
        self._seconds = seconds
        self._started_at = time.monotonic()

    def update(self) -> None:
        lines = self._logplex.lines
        text = "".join(f"{shown_line(line, self._style)}\n" for line in lines[self.shown :])
        self.shown = len(lines)
        if self._style.is_terminal:
            text = f"{_CLEAR_LINE}{text}{self._bar()}"
        if text:
            print(text, end="", flush=True)

    def _bar(self) -> str:
        share = min(1.0, (time.monotonic() - self._started_at) / self._seconds)
        width = round(share * _BAR_WIDTH)
        done = self._style.paint("━" * width, "cyan")
        left = self._style.paint("━" * (_BAR_WIDTH - width), "dim")
        return (
            f"{done}{left} {share * self._seconds:.1f} of {self._seconds:g} s, {self.shown} lines"
        )

    def close(self) -> None:
        if self._style.is_terminal:
            print(_CLEAR_LINE, end="", flush=True)


def _repeat(activity: Callable[[], None], closed: threading.Event) -> None:
    while not closed.is_set():
        activity()
        closed.wait(random.uniform(0.05, 0.25))


def _serve() -> None:
    """Log a web request: a message that is key=value by itself, and metrics."""
    latency = random.randrange(2, 80)
    path = random.choice(("/", "/cart", "/search?q=red shoes"))
    logger = logging.getLogger("shop.web")
    logger.info("method=GET path=%s status=%d service=%dms", path, 200, latency)
    logger.info("", extra=measure("web.latency", latency, "ms") | count("web.requests"))


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
