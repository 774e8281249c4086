"""When the next batch of a stream is due, as a table."""

from __future__ import annotations

import math

import pytest

from logplex_handler._buffer.waking_queue import Backlog
from logplex_handler._sender.due import Urgency, next_batch_due_in

NOW = 1000.0
NEVER = -math.inf


def backlog(records=0, since=math.inf, **facts):
    facts = {"full_batch": False, "pressing": False, "flushing": False, **facts}
    return Backlog(records=records, since=since, **facts)


@pytest.mark.parametrize(
    ("waiting", "sent_at", "expected"),
    [
        # Nothing waits, or only records that are no reason to send.
        (backlog(), NEVER, None),
        (backlog(3), NOW, None),
        # The first record waits for more, whenever the last request was.
        (backlog(1, since=NOW), NEVER, 2.0),
        (backlog(1, since=NOW - 1.5), NOW, 0.5),
        (backlog(1, since=NOW - 2), NOW, 0.0),
        (backlog(1, since=NOW - 60), NOW, 0.0),
        # A full batch waits until a moment after the last request.
        (backlog(500, since=NOW, full_batch=True), NEVER, 0.0),
        (backlog(500, since=NOW, full_batch=True), NOW, 0.25),
        (backlog(500, since=NOW, full_batch=True), NOW - 0.125, 0.125),
        (backlog(500, since=NOW, full_batch=True), NOW - 1, 0.0),
        (backlog(500, since=NOW - 1.875, full_batch=True), NOW, 0.125),
        (backlog(500, full_batch=True), NOW, 0.25),
        # A large batch does not wait; one that presses without being full waits for more.
        (backlog(5000, since=NOW, full_batch=True, pressing=True), NOW, 0.0),
        (backlog(10, since=NOW, pressing=True), NOW, 2.0),
        # A flush waits for nothing.
        (backlog(1, since=NOW, flushing=True), NOW, 0.0),
        (backlog(1, flushing=True), NOW, 0.0),
        (backlog(0, flushing=True), NOW, None),
    ],
)
def test_a_batch_is_due(waiting, sent_at, expected):
    """By the flush interval, by size, and when a caller flushes."""
    due = next_batch_due_in(
        waiting,
        Urgency.NONE,
        NOW,
        flush_interval=2.0,
        sent_at=sent_at,
        has_own_lines=False,
    )
    assert due == expected


@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize("records", [0, 1])
@pytest.mark.parametrize("has_own_lines", [False, True])
def test_urgency_and_own_lines(urgency, records, has_own_lines):
    """Own lines are sent at once; records are when the handler closes, not when others flush."""
    due = next_batch_due_in(
        backlog(records, since=NOW if records else math.inf),
        urgency,
        NOW,
        flush_interval=2.0,
        sent_at=NOW,
        has_own_lines=has_own_lines,
    )
    if has_own_lines or (urgency is Urgency.CLOSING and records):
        assert due == 0.0
    else:
        assert due == (2.0 if records else None)
