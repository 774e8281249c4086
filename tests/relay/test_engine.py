"""What every engine must do: the conformance tests of its interface."""

from __future__ import annotations

import time

import pytest

from logplex_handler._relay.parts import Part
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Fate, Outcome, Pushed, Settled
from tests.relay.chunks import Producer, deliver, delivered, lease_all, take, texts


def books(engine):
    """The books of all shards: their sums, by name; and they balance."""
    found = engine.look()
    assert all(one.balances for one in found), found
    names = ("pushed", "waiting", "in_flight", "delivered", "repeated", "retaken", "bytes")
    sums = {name: sum(getattr(one, name) for one in found) for name in names}
    for one in found:
        for cause, number in one.dropped.items():
            sums[cause] = sums.get(cause, 0) + number
    return {name: number for name, number in sums.items() if number and name != "bytes"}


def bytes_of(engine):
    return sum(one.bytes for one in engine.look())


def test_lines_come_out_as_they_were_pushed(engine):
    producers = [Producer("one"), Producer("two")]
    for number in range(10):
        chunks = [
            producer.chunk(stream, f"{producer.name} {number}", f"{producer.name} {number} more")
            for producer in producers
            for stream in ("a", "b", 1, "1")
        ]
        assert engine.push(chunks) == [Pushed.STORED] * 8
    assert books(engine) == {"pushed": 160, "waiting": 160}
    found = deliver(engine, lease_all(engine))
    assert {*found} == {"a", "b", 1, "1"}
    for lines in found.values():
        for producer in producers:
            own = [line for line in lines if line.startswith(producer.name)]
            expected = [f"{producer.name} {n}{s}" for n in range(10) for s in ("", " more")]
            assert own == expected
    assert books(engine) == {"pushed": 160, "delivered": 160}
    assert bytes_of(engine) == 0


def test_a_chunk_that_is_pushed_again_is_stored_once(engine):
    producer = Producer()
    first, second = producer.chunk("a", "1"), producer.chunk("a", "2")
    assert engine.push([first]) == [Pushed.STORED]
    assert engine.push([first, second]) == [Pushed.KNOWN, Pushed.STORED]
    assert all(result.is_stored for result in engine.push([first, second]))
    assert deliver(engine, lease_all(engine)) == {"a": ["1", "2"]}
    # Also after it was delivered.
    assert engine.push([second]) == [Pushed.KNOWN]
    assert books(engine) == {"pushed": 2, "delivered": 2, "repeated": 4}


def test_a_chunk_that_comes_late_is_stored_though_later_ones_of_other_streams_are(engine):
    producer = Producer()
    late = producer.chunk("a", "late")
    producer.push(engine, "b", "1")
    producer.push(engine, "a", "2")
    assert engine.push([late], settled={producer.name: late.sequence}) == [Pushed.STORED]
    assert engine.push([late]) == [Pushed.KNOWN]


def test_chunks_that_are_settled_at_their_producer_are_forgotten(engine, server):
    producer = Producer()
    with server.client as client:
        for number in range(10):
            chunk = producer.chunk("a", f"{number}")
            engine.push([chunk], settled={producer.name: chunk.sequence})
        (seen,) = client.keys("lp:*:seen:*")
        assert client.zcard(seen) == 1
        assert 0 < client.ttl(seen) <= 86_400
    assert engine.push([chunk]) == [Pushed.KNOWN]


def test_a_batch_has_at_most_500_frames_or_the_bytes_of_a_request(server):
    engine = RedisEngine(
        server.url, lease=600, timeout=100, shards=4, max_stream_bytes=4 * 1024 * 1024
    )
    producer = Producer()
    for number in range(501):
        producer.push(engine, "many", f"{number}")
    large = "x" * 9000
    for _ in range(3):
        producer.push(engine, "large", *([large] * 50))
    producer.push(engine, "alone", *(["y" * 9000] * 130))
    leases = lease_all(engine)
    taken = take(engine, leases, max_bytes=10**8)
    assert taken["many"].records == 500
    assert texts(taken["many"].frames) == [f"{number}" for number in range(500)]
    assert taken["large"].records == 100
    assert taken["alone"].records == 130
    engine.settle([Outcome(one, delivered=one.records) for one in taken.values()])
    assert {one.stream: one.records for one in take(engine, leases).values()} == {
        "many": 1,
        "large": 50,
    }
    engine.close()


