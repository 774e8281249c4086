"""A small simulation with the ordinary tests; `python -m tests.relay.simulation` plays more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.relay.chunks import frame
from tests.relay.simulation import run
from tests.relay.simulation.checks import Seen, broken
from tests.relay.simulation.plan import of_seed
from tests.relay.simulation.receiver import Request
from tests.relay.simulation.takeovers import played
from tests.servers import TOKEN


@pytest.mark.timeout(500)
def test_whatever_fails_no_line_is_lost_or_under_two_ids(relay_server):
    """Shippers and the engine are killed and frozen, and customers refuse, hang and rotate."""
    plan = of_seed(0, producers=20, streams=300, shippers=2, pause=4.0)
    wrong, told = run.outcome(plan)
    assert wrong == [], told


@pytest.mark.timeout(500)
def test_shippers_that_come_and_go_lose_nothing_of_processes_that_log(relay_server):
    steps = ("scale up", "terminate", "kill")
    _, seen = played(steps, lines=3000, customers=80, producers=2, seconds=6.0, more=2)
    assert broken(seen) == []
    assert seen.books["delivered"] == 3000


def test_a_seed_stands_for_one_plan():
    options = {"producers": 10, "streams": 100, "shippers": 2, "pause": 4.0}
    assert of_seed(7, **options) == of_seed(7, **options)
    assert of_seed(7, **options) != of_seed(8, **options)


# What it finds, were it there.


def request(frame_id, *lines, began=0.0, ended=0.0, **more):
    body = b"".join(frame(line) for line in lines)
    return Request(7, "accepted", frame_id, "shipper", body, began, ended, is_routed=True, **more)


# Two lines of one producer and one of another, in two batches.
SEEN = Seen(
    pushed={7: ["p 1", "q 1", "p 2"]},
    requests=[request("a", "p 1", "q 1"), request("b", "p 2", began=1.0, ended=2.0)],
    left={},
    books={"pushed": 3, "delivered": 3, "waiting": 0, "in_flight": 0},
    dropped={},
)
FIRST, SECOND = SEEN.requests


def test_it_finds_nothing_where_all_is_well():
    assert broken(SEEN) == []
    own = "level=warning logger=logplex_handler count#logplex_handler.dropped=1"
    repeated = [FIRST, FIRST, SECOND, FIRST, request("c", own, began=3.0, ended=4.0)]
    assert broken(replace(SEEN, requests=repeated)) == []
    left = replace(SEEN, requests=[FIRST], left={7: [("b", ["p 2"])]})
    assert broken(replace(left, books={**SEEN.books, "delivered": 2, "waiting": 1})) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"requests": [FIRST]}, "1 lines are missing"),
        ({"requests": [FIRST, SECOND, request("c", "p 2", began=3.0)]}, "is under two ids"),
        ({"requests": [FIRST, SECOND, request("a", "p 2")]}, "two bodies under the frame id a"),
        ({"left": {7: [("c", ["p 2"])]}}, "left under another id"),
        ({"requests": [SECOND, FIRST]}, "'p 1' comes too late"),
        ({"requests": [request("a", "p 1", "q 1", ended=1.5), SECOND]}, "shipper at a time"),
        ({"requests": [FIRST, SECOND, request("c", "x 1", began=3.0)]}, "nobody has pushed 'x 1'"),
        ({"books": {**SEEN.books, "delivered": 2}}, "2 are accounted for"),
        ({"books": {**SEEN.books, "pushed": 4}}, "4 are in the books"),
        ({"dropped": {"relay_full": 1}}, "0 lines are missing, dropped"),
        ({"said": [f"url={TOKEN}"]}, "has said the token"),
        ({"stored": TOKEN.encode()}, "the engine has the token"),
        ({"said": ["internal error: KeyError"]}, "something internal"),
    ],
)
def test_it_finds_what_is_wrong(found, words):
    assert words in " ".join(broken(replace(SEEN, **found)))
