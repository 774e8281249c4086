"""Tests of what a program logs, with the fixture `logplex`: run them with pytest."""

from __future__ import annotations

import logging

import pytest
import warehouse

from logplex_handler.testing import LogplexCapture


def test_an_order_is_logged(logplex: LogplexCapture) -> None:
    """The customer sees the order with its number."""
    warehouse.ship(42, "berlin")
    line = logplex.wait_for(order_id=42, city="berlin")
    assert line.text == 'level=info logger=shop msg="order shipped" order_id=42 city=berlin'


def test_the_time_is_measured(logplex: LogplexCapture) -> None:
    """Each order has one measurement, in milliseconds."""
    warehouse.ship(42, "berlin")
    (metric,) = logplex.metrics
    assert (metric.kind, metric.name, metric.unit) == ("measure", "shipping.time", "ms")
    assert metric.value < 1000


def test_a_city_that_does_not_exist_is_an_error(logplex: LogplexCapture) -> None:
    """The error is logged once, with the order."""
    warehouse.ship(42, "atlantis")
    errors = [pairs for pairs in logplex.pairs if pairs.get("level") == "error"]
    assert [pairs["order_id"] for pairs in errors] == ["42"]


def test_nothing_is_lost_while_the_receiver_is_down(logplex: LogplexCapture) -> None:
    """The first request is refused, the second is accepted."""
    logplex.fail_next(503)
    warehouse.ship(42, "berlin")
    logplex.wait_for(order_id=42)
    # The measurement that comes with the line may take a request of its own.
    assert [request.status for request in logplex.requests][:2] == [503, 204]


@pytest.mark.logplex(logger="shop", level="ERROR", hostname="shop-app")
def test_only_errors_of_one_logger(logplex: LogplexCapture) -> None:
    """The mark sets the logger, the level, and options of the handler."""
    logging.getLogger("other").error("not of the shop")
    warehouse.ship(42, "atlantis")
    (line,) = logplex.lines
    assert line.packet.hostname == "shop-app"


@pytest.mark.logplex(strict=False, formatter=logging.Formatter("%(message)s"))
def test_a_line_that_is_malformed_on_purpose(logplex: LogplexCapture) -> None:
    """Without `strict`, malformed text does not fail the test."""
    logging.getLogger("shop").info("size=1 path=a=b")
    (line,) = logplex.lines
    assert [violation.rule for violation in line.violations] == ["pair.bare"]