def test_what_is_in_hand_is_not_taken_twice_and_later_chunks_wait(engine):
    producer = Producer()
    producer.push(engine, "a", "1")
    leases = lease_all(engine)
    first = take(engine, leases)["a"]
    producer.push(engine, "a", "2")
    assert take(engine, leases) == {}
    assert books(engine) == {"pushed": 2, "waiting": 1, "in_flight": 1}
    assert engine.settle([Outcome(first, delivered=1)]) == [Settled.DONE]
    second = take(engine, leases)["a"]
    assert texts(second.frames) == ["2"]
    assert second.frame_id != first.frame_id
    assert (first.again, second.again) == (False, False)


def test_a_stream_waits_for_more_but_not_with_enough_for_a_request(engine):
    producer = Producer()
    producer.push(engine, "few", "1")
    producer.push(engine, "enough", *(["x" * 1000] * 70))
    leases = lease_all(engine)
    assert {*take(engine, leases, linger=1000)} == {"enough"}
    assert {*take(engine, leases, linger=0)} == {"few"}
    # What comes while a batch is in hand waits again.
    producer.push(engine, "few", "2")
    assert take(engine, leases, linger=1000) == {}


def test_the_next_owner_takes_the_same_bytes_under_the_same_id(engine, server):
    producer = Producer()
    for number in range(3):
        producer.push(engine, "a", f"{number}")
    first = take(engine, lease_all(engine, "old"))["a"]
    producer.push(engine, "a", "3")
    steal(server)
    again = take(engine, lease_all(engine, "new"))["a"]
    assert (again.frame_id, again.chunks) == (first.frame_id, first.chunks)
    assert again.again
    assert books(engine) == {"pushed": 4, "waiting": 1, "in_flight": 3, "retaken": 1}


def steal(server):
    """End all leases, as time does."""
    with server.client as client:
        client.delete(*client.keys("lp:*:lease"))


@pytest.mark.parametrize("fate", [*Fate])
def test_a_former_owner_changes_nothing(engine, server, fate):
    Producer().push(engine, "a", "1", "2")
    old = lease_all(engine, "old")
    taken = take(engine, old)["a"]
    steal(server)
    new = lease_all(engine, "new")
    with server.client as client:
        before = dump(client)
        outcome = Outcome(taken, fate, delivered=1, dropped={"refused": 1}, reported={"a": 1})
        assert engine.settle([outcome]) == [Settled.FENCED]
        takes = engine.take(old)
        assert (takes.taken, takes.fenced) == ((), {lease.shard for lease in old})
        assert engine.renew(old) == []
        engine.release(old)
        assert dump(client) == before
    assert take(engine, new)["a"].frame_id == taken.frame_id


def dump(client):
    """All that the engine has, but how long it keeps it."""
    return {key: client.dump(key) for key in client.keys("*")}


def test_an_owner_that_has_lost_its_lease_changes_nothing_though_nobody_else_has_it(engine, server):
    Producer().push(engine, "a", "1")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    steal(server)
    assert engine.settle([Outcome(taken, delivered=1)]) == [Settled.FENCED]
    assert engine.renew(leases) == []


def test_a_lease_is_one_shippers_until_it_ends(engine):
    mine = engine.acquire([0, 1], "one")
    assert {lease.shard for lease in mine} == {0, 1}
    assert {lease.shard for lease in engine.acquire(range(4), "two")} == {2, 3}
    fleet = engine.heartbeat("one")
    assert fleet.owners == {0: "one", 1: "one", 2: "two", 3: "two"}
    renewed = engine.renew(mine)
    assert [lease.token for lease in renewed] == [lease.token for lease in mine]
    assert all(new.until >= old.until for new, old in zip(renewed, mine, strict=True))
    engine.release(mine)
    assert {lease.shard for lease in engine.acquire(range(4), "three")} == {0, 1}
    assert len({lease.token for lease in [*mine, *renewed]}) == 2


