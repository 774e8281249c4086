"""In which calls chunks are pushed, and the bytes of a call."""

from __future__ import annotations

from functools import partial

import pytest
import redis
from redis.connection import PythonRespSerializer

from logplex_handler._relay import pushing
from logplex_handler._relay.chunk import shard_of, stream_key
from logplex_handler._relay.packing import LONG, Packer
from logplex_handler._relay.pushing import PushOrder
from tests.relay.chunks import Producer

BODY = b"x" * 10_000


def _rounds(order, servers):
    """The places of all calls: for each server, for each round, for each call."""
    return [[*iter(partial(_places, order, server), [])] for server in range(servers)]


def _places(order, server):
    return [call.places for call in order.next_calls(server)]


def test_all_chunks_of_a_producer_go_in_one_call():
    one, two = Producer("one"), Producer("two")
    chunks = [one.chunk("a", "1"), two.chunk("a", "2"), one.chunk("a", "3")]
    assert _rounds(PushOrder(chunks, 1, 1), 1) == [[[[0, 2], [1]]]]


def test_a_server_gets_the_shards_that_are_its_own():
    producer = Producer()
    chunks = [producer.chunk(number, "line") for number in range(20)]
    order = PushOrder(chunks, 4, 2)
    calls = [order.next_calls(server) for server in range(2)]
    assert [len(some) for some in calls] == [1, 1]
    found = [[shard_of(stream_key(place), 4) for place in some[0].places] for some in calls]
    # Those of a shard come together.
    assert found == [sorted(shards) for shards in found]
    assert [{*shards} for shards in found] == [{0, 2}, {1, 3}]


def test_a_call_that_would_be_too_large_becomes_several_one_after_the_other(monkeypatch):
    monkeypatch.setattr(pushing, "_MAX_CHUNKS", 2)
    producer = Producer()
    chunks = [producer.chunk("a", "line") for _ in range(5)]
    assert _rounds(PushOrder(chunks, 1, 1), 1) == [[[[0, 1]], [[2, 3]], [[4]]]]
    monkeypatch.setattr(pushing, "_MAX_CHUNKS", 100)
    monkeypatch.setattr(pushing, "_MAX_BYTES", 2 * len(chunks[0].body))
    assert _rounds(PushOrder(chunks, 1, 1), 1) == [[[[0, 1]], [[2, 3]], [[4]]]]
    monkeypatch.setattr(pushing, "_MAX_BYTES", 1)
    assert _rounds(PushOrder(chunks, 1, 1), 1) == [[[[place]] for place in range(5)]]


def test_what_follows_a_call_that_failed_is_given_up(monkeypatch):
    monkeypatch.setattr(pushing, "_MAX_CHUNKS", 1)
    one, two = Producer("one"), Producer("two")
    chunks = [one.chunk("a", "1"), two.chunk("a", "2"), one.chunk("a", "3"), two.chunk("a", "4")]
    order = PushOrder(chunks, 1, 1)
    failed, _ = order.next_calls(0)
    assert order.give_up(0, failed.producer) == [2]
    assert order.give_up(0) == [3]
    assert order.next_calls(0) == []


@pytest.mark.parametrize("args", [("EVALSHA", "ä", 1, BODY, 1.5), (b"SET", BODY, BODY, b"")])
def test_a_long_argument_is_packed_without_a_copy(args):
    in_python = PythonRespSerializer(LONG, redis.Redis().get_encoder().encode)
    packed = Packer(in_python, None).pack(*args)
    assert any(one is BODY for one in packed)
    texts = [one if isinstance(one, bytes) else str(one).encode() for one in args]
    expected = b"*%d\r\n" % len(args) + b"".join(
        b"$%d\r\n%b\r\n" % (len(one), one) for one in texts
    )
    assert b"".join(packed) == expected
