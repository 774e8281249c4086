"""The smallest WSGI application that logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger("shop")


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    log.info("order shipped", extra={"path": environ["PATH_INFO"]})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"shipped\n"]