def test_a_lease_ends_by_itself_and_here_no_later_than_in_the_engine(server):
    engine = RedisEngine(server.url, shards=1)
    (lease,) = engine.acquire([0], "one")
    with server.client as client:
        left = client.pttl("lp:{0}:lease") / 1000
        # It ends no sooner than that from when it was answered.
        now = time.monotonic()
        assert left < 0 or lease.until <= now + left + 0.002
        assert left <= 6
    assert lease.outlasts(lease.until - 1)
    assert not lease.outlasts(lease.until - 0.9)
    engine.close()


def test_shippers_know_of_each_other(engine, server):
    assert engine.heartbeat("one").shippers == {"one"}
    assert engine.heartbeat("two").shippers == {"one", "two"}
    engine.leave("two")
    assert engine.heartbeat("one").shippers == {"one"}
    with server.client as client:
        # Its clock counts, not those of the shippers.
        seconds, _ = client.time()
        # It may be set back, and other programs may write any name.
        beats = {"dead": seconds - 601, "alive": seconds, "ahead": seconds + 3600, b"\xff": seconds}
        client.zadd("lp:shippers", beats)
    assert engine.heartbeat("one").shippers == {"one", "alive", "\ufffd"}


def test_a_batch_that_is_taken_again_later_waits_and_stays_as_it_was(engine, server):
    producer = Producer()
    producer.push(engine, "a", "1")
    leases = lease_all(engine)
    first = take(engine, leases)["a"]
    engine.settle([Outcome(first, Fate.LATER, again_in=1000)])
    producer.push(engine, "a", "2")
    assert take(engine, leases) == {}
    assert sum(one.set_aside for one in engine.look()) == 1
    # Nor does it come earlier for another owner.
    steal(server)
    leases = lease_all(engine)
    assert take(engine, leases) == {}
    with server.client as client:
        for key in client.keys("lp:*:due"):
            client.zadd(key, {"sa": 1}, xx=True)
    again = take(engine, leases)["a"]
    assert (again.frame_id, again.chunks, again.again) == (first.frame_id, first.chunks, True)
    engine.settle([Outcome(again, Fate.LATER)])
    assert take(engine, leases)["a"].frame_id == first.frame_id


def test_a_batch_that_is_undone_is_taken_with_more_under_a_new_id(engine):
    producer = Producer()
    producer.push(engine, "a", "1")
    leases = lease_all(engine)
    first = take(engine, leases)["a"]
    producer.push(engine, "a", "2")
    engine.settle([Outcome(first, Fate.UNDONE)])
    assert books(engine) == {"pushed": 2, "waiting": 2}
    again = take(engine, leases)["a"]
    assert texts(again.frames) == ["1", "2"]
    assert again.frame_id != first.frame_id
    engine.settle([Outcome(again, Fate.UNDONE, again_in=1000)])
    assert take(engine, leases) == {}


def test_parts_of_a_batch_are_kept_with_their_ids_and_the_settled_ones_are_counted(engine, server):
    Producer().push(engine, "a", "1", "2", "3", "4")
    taken = take(engine, lease_all(engine))["a"]
    parts = (Part("b" * 32, ((0, 1),)), Part("c" * 32, ((2, 4),)))
    outcome = Outcome(taken, Fate.HELD, delivered=1, parts=parts)
    assert engine.settle([outcome]) == [Settled.DONE]
    assert books(engine) == {"pushed": 4, "in_flight": 3, "delivered": 1}
    # One that is told again, because no answer came, counts once.
    assert engine.settle([outcome]) == [Settled.DONE]
    assert books(engine) == {"pushed": 4, "in_flight": 3, "delivered": 1}
    rest = outcome.rest
    outcome = Outcome(rest, Fate.HELD, dropped={"refused": 1}, parts=parts[1:])
    engine.settle([outcome])
    steal(server)
    again = take(engine, lease_all(engine))["a"]
    assert (again.records, again.frame_id) == (2, taken.frame_id)
    assert [(id, texts(frames)) for id, frames in again.requests] == [("c" * 32, ["3", "4"])]
    assert again.unreported == {"refused": 1}
    # A batch of which some is settled cannot be undone.
    engine.settle([Outcome(again, Fate.UNDONE, parts=parts[1:])])
    last = take(engine, lease_all_again(engine, server))["a"]
    assert last.requests[0][0] == "c" * 32
    assert engine.settle([Outcome(last, delivered=2, reported={"refused": 1})]) == [Settled.DONE]
    assert engine.settle([Outcome(last, delivered=2)]) == [Settled.STALE]
    assert books(engine) == {"pushed": 4, "delivered": 3, "refused": 1, "retaken": 1}


