"""A few scenarios with the ordinary tests; `python -m tests.chaos` plays more of them."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from logplex_handler import LogplexHandler
from logplex_handler._sender import sender
from logplex_handler._sender.batch import Part
from logplex_handler._sender.retry_policy import Action, Decision
from tests.chaos import many, processes
from tests.chaos.checks import broken
from tests.chaos.run import play
from tests.chaos.scenario import of_seed

SEEDS = range(24)
# A storm at both ends of the way.
STORM = replace(of_seed(3), proxy_rages=True, longest=100, pace=0.003)


@pytest.fixture(scope="module")
def pool():
    """Scenarios spend their time waiting, so some of them may be played at a time."""
    context = get_context("forkserver")
    # What they import is imported once.
    context.set_forkserver_preload(["tests.chaos.many", "tests.chaos.processes"])
    with ProcessPoolExecutor(4, context) as pool:
        yield pool


def test_whatever_breaks_every_record_is_delivered_or_counted(pool):
    """In order, twice only under a frame id seen before, with balanced books; no call waits for
    it, and no thread, descriptor or token is left behind."""
    outcomes = list(pool.map(many.outcome, SEEDS))
    assert {seed: wrong for seed, wrong, *_ in outcomes if wrong} == {}
    # They did break something, and what is rarest is among them.
    played = [of_seed(seed) for seed in SEEDS]
    assert any(one.hostile and one.receiver_rages for one in played)
    assert any(one.spool not in ("", "none yet") for one in played)
    assert sum(totals["faults"] for *_, totals, _, _ in outcomes) > 200
    assert sum(totals["delivered"] for *_, totals, _, _ in outcomes) > 2000


def test_however_a_program_ends_in_a_storm_its_lines_are_there(pool):
    """Those of its forked children too."""
    seeds = {ending: seed for seed, ending in enumerate(processes.ENDINGS)}
    outcomes = pool.map(processes.broken_by, seeds.keys(), seeds.values())
    assert {e: wrong for e, wrong in zip(seeds, outcomes, strict=True) if wrong} == {}


def test_a_seed_stands_for_one_scenario():
    """The same whenever it is drawn; others for others."""
    assert of_seed(7) == of_seed(7)
    assert len({repr(of_seed(seed)) for seed in range(100)}) == 100


# What it finds, were it there.


def test_it_finds_records_that_are_lost(monkeypatch):
    """A sender that takes every answer for a good one."""
    monkeypatch.setattr(sender.retry_policy, "decide", lambda *_: Decision(Action.ACCEPT))
    assert "did not arrive" in " ".join(broken(play(STORM)))


def test_it_finds_lines_that_come_twice(monkeypatch):
    """A sender that gives every try an id of its own."""
    numbers = iter(range(10**6))
    anew = property(lambda _: str(next(numbers)), lambda *_: None)
    monkeypatch.setattr(Part, "frame_id", anew, raising=False)
    # Not every storm has answers that are lost behind batches that were routed.
    storms = (replace(STORM, seed=seed) for seed in range(20))
    assert any("under different frame ids" in " ".join(broken(play(one))) for one in storms)


def test_it_finds_calls_that_wait(monkeypatch):
    """A handler that waits for its receiver."""
    emit = LogplexHandler.handle

    def slow(self, record):
        # Much longer than is allowed: what a busy machine takes from a call does not count.
        time.sleep(0.5)
        return emit(self, record)

    monkeypatch.setattr(LogplexHandler, "handle", slow)
    assert "calls took longer" in " ".join(broken(play(replace(STORM, records=8))))
