"""Producers and shippers that do anything in any order, beside a model of what must be there."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from logplex_handler._relay.chunk import shard_of, stream_key
from logplex_handler._relay.parts import Part
from logplex_handler._relay.reading import taken_of
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.server import Problem
from logplex_handler._relay.values import Fate, Outcome, Pushed, Settled, Taken
from tests.relay.chunks import Producer, texts

STREAMS = ("a", "b", "c", 1, 2)
SHARDS = 2
SHIPPERS = ("one", "two")
# Bytes of a stream: some five chunks.
MAX_STREAM = 5000
PRODUCERS = ("p", "q")
EVENTS = (
    *("push again", "renew", "release", "lease ends", "time passes", "scripts are forgotten"),
)

_NUMBERS = st.integers(0, 99)
# Of the lines of a chunk.
_LENGTHS = st.lists(st.sampled_from([1, 600]), min_size=1, max_size=3)


def size(chunk):
    """Bytes in the engine, with the time in front."""
    return 8 + len(chunk.head()) + len(chunk.body)


class Stream:
    """What the model knows of a stream."""

    def __init__(self):
        # Chunks that wait, and those of the batch that is not settled.
        self.waiting = deque()
        self.flying = []
        # The id of that batch, its requests that are left, and its records.
        self.frame_id = None
        self.requests = []
        self.left = 0
        # When the batch is to be taken again: never by itself, if it is in hand.
        self.in_hand_of = None
        self.is_later = False
        self.unreported = Counter()


class Relay(RuleBasedStateMachine):
    def __init__(self, server):
        super().__init__()
        self.client = server.client
        self.client.flushall()
        self.engine = RedisEngine(
            server.url, shards=SHARDS, max_stream_bytes=MAX_STREAM, lease=600, timeout=100
        )
        self.producers = {name: Producer(name) for name in PRODUCERS}
        self.pushed = []
        self.streams = {stream: Stream() for stream in STREAMS}
        self.leases = {name: {} for name in SHIPPERS}
        # What each shipper believes to have in hand, also after its lease was stolen.
        self.hands = {name: [] for name in SHIPPERS}
        self.counts = Counter()
        self.ids = Counter()

    def teardown(self):
        self.engine.close()
        self.client.close()

    @rule(
        producer=st.sampled_from(PRODUCERS),
        pushed=st.lists(st.tuples(st.sampled_from(STREAMS), _LENGTHS), min_size=1, max_size=4),
    )
    def push(self, producer, pushed):
        chunks = []
        for stream, lengths in pushed:
            lines = [
                f"{producer} {self.producers[producer].sequence} {number}".ljust(length)
                for number, length in enumerate(lengths)
            ]
            chunks.append(self.producers[producer].chunk(stream, *lines))
        assert {*self.engine.push(chunks)} == {Pushed.STORED}
        self.pushed += chunks
        for chunk in chunks:
            self.counts["pushed"] += chunk.records
            stream = self.streams[chunk.stream]
            stream.waiting.append(chunk)
            while sum(map(size, stream.waiting)) > MAX_STREAM and len(stream.waiting) > 1:
                dropped = stream.waiting.popleft()
                stream.unreported["relay_full"] += dropped.records
                self.counts["relay_full"] += dropped.records

    def push_again(self, number):
        if self.pushed:
            chunks = [self.pushed[(number + place) % len(self.pushed)] for place in (0, 7)]
            assert {*self.engine.push(chunks)} == {Pushed.KNOWN}

    @rule(shipper=st.sampled_from(SHIPPERS))
    def acquire(self, shipper):
        held = {shard for of_one in self.leases.values() for shard in of_one}
        found = self.engine.acquire(range(SHARDS), shipper)
        assert {lease.shard for lease in found} == {*range(SHARDS)} - held
        for lease in found:
            self.leases[shipper][lease.shard] = lease
            for stream, state in self.streams.items():
                if self.shard_of(stream) == lease.shard:
                    state.in_hand_of = None

    def renew(self, shipper):
        held = self.leases[shipper]
        assert {lease.token for lease in self.engine.renew([*held.values()])} == {
            lease.token for lease in held.values()
        }

    def release(self, shipper):
        """In order, but with batches in hand: the next owner must take those again."""
        self.engine.release([*self.leases[shipper].values()])
        self.leases[shipper] = {}

    def lease_ends(self, shard):
        self.client.delete(f"lp:{{{shard}}}:lease")
        for of_one in self.leases.values():
            of_one.pop(shard, None)

    @rule(shipper=st.sampled_from(SHIPPERS), most=st.integers(1, 4), luck=_NUMBERS)
    def take(self, shipper, most, luck):
        self.acquire(shipper)
        leases = [*self.leases[shipper].values()]
        if luck % 5 == 4:
            self.lose_take(leases, most)
            return
        takes = self.engine.take(leases, max_streams=most)
        assert (takes.fenced, takes.away) == (frozenset(), frozenset())
        for taken in takes.taken:
            self.is_as_expected(taken)
            self.streams[taken.stream].in_hand_of = taken.lease.token
            self.hands[shipper].append(taken)
        if takes.is_all and leases:
            shards = {lease.shard for lease in leases}
            for stream, state in self.streams.items():
                if self.shard_of(stream) in shards and not state.in_hand_of and not state.is_later:
                    assert [*state.waiting, *state.flying, *state.unreported] == []

    def lose_take(self, leases, most):
        """The engine hands over batches, but its answer never comes."""
        servers = self.engine._servers
        answers = []

        def run(commands, **options):
            answers.extend(type(servers).run(servers, commands, **options))
            return [Problem("lost") for _ in commands]

        servers.run = run
        try:
            takes = self.engine.take(leases, max_streams=most)
        finally:
            del servers.run
        assert takes.away == {lease.shard for lease in leases}
        for lease, answer in zip(leases, answers, strict=True):
            for found in answer[2:]:
                self.is_as_expected(taken_of(lease, float(answer[1]), found))

    def is_as_expected(self, taken: Taken):
        state = self.streams[taken.stream]
        assert state.in_hand_of is None
        assert not state.is_later
        if state.frame_id is None:
            assert not taken.again
            assert not taken.parts
            state.flying = [state.waiting.popleft() for _ in taken.chunks]
            assert state.flying or state.unreported
            state.frame_id = taken.frame_id
            state.left = sum(chunk.records for chunk in state.flying)
            lines = [line for chunk in state.flying for line in texts(chunk.frames)]
            state.requests = [(taken.frame_id, lines)] if lines else []
            # Another batch never has its id.
            self.ids[taken.frame_id] += 1
            assert self.ids[taken.frame_id] == 1
        else:
            assert taken.again
        assert taken.frame_id == state.frame_id
        assert [*taken.chunks] == state.flying
        assert taken.records == state.left
        assert [(id, texts(frames)) for id, frames in taken.requests] == state.requests
        assert Counter(taken.unreported) == state.unreported

    # What is drawn must not depend on the engine, which has a clock.
    @rule(
        shipper=st.sampled_from(SHIPPERS),
        fate=st.sampled_from(Fate),
        which=_NUMBERS,
        numbers=st.tuples(_NUMBERS, _NUMBERS, _NUMBERS),
        is_parted=st.booleans(),
        is_told=st.booleans(),
        waits=st.booleans(),
    )
    def settle(self, shipper, fate, which, numbers, is_parted, is_told, waits):
        if not self.hands[shipper]:
            return
        taken = self.hands[shipper].pop(which % len(self.hands[shipper]))
        delivered = numbers[0] % (taken.records + 1)
        refused = numbers[1] % (taken.records - delivered + 1)
        parts, requests = taken.parts, [(id, texts(frames)) for id, frames in taken.requests]
        frames = sum(chunk.frame_count for chunk in taken.chunks)
        # What is settled of a batch that is held and has parts is in none of them any more.
        is_parted |= fate is Fate.HELD and bool(parts) and delivered + refused > 0
        if fate in (Fate.HELD, Fate.LATER) and frames and is_parted:
            cut = numbers[2] % frames
            part = Part(f"{len(self.ids):032x}", ((cut, frames),))
            self.ids[part.frame_id] += 1
            lines = [line for chunk in taken.chunks for line in texts(chunk.frames)]
            parts, requests = (part,), [(part.frame_id, lines[cut:])]
        dropped = {"refused": refused} if refused else {}
        told = taken.unreported if is_told else {}
        if fate is Fate.ENDED:
            dropped = {"stream_gone": refused}
        outcome = Outcome(
            taken, fate, delivered, dropped, told, parts, again_in=1000.0 if waits else 0.0
        )
        state = self.streams[taken.stream]
        is_owner = taken.lease in [*self.leases[shipper].values()]
        assert self.engine.settle([outcome]) == [Settled.DONE if is_owner else Settled.FENCED]
        if not is_owner:
            return
        self.counts["delivered"] += delivered
        self.counts.update(dropped)
        state.left -= delivered + refused
        state.unreported = Counter(state.unreported) + Counter(dropped) - Counter(told)
        all_records = sum(chunk.records for chunk in state.flying)
        if fate is Fate.UNDONE and state.left != all_records:
            fate = Fate.LATER
        if fate is Fate.HELD:
            self.hands[shipper].append(outcome.rest)
            state.requests = requests
            return
        state.in_hand_of = None
        if fate is Fate.LATER:
            state.requests = requests
            state.is_later = waits
            return
        if fate is Fate.UNDONE:
            state.waiting.extendleft(reversed(state.flying))
            state.is_later = waits
        elif fate is Fate.DONE:
            self.counts["relay_lost"] += state.left
            state.unreported += Counter(relay_lost=state.left)
        else:
            gone = state.left + sum(chunk.records for chunk in state.waiting)
            self.counts["stream_gone"] += gone
            state.waiting.clear()
            state.unreported.clear()
        state.flying, state.frame_id, state.requests, state.left = [], None, [], 0

    @rule(shipper=st.sampled_from(SHIPPERS), event=st.sampled_from(EVENTS), number=_NUMBERS)
    def something_happens(self, shipper, event, number):
        match event:
            case "push again":
                self.push_again(number)
            case "renew":
                self.renew(shipper)
            case "release":
                self.release(shipper)
            case "lease ends":
                self.lease_ends(number % SHARDS)
            case "time passes":
                self.time_passes()
            case "scripts are forgotten":
                self.client.script_flush()

    def time_passes(self):
        """All that is to be taken later may be taken."""
        for shard in range(SHARDS):
            for stream, when in self.client.zrange(f"lp:{{{shard}}}:due", 0, -1, withscores=True):
                if when < 1e12:
                    self.client.zadd(f"lp:{{{shard}}}:due", {stream: 1})
        for state in self.streams.values():
            state.is_later = False

    def shard_of(self, stream):
        return shard_of(stream_key(stream), SHARDS)

    @invariant()
    def books_are_right(self):
        books = self.engine.look()
        assert all(one.balances for one in books)
        states = self.streams.values()
        found = Counter(
            pushed=sum(one.pushed for one in books), delivered=sum(one.delivered for one in books)
        )
        for one in books:
            found.update(one.dropped)
        assert found == +self.counts
        assert sum(one.waiting for one in books) == sum(
            chunk.records for state in states for chunk in state.waiting
        )
        assert sum(one.in_flight for one in books) == sum(state.left for state in states)
        chunks = [chunk for state in states for chunk in (*state.waiting, *state.flying)]
        total = sum(map(size, chunks))
        assert sum(one.bytes for one in books) == total
        assert int(self.client.get("lp:bytes") or 0) == total


def test_any_order_of_events(server):
    run_state_machine_as_test(
        lambda: Relay(server),
        settings=settings(
            max_examples=25,
            stateful_step_count=60,
            deadline=None,
            # The same each time: one that fails would fail for whoever comes next, too.
            derandomize=True,
            suppress_health_check=[*HealthCheck],
        ),
    )