def lease_all_again(engine, server):
    steal(server)
    return lease_all(engine)


def test_more_than_there_is_cannot_be_settled(engine):
    Producer().push(engine, "a", "1", "2")
    taken = take(engine, lease_all(engine))["a"]
    engine.settle([Outcome(taken, delivered=7, dropped={"refused": 1})])
    assert books(engine) == {"pushed": 2, "delivered": 1, "refused": 1}


def test_a_stream_that_has_ended_is_dropped_with_all_that_waits(engine, server):
    producer = Producer()
    producer.push(engine, "a", "1", "2")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    producer.push(engine, "a", "3")
    producer.push(engine, "b", "4")
    outcome = Outcome(taken, Fate.ENDED, delivered=1, dropped={"stream_gone": 0})
    assert engine.settle([outcome]) == [Settled.DONE]
    assert books(engine) == {"pushed": 4, "delivered": 1, "stream_gone": 2, "waiting": 1}
    assert deliver(engine, leases) == {"b": ["4"]}
    assert bytes_of(engine) == 0
    # It may begin again.
    producer.push(engine, "a", "5")
    assert deliver(engine, leases) == {"a": ["5"]}
    with server.client as client:
        assert client.get("lp:bytes") == b"0"


def test_the_oldest_chunks_of_a_stream_that_are_not_in_flight_make_room(server):
    producer = Producer()
    engine = RedisEngine(server.url, lease=600, timeout=100, shards=4, max_stream_bytes=100_000)
    leases = lease_all(engine)
    large = "x" * 9000

    def push(number):
        producer.push(engine, "a", f"{number}", *([large] * 5))

    push(0)
    taken = take(engine, leases)["a"]
    for number in range(1, 5):
        push(number)
    # Two of about 45 kB fit, besides the one in flight.
    assert books(engine) == {"pushed": 30, "in_flight": 6, "waiting": 12, "relay_full": 12}
    producer.push(engine, "b", "other")
    engine.settle([Outcome(taken, delivered=6)])
    found = take(engine, leases)
    assert [line for line in texts(found["a"].frames) if line != large] == ["3", "4"]
    assert found["a"].unreported == {"relay_full": 12}
    assert found["b"].unreported == {}
    engine.settle([Outcome(found["a"], Fate.LATER, reported={"relay_full": 10})])
    assert take(engine, leases)["a"].unreported == {"relay_full": 2}
    # The newest chunk stays, however large it is.
    push("large")
    producer.push(engine, "c", *([large] * 20))
    assert take(engine, leases)["c"].records == 20
    engine.close()


@pytest.mark.parametrize("is_in_flight", [False, True])
def test_the_oldest_chunks_of_all_make_room_where_all_are_too_many(server, is_in_flight):
    producer = Producer()
    engine = RedisEngine(server.url, lease=600, timeout=100, shards=1, max_relay_bytes=100_000)
    leases = lease_all(engine)
    large = ["x" * 9000] * 2
    producer.push(engine, "old", "0", *large)
    taken = take(engine, leases)
    if not is_in_flight:
        engine.settle([Outcome(taken["old"], Fate.UNDONE, again_in=1000)])
    for number in range(1, 11):
        producer.push(engine, f"stream {number % 3}", f"{number}", *large)
    assert bytes_of(engine) <= 100_000
    kept = 5
    assert books(engine) == {
        "pushed": 33,
        "relay_full": 3 * (11 - kept),
        "waiting": 3 * (kept - is_in_flight),
        **({"in_flight": 3} if is_in_flight else {}),
    }
    with server.client as client:
        assert int(client.get("lp:bytes")) == bytes_of(engine)
    found = take(engine, leases)
    # The one that is set aside is told later.
    told_now = 11 - kept - (not is_in_flight)
    assert sum(one.unreported["relay_full"] for one in found.values()) == 3 * told_now
    engine.settle([delivered(one) for one in found.values()])
    assert take(engine, leases) == {}
    engine.close()


