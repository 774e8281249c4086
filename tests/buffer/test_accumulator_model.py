"""Two accumulators that may share memory, against an oracle: lists of entries by where they are.

Hypothesis puts, takes, keeps, settles and flushes in any order, and interrupts all of that with
entries that are logged while others are weighed.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.waking_queue import BATCH, DROPS, FIRST, LARGE, ROOM
from logplex_handler._wire.entry import LIGHT

MAX_BYTES = 12 * LIGHT
BATCH_FRAMES = 4
BATCH_BYTES = 5 * LIGHT
# What three quarters of the memory are sure to hold.
LARGE_FRAMES = 9

light_sizes = st.integers(1, LIGHT)
sizes = st.one_of(light_sizes, st.integers(1, MAX_BYTES), st.just(MAX_BYTES + 1))
few = st.integers(0, 6)
either = st.sampled_from([0, 1])


class Entry(NamedTuple):
    number: int
    size: int
    frames: int
    never_wakes: bool = False


class Oracle:
    """Where the entries of one accumulator are, and what a worker knows of them."""

    def __init__(self) -> None:
        self.queued: list[Entry] = []
        # Taken, and not known to have left; of these so many are settled in an unfinished batch.
        self.in_transit: list[Entry] = []
        self.settled = 0
        self.last_taken = 0
        self.recovered = self.recovered_left = 0
        self.accepted = self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self.unreported = False
        self.rejected_as: str | None = None
        self.is_abandoned = False
        self.is_room_wanted = False
        # What a worker was woken for, or saw when it looked.
        self.known = 0
        # Everything that was there when the last flush began, and when those that wait did.
        self.latest_flush: list[Entry] = []
        self.flushes: list[tuple[object, list[Entry]]] = []

    @property
    def unsettled(self) -> int:
        return len(self.in_transit) - self.settled

    @property
    def pending(self) -> int:
        return len(self.queued) + self.unsettled + self.recovered_left

    def drop(self, cause: str, records: int = 1, *, is_reported: bool = True) -> None:
        if records:
            self.dropped[cause] += records
            self.unreported |= is_reported

    def all_left(self, entries: list[Entry]) -> bool:
        return not set(entries) & {*self.queued, *self.in_transit}

    def settle(self, records: int, *, through: bool) -> None:
        self.settled += records
        self.last_taken = min(self.last_taken, self.unsettled)
        if through or not self.unsettled:
            del self.in_transit[: self.settled]
            self.settled = 0

    def reasons(self) -> int:
        """Reasons to wake a worker that must not be missed; it may be woken for others."""
        reasons = 0
        if any(not entry.never_wakes for entry in self.queued):
            reasons |= FIRST
        frames = sum(entry.frames for entry in self.queued)
        if frames >= BATCH_FRAMES or (self.is_room_wanted and self.queued):
            reasons |= BATCH
        if not self.known & BATCH and sum(e.size for e in self.queued) >= BATCH_BYTES:
            reasons |= BATCH
        if frames >= LARGE_FRAMES:
            reasons |= LARGE
        if self.unreported:
            reasons |= DROPS
        return reasons


class Accumulators(RuleBasedStateMachine):
    """What two accumulators do, and what they should have done."""

    @initialize(
        on_full=st.sampled_from(["drop_oldest", "drop_newest", "block"]),
        is_shared=st.booleans(),
        has_disk=st.booleans(),
    )
    def open(self, on_full, is_shared, has_disk):
        self.number = 0
        self.may_drop_oldest = on_full == "drop_oldest"
        self.pool = MemoryPool(MAX_BYTES, may_reclaim=self.may_drop_oldest) if is_shared else None
        limits = BufferLimits(MAX_BYTES, on_full, BATCH_FRAMES, BATCH_BYTES, has_disk=has_disk)
        self.oracles = [Oracle(), Oracle()]
        self.accumulators = [Accumulator(limits, self.weigh, self.pool) for _ in self.oracles]
        # What is logged when an entry is weighed next, and what was logged so in this step.
        self.interruptions = []
        self.interrupted = [[], []]

    def weigh(self, entry):
        if self.interruptions:
            one, is_light, more = self.interruptions.pop()
            self.interrupted[one].append(more)
            accumulator = self.accumulators[one]
            woke = accumulator.append(more) if is_light else accumulator.put(more)
            if self.oracles[one].rejected_as is not None and not is_light:
                self.interrupted[one].remove(more)
                self.reject(one)
            elif woke:
                self.woken.add(one)
        return entry.size, entry.frames

    def entry(self, size, frames=1, *, never_wakes=False):
        self.number += 1
        return Entry(self.number, size, frames, never_wakes)

    def held(self, one):
        """Bytes that it really holds."""
        in_transit = self.accumulators[one].in_transit_bytes
        return in_transit + sum(entry.size for entry in self.actual(one))

    def actual(self, one):
        return self.accumulators[one].entries[self.accumulators[one].gone :]

    def reject(self, one):
        oracle = self.oracles[one]
        oracle.accepted += 1
        oracle.drop(oracle.rejected_as, is_reported=False)

    def begin(self):
        """Before each step."""
        self.woken = set()
        self.before = [self.held(one) for one in (0, 1)]

    def end(self, *, put=None, looked=()):
        """After each step: what gave way is found out, and was right to."""
        if put is not None:
            one, entry = put
            self.interrupted[one].append(entry)
        filled = [one for one in (0, 1) if self.interrupted[one]]
        for one in (0, 1):
            self.see_what_gave_way(one)
        for one in (0, 1):
            oracle = self.oracles[one]
            if one in looked or one in self.woken:
                oracle.known |= oracle.reasons() | self.seen(one)
            if one in filled:
                assert not oracle.reasons() & ~oracle.known, "nobody was woken"
        if put is not None and not (self.pool is not None and self.pool.to_shrink):
            self.check_bytes(put[0])

    def seen(self, one):
        """What a worker sees besides: reasons of entries that gave way, and of weights."""
        oracle, accumulator = self.oracles[one], self.accumulators[one]
        seen = FIRST if oracle.queued and accumulator.since != math.inf else 0
        if accumulator.weighed_bytes >= BATCH_BYTES:
            seen |= BATCH | LARGE
        if oracle.reasons() & BATCH and self.pool is not None and self.pool.is_scarce:
            seen |= LARGE
        return seen

    def see_what_gave_way(self, one):
        oracle, actual = self.oracles[one], self.actual(one)
        new, self.interrupted[one] = self.interrupted[one], []
        oracle.accepted += len(new)
        # An entry that is logged in the middle of an operation comes before or behind its own.
        orders = [oracle.queued + list(order) for order in permutations(new)]
        possible = [wanted for wanted in orders if is_in_order(actual, wanted)]
        assert possible, f"{actual} are not in the order of {oracle.queued} and {new}"
        gone = [entry for entry in possible[0] if entry not in set(actual)]
        if oracle.is_abandoned:
            oracle.drop(oracle.rejected_as, len(gone), is_reported=False)
        else:
            oracle.drop("buffer_full", len(gone))
            if gone and self.pool is None:
                self.check_reason_to_drop(one, possible, actual, gone)
        oracle.queued = actual

    def check_reason_to_drop(self, one, possible, actual, gone):
        """In one of the possible orders, each entry that is gone had to go."""
        in_transit = self.accumulators[one].in_transit_bytes
        assert in_transit + sum(entry.size for entry in possible[0]) > MAX_BYTES, "all had room"

        def had_to_go(entry, wanted):
            if self.may_drop_oldest:
                is_oldest = not actual or wanted.index(entry) < wanted.index(actual[0])
                return is_oldest or entry.size + in_transit > MAX_BYTES
            before = wanted[: wanted.index(entry)]
            return entry.size > MAX_BYTES - in_transit - sum(e.size for e in before if e in actual)

        assert any(all(had_to_go(entry, wanted) for entry in gone) for wanted in possible), gone

    def check_bytes(self, one):
        allowed = self.accumulators[one].allowed
        assert self.held(one) <= max(allowed, self.before[one])

    # What callers do.

    @rule(one=either, size=light_sizes)
    def append(self, one, size):
        self.begin()
        entry = self.entry(size)
        if self.accumulators[one].append(entry):
            self.woken.add(one)
        self.end(put=(one, entry))

    @rule(one=either, size=light_sizes, times=st.integers(2, 50))
    def append_many(self, one, size, times):
        for _ in range(times):
            self.append(one, size)

    @rule(
        one=either,
        size=sizes,
        frames=st.integers(1, 3),
        never_wakes=st.booleans(),
        may_wait=st.booleans(),
    )
    def put(self, one, size, frames, never_wakes, may_wait):
        self.begin()
        oracle = self.oracles[one]
        entry = self.entry(size, frames, never_wakes=never_wakes)
        woke = self.accumulators[one].put(entry, may_wait=may_wait, never_wakes=never_wakes)
        if oracle.rejected_as is not None:
            assert woke is False
            self.reject(one)
            self.end()
        elif woke is None:
            assert may_wait or never_wakes
            if may_wait and not never_wakes:
                # A caller that waits for room wakes a worker.
                oracle.is_room_wanted = True
                self.woken.add(one)
            self.end()
            if self.pool is None:
                assert self.held(one) + size > MAX_BYTES
                assert never_wakes or size <= MAX_BYTES
        else:
            if woke:
                self.woken.add(one)
            self.end(put=(one, entry))

    @rule(one=either)
    def drop(self, one):
        self.begin()
        oracle = self.oracles[one]
        woke = self.accumulators[one].drop("format_error")
        if oracle.rejected_as is not None:
            assert not woke
            self.reject(one)
        else:
            oracle.accepted += 1
            oracle.drop("format_error")
            if woke:
                self.woken.add(one)
        self.end()
        assert not oracle.unreported or oracle.known & DROPS or oracle.rejected_as

    @rule(one=either, inside=either, is_light=st.booleans(), size=light_sizes)
    def interrupt_next(self, one, inside, is_light, size):
        """What weighs next is interrupted by something that logs."""
        self.interruptions.append((inside, is_light, self.entry(size)))

    # What a worker does.

    @rule(one=either, most=few)
    def take(self, one, most):
        self.begin()
        oracle, accumulator = self.oracles[one], self.accumulators[one]
        # Those that give way do so before.
        accumulator.backlog()
        self.end(looked=[one])
        expected = oracle.queued[:most]
        assert accumulator.take(most) == expected
        del oracle.queued[:most]
        oracle.in_transit += expected
        oracle.last_taken = len(expected)
        oracle.is_room_wanted = False
        oracle.known &= DROPS
        self.end(looked=[one])

    @rule(one=either, back=few, size=st.integers(0, MAX_BYTES // 2))
    @precondition(lambda self: any(oracle.unsettled for oracle in self.oracles))
    def keep(self, one, back, size):
        self.begin()
        oracle, accumulator = self.oracles[one], self.accumulators[one]
        if not oracle.unsettled:
            return
        back = min(back, oracle.last_taken)
        entries = oracle.in_transit[len(oracle.in_transit) - back :]
        accumulator.resize_taken(size, returned=entries)
        del oracle.in_transit[len(oracle.in_transit) - back :]
        oracle.queued = entries + oracle.queued
        oracle.last_taken -= back
        oracle.settle(0, through=False)
        held = accumulator.in_transit_bytes
        assert held == (size if oracle.unsettled else 0)
        self.end(looked=[one])
        if back:
            assert accumulator.backlog().since < float("inf") or not oracle.queued
            self.end(looked=[one])

    @rule(one=either, delivered=st.integers(0, 2), dropped=st.integers(0, 1), through=st.booleans())
    def settle(self, one, delivered, dropped, through):
        self.begin()
        oracle = self.oracles[one]
        delivered = min(delivered, oracle.unsettled)
        dropped = min(dropped, oracle.unsettled - delivered)
        if not oracle.unsettled:
            # It was abandoned: nothing is counted twice.
            self.accumulators[one].settle(delivered=3, dropped=3, through=through)
        else:
            self.accumulators[one].settle(delivered=delivered, dropped=dropped, through=through)
            oracle.settle(delivered + dropped, through=through)
            oracle.delivered += delivered
            oracle.drop("refused", dropped)
        self.end(looked=[one])

    @rule(one=either, records=st.integers(1, 3))
    def recover(self, one, records):
        oracle = self.oracles[one]
        if not oracle.is_abandoned:
            self.accumulators[one].count_recovered(records)
            oracle.accepted += records
            oracle.recovered_left += records

    @rule(one=either, delivered=few, dropped=few)
    def settle_recovered(self, one, delivered, dropped):
        self.begin()
        oracle = self.oracles[one]
        delivered = min(delivered, oracle.recovered_left)
        dropped = min(dropped, oracle.recovered_left - delivered)
        self.accumulators[one].settle(delivered=delivered, dropped=dropped, recovered=True)
        oracle.recovered_left -= delivered + dropped
        oracle.delivered += delivered
        oracle.drop("refused", dropped)
        self.end(looked=[one])

    @rule(one=either)
    def claim_drops(self, one):
        oracle = self.oracles[one]
        drops = self.accumulators[one].claim_drops()
        assert drops == {c: n for c, n in oracle.dropped.items() if c != "closed" and n}
        oracle.unreported = False
        oracle.known &= FIRST | BATCH | LARGE | ROOM

    # Flushes, the end, and those that only look.

    @rule(one=either)
    def begin_flush(self, one):
        self.begin()
        oracle = self.oracles[one]
        mark = self.accumulators[one].begin_flush()
        oracle.latest_flush = oracle.in_transit + oracle.queued
        oracle.flushes.append((mark, oracle.latest_flush))
        self.end()

    @rule(one=either, size=light_sizes, delivered=st.integers(0, 2), through=st.booleans())
    def take_more_than_is_flushed(self, one, size, delivered, through):
        self.append(one, size)
        self.begin_flush(one)
        self.append(one, size)
        self.take(one, 6)
        self.a_flush_is_over_when_all_before_it_has_left()
        self.settle(one, delivered, 0, through)

    @rule(one=either)
    def flush_soon(self, one):
        self.accumulators[one].end_flush(self.accumulators[one].begin_flush())
        self.oracles[one].latest_flush = self.oracles[one].in_transit + self.oracles[one].queued

    @rule(one=either, which=few)
    def end_flush(self, one, which):
        oracle = self.oracles[one]
        if oracle.flushes:
            mark, _ = oracle.flushes.pop(which % len(oracle.flushes))
            self.accumulators[one].end_flush(mark)

    @rule(one=either, is_unlikely=st.integers(0, 9).map(lambda number: number == 9))
    def reject_from_now(self, one, is_unlikely):
        # There is little to see behind it.
        if is_unlikely:
            self.accumulators[one].reject_from_now("closed")
            self.oracles[one].rejected_as = "closed"

    @rule(one=either, unwritten=st.none() | few)
    @precondition(lambda self: any(oracle.rejected_as for oracle in self.oracles))
    def abandon(self, one, unwritten):
        self.begin()
        oracle = self.oracles[one]
        if oracle.rejected_as is None:
            return
        unwritten = None if unwritten is None else min(unwritten, oracle.unsettled)
        queued = 0 if oracle.is_abandoned else len(oracle.queued)
        late = len(oracle.queued) - queued
        left = self.accumulators[one].abandon("shutdown", unwritten=unwritten)
        lost = oracle.unsettled + oracle.recovered_left if unwritten is None else unwritten
        assert left == queued + late + lost
        oracle.drop("shutdown", left)
        oracle.queued = []
        oracle.is_abandoned = True
        if unwritten is None:
            oracle.recovered_left = 0
            oracle.in_transit, oracle.settled = [], 0
        else:
            del oracle.in_transit[len(oracle.in_transit) - unwritten :]
            oracle.settle(0, through=False)
        oracle.last_taken = 0
        self.end(looked=[one])

    @rule()
    @precondition(lambda self: self.pool is not None)
    def shrink(self):
        self.begin()
        may_be_interrupted = bool(self.interruptions)
        self.pool.shrink_holders()
        self.end(looked=[0, 1])
        assert may_be_interrupted or not self.pool.to_shrink

    @rule(one=either)
    def look_at_backlog(self, one):
        self.begin()
        backlog = self.accumulators[one].backlog()
        self.end(looked=[one])
        oracle = self.oracles[one]
        assert backlog.records == len(oracle.queued)
        assert backlog.flushing is not oracle.all_left(oracle.latest_flush)
        assert not oracle.reasons() & FIRST or backlog.since < float("inf")
        assert not oracle.reasons() & LARGE or backlog.pressing
        frames = sum(entry.frames for entry in oracle.queued)
        assert frames < BATCH_FRAMES or backlog.full_batch

    @rule(one=either)
    def look_at_fill_ratio(self, one):
        self.begin()
        may_be_interrupted = bool(self.interruptions)
        ratio = self.accumulators[one].fill_ratio()
        self.end()
        if not may_be_interrupted:
            assert ratio == self.held(one) / MAX_BYTES

    @rule(one=either)
    def look_at_counts(self, one):
        self.begin()
        self.accumulators[one].counts()
        self.end()

    # What holds all the time. Nothing here may see to what was appended.

    @invariant()
    def the_ledger_balances(self):
        for one in (0, 1):
            oracle = self.oracles[one]
            accepted, delivered, pending, dropped = self.accumulators[one]._counts()
            assert accepted == delivered + pending + sum(dropped.values())
            assert accepted == oracle.accepted
            assert delivered == oracle.delivered
            assert pending == oracle.pending
            assert {c: n for c, n in dropped.items() if n} == dict(oracle.dropped)

    @invariant()
    def a_flush_is_over_when_all_before_it_has_left(self):
        for one in (0, 1):
            oracle = self.oracles[one]
            for mark, entries in oracle.flushes:
                is_over = not oracle.recovered_left and oracle.all_left(entries)
                assert self.accumulators[one].is_flushed(mark) is is_over

    @invariant()
    def no_memory_is_lost(self):
        if self.pool is not None:
            allowed = [one.allowed for one in self.accumulators]
            assert self.pool._left + sum(allowed) == MAX_BYTES
            assert min(allowed) >= 0
            assert self.pool._left >= 0

    @invariant()
    def no_operation_is_under_way(self):
        assert not any(one._under_way.locked() for one in self.accumulators)


def is_in_order(some, entries):
    """Whether these are some of the entries, in their order."""
    rest = iter(entries)
    return all(one in rest for one in some)


Accumulators.TestCase.settings = settings(max_examples=50, stateful_step_count=60)
TestAccumulators = Accumulators.TestCase


def test_what_was_dropped_while_entries_were_taken_makes_no_batch_known():
    """An interruption logs one that fills a batch, and for which there is no room."""
    state = Accumulators()
    state.open("drop_newest", is_shared=True, has_disk=False)
    for size, times in ((328, 1), (1, 2), (1346, 6)):
        for _ in range(times):
            state.append(0, size)
    state.interrupt_next(one=0, inside=0, is_light=False, size=1)
    state.append(1, 1)
    state.append_many(1, 722, 7)
    state.interrupt_next(one=0, inside=1, is_light=False, size=680)
    state.take(1, 4)
    assert len(state.actual(1)) == BATCH_FRAMES - 1
    state.begin()
    entry = state.entry(1)
    assert state.accumulators[1].append(entry)
    state.woken.add(1)
    state.end(put=(1, entry))
