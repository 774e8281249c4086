"""Send to Vector, which needs a drain token, and shows the `-` for structured data in the text."""

from __future__ import annotations

import logging
import os

from logplex_handler import LogplexHandler

handler = LogplexHandler(
    os.environ.get("VECTOR_URL", "https://token:SECRET@vector.example:8443/events"),
    headers={"Logplex-Drain-Token": "d.shop"},
    structured_data=False,
)
logging.basicConfig(level=logging.INFO, handlers=[handler])

logging.getLogger("shop").info("order shipped", extra={"order_id": 42})
