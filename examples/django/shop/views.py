"""Views that log as usual."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse

log = logging.getLogger(__name__)


def order(request: HttpRequest, order_id: int) -> HttpResponse:
    log.info("order shipped", extra={"order_id": order_id})
    return HttpResponse("shipped\n")


def broken(request: HttpRequest) -> HttpResponse:
    raise TimeoutError("the carrier did not answer")
