"""The counts of a handler, as values that a program keeps, sends and writes."""

import copy
import json
import pickle
from dataclasses import asdict

from logplex_handler import LogplexHandler, Stats
from tests.logs import logging_to
from tests.spool.shared import DEAD


def test_they_can_be_pickled_copied_and_written_as_json():
    """A process sends them to another one, and an endpoint answers with them."""
    with logging_to(DEAD, shutdown_timeout=0) as (logger, handler):
        logger.info("one")
        handler.close()
        logger.info("two")
        stats = handler.stats()
    assert stats.dropped == {"shutdown": 1, "closed": 1}
    assert pickle.loads(pickle.dumps(stats)) == stats
    assert copy.deepcopy(stats) == stats
    assert Stats(**json.loads(json.dumps(asdict(stats)))) == stats


def test_changing_what_was_returned_changes_no_count():
    handler = LogplexHandler("https://token:t.x@127.0.0.1:9/logs", shutdown_timeout=0)
    handler.close()
    handler.stats().dropped["closed"] = 5  # type: ignore[index]
    assert handler.stats().dropped == {}