def test_the_oldest_chunks_make_room_whatever_their_shard(server):
    engine = RedisEngine(server.url, lease=600, timeout=100, shards=8, max_relay_bytes=200_000)
    producer = Producer()
    for number in range(100):
        producer.push(engine, number, f"{number}", "x" * 5000)
    total = bytes_of(engine)
    assert 180_000 < total <= 200_000
    with server.client as client:
        assert int(client.get("lp:bytes")) == total
    found = deliver(engine, lease_all(engine))
    assert {*found} == {*range(100 - len(found), 100)}
    assert books(engine)["relay_full"] == 2 * (100 - len(found))
    engine.close()


def test_drops_of_a_stream_without_chunks_are_told(engine):
    """Such as the only chunk being damaged, or the only record being refused."""
    Producer().push(engine, "a", "1")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    engine.settle([Outcome(taken, dropped={"refused": 1})])
    notice = take(engine, leases)["a"]
    assert (notice.requests, notice.records, notice.unreported) == ([], 0, {"refused": 1})
    # A line comes while it is told.
    producer = Producer("other")
    producer.push(engine, "a", "2")
    assert take(engine, leases) == {}
    engine.settle([Outcome(notice, reported=notice.unreported)])
    assert deliver(engine, leases) == {"a": ["2"]}
    assert take(engine, leases) == {}


def test_what_a_call_has_taken_whose_answer_was_lost_is_taken_again(engine, monkeypatch):
    Producer().push(engine, "a", "1")
    leases = lease_all(engine)
    held = Producer("other").push(engine, "b", "2")
    in_hand = take(engine, [lease for lease in leases if lease.shard == shard(engine, held)])
    run = engine._servers.run
    with monkeypatch.context() as patch:
        patch.setattr(engine._servers, "run", lambda *a, **k: lose(run(*a, **k)))
        assert engine.take(leases).away == {0, 1, 2, 3}
    again = take(engine, leases)
    assert {*again} == {"a", "b"} - {*in_hand}
    assert again["a"].again


def lose(answers):
    from logplex_handler._relay.server import Problem

    return [Problem("lost") for _ in answers]


def shard(engine, chunk):
    from logplex_handler._relay.chunk import shard_of, stream_key

    return shard_of(stream_key(chunk.stream), engine.shards)


def test_a_call_takes_as_much_as_it_may(engine):
    producer = Producer()
    for number in range(10):
        producer.push(engine, number, "x" * 1000)
    leases = lease_all(engine)
    takes = engine.take(leases, max_streams=1)
    assert 1 <= len(takes.taken) <= 4
    assert not takes.is_all
    takes = engine.take(leases, max_bytes=4)
    assert 1 <= len(takes.taken) <= 4
    rest = engine.take(leases)
    assert rest.is_all
    assert engine.take([]).taken == ()


def test_large_streams_leave_places_to_those_that_wait_in_order(server):
    producer = Producer()
    engine = RedisEngine(server.url, lease=600, timeout=100, shards=1)
    producer.push(engine, "small", "line")
    for number in range(4):
        producer.push(engine, number, *(["x" * 1000] * 70))
    assert "small" in take(engine, lease_all(engine), max_streams=2)
    engine.close()


def test_the_lag_is_that_of_the_oldest_chunk_which_may_be_taken(engine, server):
    assert {one.lag for one in engine.look()} == {0.0}
    Producer().push(engine, "a", "1")
    leases = lease_all(engine)
    with server.client as client:
        for key in client.keys("lp:*:ready"):
            client.zincrby(key, -100, "sa")
    lags = [one.lag for one in engine.look() if one.lag]
    assert len(lags) == 1
    taken = take(engine, leases)["a"]
    assert taken.waited >= 0
    assert {one.lag for one in engine.look()} == {0.0}
    # A refused stream is set aside, which is no lag.
    engine.settle([Outcome(taken, Fate.LATER, again_in=100)])
    assert {one.lag for one in engine.look()} == {0.0}
