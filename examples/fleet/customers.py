"""The customers' URLs, for shippers: `logplex-handler ship --streams customers:streams`.

An add-on has them in its database; here they are in `customers.json`, by customer.
"""

from __future__ import annotations

import json
from pathlib import Path

CUSTOMERS = Path("customers.json")


class Streams:
    """Asked for a customer's URL when it is first needed, and again after a refusal."""

    def url_for(self, stream: str) -> str | None:
        """The URL, or None if there is no such customer (its lines are then dropped)."""
        urls: dict[str, str] = json.loads(CUSTOMERS.read_text(encoding="utf-8"))
        return urls.get(stream)

    def refresh(self, stream: str, rejected: str) -> str | None:
        """The URL after one was refused. One who rotates a customer's URL writes the new one."""
        return self.url_for(stream)


streams = Streams()
