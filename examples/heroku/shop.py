"""A web dyno: the smallest application that logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from logplex_handler import LogplexHandler

logging.basicConfig(level=logging.INFO, handlers=[LogplexHandler()])
log = logging.getLogger("shop")


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    log.info("page=%s", environ["PATH_INFO"])
    start_response("204 No Content", [])
    return []
