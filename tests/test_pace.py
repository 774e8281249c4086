"""How long things take beside a machine that is busy: `tests/pace.py`."""

from __future__ import annotations

import time

import pytest

from tests.pace import LONGEST_BEAT, seconds_with_a_turn, stopwatch
from tests.spool.kills import INTERVAL, last_moments


@pytest.mark.parametrize(
    ("beats", "seconds"),
    [
        ([(1.0, 0.0)], 0.0),
        # An idle machine, where every beat counts.
        ([(1.0, 0.0), (1.01, 0.0), (1.025, 0.001)], 0.025),
        # Nobody had a turn for half a second.
        ([(1.0, 0.0), (1.5, 0.001), (1.51, 0.002)], LONGEST_BEAT + 0.01),
        # This process worked instead, which is its own fault.
        ([(1.0, 0.0), (1.5, 0.4), (1.51, 0.4)], 0.41),
    ],
)
def test_waiting_for_a_turn_does_not_count_and_work_of_our_own_does(beats, seconds):
    """Else a bound on time would say more of the machine than of the code."""
    assert seconds_with_a_turn(beats) == pytest.approx(seconds)


def test_a_stopwatch_counts_what_its_own_process_does():
    """All of it: it is the thread that beats that has to wait."""
    with stopwatch() as watch:
        began = time.process_time()
        while time.process_time() < began + 0.2:
            pass
        assert watch.seconds > 0.19


def test_a_stopwatch_knows_the_time_since_a_moment_in_between():
    """As what another process has said when it happened."""
    with stopwatch() as watch:
        moment = time.monotonic()
        assert watch.since(moment) <= watch.seconds
        assert watch.since(moment + 1000) == 0


@pytest.mark.parametrize(
    ("beats", "began"),
    [
        ([], -2 * INTERVAL),
        ([-0.3, -0.1, -0.09], -0.3 - (2 * INTERVAL - 2 * LONGEST_BEAT - 0.01)),
        ([-number / 100 for number in range(100, 0, -1)], -2 * INTERVAL),
        # The disk or the processor stood still for three seconds.
        ([-3 - number / 100 for number in range(100, 0, -1)], -3.01 - 2 * INTERVAL + LONGEST_BEAT),
    ],
)
def test_the_last_moments_of_a_killed_process_are_two_intervals_of_beats(beats, began):
    """They reach back further where nobody had a turn."""
    assert last_moments(0.0, beats) == pytest.approx(began)
