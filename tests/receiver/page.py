"""A receiver and its page, in the test's own process."""

from __future__ import annotations

import json
import zlib
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import requests

from logplex_handler.receiver.feed import Feed
from logplex_handler.receiver.page import Page
from logplex_handler.receiver.store import Store
from logplex_handler.testing import LogplexReceiver

START = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


class Shown:
    """A page and the receiver behind it."""

    def __init__(self, page, receiver, store):
        self.page = page
        self.receiver = receiver
        self.store = store

    def send(self, *texts, **options):
        """One request with these texts, as `body` makes it; its status."""
        return self.post(body(*texts, **options), len(texts))

    def items(self):
        """All items that are kept, as the page gets them."""
        return [item for batch in self.store.kept() for item in json.loads(f"[{batch.text}]")]

    def lines(self):
        return [item for item in self.items() if "x" in item]

    def post(self, data, count):
        headers = {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(count),
            "Logplex-Frame-Id": str(zlib.crc32(data)),
        }
        return requests.post(self.receiver.url, data=data, headers=headers, timeout=100).status_code


def body(*texts, second=0.0, process="web.1", hostname="shop", priority=190):
    """Good frames of a time after the start."""
    time = (START + timedelta(seconds=second)).isoformat(timespec="microseconds")
    head = f"<{priority}>1 {time} {hostname} app {process} - - ".encode()
    packets = [head + text.encode() + b"\n" for text in texts]
    return b"".join(b"%d %b" % (len(packet), packet) for packet in packets)


@contextmanager
def shown(keep=100_000, page_port=0, **options):
    """A page on a free port or this one, and a receiver that feeds it."""
    store = Store(keep)
    receiver = LogplexReceiver(on_arrival=Feed([store.add]), **options)
    with Page(store, page_port) as page, receiver:
        page.receiver_url = receiver.url
        yield Shown(page, receiver, store)
