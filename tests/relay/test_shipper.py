"""Shippers: what waits in the relay reaches its receivers, whoever fails meanwhile."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections import defaultdict
from contextlib import contextmanager

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._delivery.exchange import Exchange
from logplex_handler._delivery.shipper import Shipper, ShipperOptions
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.formatter import KeyValueFormatter
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import MAX_PACKET_BYTES
from logplex_handler.cli._configuration import configured
from tests.commands import environment, start
from tests.logs import holds_for, logging_to, wait_until
from tests.relay.chunks import Producer, frame, lease_all
from tests.relay.servers import RedisServer
from tests.servers import TOKEN, accept, answer, hang, serving, texts

PATIENCE = 60


@pytest.fixture
def engine(server):
    """An engine with as many shards as the shippers' by default."""
    engine = RedisEngine(server.url)
    yield engine
    engine.close()


def url_of(receiver, customer):
    return f"http://token:{TOKEN}@127.0.0.1:{receiver.port}/{customer}"


@contextmanager
def shipping(server, streams, **given):
    """A shipper in this process."""
    options = configured({}, streams=streams, flush_interval=0.05, workers=4, **given)
    assert options.lookup is not None
    shipper = Shipper(
        RedisEngine(server.url, timeout=2),
        Codec(options.packet, KeyValueFormatter()),
        ShipperOptions(
            flush_interval=options.sender.flush_interval,
            workers=options.workers,
            limits=options.accumulator,
            max_batch_bytes=options.sender.max_batch_bytes,
            transport=options.transport,
            resolver=options.lookup,
        ),
        Diagnostics(),
    )
    shipper.start()
    try:
        yield shipper
    finally:
        assert shipper.stop(PATIENCE)


def lines_of(receiver):
    """The lines of each customer, in the order in which they came; repeats count once."""
    found = defaultdict(list)
    seen = set()
    for request in receiver.received:
        if request.frame_id not in seen:
            seen.add(request.frame_id)
            found[request.target.removeprefix("/")] += [
                text.decode() for text in texts(request.body)
            ]
    return dict(found)


def sums(engine):
    """The books of all shards together."""
    books = engine.look()
    assert all(one.balances for one in books)
    dropped = defaultdict(int)
    for one in books:
        for cause, number in one.dropped.items():
            dropped[cause] += number
    names = ("pushed", "waiting", "in_flight", "delivered", "set_aside", "retaken", "repeated")
    return {name: sum(getattr(one, name) for one in books) for name in names}, dict(dropped)


def is_all_delivered(engine):
    found, dropped = sums(engine)
    return found["pushed"] == found["delivered"] + sum(dropped.values())


def test_lines_of_producers_reach_their_customers_in_order(server, engine):
    with serving(accept) as receiver:
        with shipping(server, lambda customer: url_of(receiver, customer)) as shipper:
            with logging_to(None, relay=server.url) as (logger, handler):
                for number in range(600):
                    logger.info(f"line {number}", extra={"logplex_stream": f"c{number % 20}"})
                assert handler.flush(PATIENCE)
            assert wait_until(lambda: is_all_delivered(engine))
            # The worker may count them after the engine has.
            assert wait_until(lambda: shipper.stats().delivered == 600)
        lines = lines_of(receiver)
        assert lines == {f"c{i}": [f"line {n}" for n in range(i, 600, 20)] for i in range(20)}
    assert {one.owner for one in engine.look()} == {None}


def test_packets_get_the_hostname_and_the_token_of_their_stream(server, engine):
    options = {"relay": server.url, "token_as_appname": True, "hostname": "producer"}
    with serving(accept) as receiver:
        destination = Destination.from_url(url_of(receiver, "acme"), hostname="app-id")
        with shipping(server, {"acme": destination}):
            with logging_to(None, **options) as (logger, handler):
                logger.info("line", extra={"logplex_stream": "acme"})
                assert handler.flush(PATIENCE)
            assert wait_until(lambda: is_all_delivered(engine))
        (request,) = receiver.received
        assert request.body.split()[3:5] == [b"app-id", TOKEN.encode()]


def test_parts_of_a_batch_stay_known_if_the_new_url_comes_without_a_hostname(server, engine):
    """Their packets keep the hostname that they have had at the old one."""
    with serving(accept) as receiver:

        def step(connection):
            request = receiver.current.request
            is_short = len(texts(request.body)) <= 2
            at_old = answer(401) if is_short else answer(413)
            (at_old if request.target == "/old" else accept)(connection)

        receiver.steps[:] = [step]

        class Streams:
            def url_for(self, customer):
                return Destination.from_url(url_of(receiver, "old"), hostname="app-id")

            def refresh(self, customer, rejected):
                return url_of(receiver, "new")

        lines = [f"line {number}" for number in range(8)]
        Producer().push(engine, "acme", *lines)
        with shipping(server, Streams()):
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
        at_new = [one for one in receiver.received if one.target == "/new"]
        assert [text.decode() for one in at_new for text in texts(one.body)] == lines
    assert sums(engine)[1] == {}


def test_no_packet_becomes_too_long_by_the_hostname_of_its_stream(server, engine):
    """It keeps the one that it has, as on disk."""
    with serving(accept) as receiver:
        destination = Destination.from_url(url_of(receiver, "acme"), hostname="a" * 100)
        header = len(frame("").partition(b" ")[2])
        lines = ["short", "x" * (MAX_PACKET_BYTES - header)]
        Producer().push(engine, "acme", *lines)
        with shipping(server, {"acme": destination}):
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
        assert lines_of(receiver)["acme"] == lines
        (request,) = receiver.received
        length, packet = request.body.split(b"\n")[1].split(b" ", 1)
        assert (int(length), len(packet) + 1) == (MAX_PACKET_BYTES, MAX_PACKET_BYTES)
        assert request.body.split(b" ")[3] == b"a" * 100


def test_a_refused_line_is_found_and_told_in_its_stream(server, engine):
    """The others of its batch are delivered, and each request has an id of its own."""
    with serving(accept) as receiver:

        def step(connection):
            is_bad = b"bad" in receiver.current.request.body
            (answer(400) if is_bad else accept)(connection)

        receiver.steps[:] = [step]
        producer = Producer()
        lines = [f"line {number}" for number in range(20)]
        producer.push(engine, "acme", *lines[:10], "bad", *lines[10:])
        with shipping(server, lambda customer: url_of(receiver, customer)):
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 20)
            notice = "count#logplex_handler.dropped=1"
            assert wait_until(lambda: any(notice.encode() in one.body for one in receiver.received))
            assert wait_until(lambda: sums(engine)[0]["in_flight"] == 0)
        assert sum(notice.encode() in one.body for one in receiver.received) == 1
        # Nothing is left to be told.
        assert engine.take(lease_all(engine)).taken == ()
        accepted = [
            text.decode()
            for one in receiver.received
            if b"bad" not in one.body
            for text in texts(one.body)
        ]
        assert sorted(accepted[:20]) == sorted(lines)
        bodies = {(one.frame_id, one.body) for one in receiver.received}
        assert len(bodies) == len({frame_id for frame_id, _ in bodies})
    assert sums(engine)[1] == {"refused": 1}


def test_refused_and_hanging_customers_cost_the_others_nothing(server, engine, capsys):
    """The refused ones are set aside, and get their lines when they are accepted again."""
    accepts = threading.Event()
    with serving(hang) as hanging, serving(accept) as receiver:

        def step(connection):
            is_refused = "/refused" in receiver.current.request.target and not accepts.is_set()
            (answer(401) if is_refused else accept)(connection)

        receiver.steps[:] = [step]
        producer = Producer()
        for number in range(10):
            producer.push(engine, f"refused{number}", "line")
            producer.push(engine, f"hangs{number}", "line")

        def streams(customer):
            return url_of(hanging if customer.startswith("hangs") else receiver, customer)

        with shipping(server, streams):
            assert wait_until(lambda: sums(engine)[0]["set_aside"] >= 10)
            for number in range(300):
                producer.push(engine, f"good{number % 30}", f"line {number}")
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 300)
            accepts.set()
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 310, PATIENCE)
        lines = lines_of(receiver)
        assert sorted(lines["good0"]) == sorted(f"line {n}" for n in range(0, 300, 30))
        of_refused = [
            one
            for one in receiver.received
            if one.target == "/refused0" and b"logplex_handler.probe" not in one.body
        ]
        assert len({one.frame_id for one in of_refused}) == 1
        assert len({one.body for one in of_refused}) == 1
    found, _ = sums(engine)
    assert (found["waiting"] + found["in_flight"], found["delivered"]) == (10, 310)


def test_a_rotated_url_is_looked_up_and_an_unknown_stream_is_dropped(server, engine, capsys):
    with serving(accept) as receiver:

        def step(connection):
            is_old = "/old" in receiver.current.request.target
            (answer(403) if is_old else accept)(connection)

        receiver.steps[:] = [step]

        class Streams:
            refreshed = 0

            def url_for(self, customer):
                return url_of(receiver, "old") if customer == "acme" else None

            def refresh(self, customer, rejected):
                self.refreshed += 1
                return url_of(receiver, "new")

        streams = Streams()
        producer = Producer()
        producer.push(engine, "acme", "one", "two")
        producer.push(engine, "nobody", "three")
        with shipping(server, streams):
            assert wait_until(lambda: is_all_delivered(engine))
        assert streams.refreshed == 1
        assert [one.target for one in receiver.received] == ["/old", "/new"]
        assert texts(receiver.received[1].body) == [b"one", b"two"]
    assert sums(engine)[1] == {"unknown_stream": 1}


def test_lines_that_come_after_the_end_of_their_stream_have_its_cause(server, engine, monkeypatch):
    """Also once the shipper keeps nothing else of it."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.05)

    class Streams:
        def url_for(self, customer):
            return url_of(receiver, customer)

        def refresh(self, customer, rejected):
            return None

    with serving(answer(410)) as receiver, shipping(server, Streams()) as shipper:
        producer = Producer()
        producer.push(engine, "acme", "one")
        assert wait_until(lambda: sums(engine)[1] == {"stream_gone": 1})
        assert wait_until(lambda: not shipper._registry.streams())
        producer.push(engine, "acme", "two")
        assert wait_until(lambda: is_all_delivered(engine))
        assert sums(engine)[1] == {"stream_gone": 2}


def test_a_shard_of_which_nothing_can_be_taken_is_told(server, engine, capsys):
    """Another program has written there; heartbeats and leases go on."""
    with server.client as client:
        client.set("lp:{0}:ready", "no sorted set")
    said = []

    def is_told():
        said.append(capsys.readouterr().err)
        return "logplex_handler: the relay is away: " in "".join(said)

    with shipping(server, lambda customer: None):
        assert wait_until(is_told)


def test_no_request_begins_that_the_lease_may_not_outlast(server, engine, monkeypatch):
    with serving(accept) as receiver:
        with shipping(server, lambda customer: url_of(receiver, customer)) as shipper:
            with monkeypatch.context() as patched:
                patched.setattr(Exchange, "time_left", lambda self, lease: 0.5)
                Producer().push(engine, "acme", "line")
                assert wait_until(lambda: sums(engine)[0]["in_flight"] == 1)
                assert holds_for(lambda: shipper.stats().requests == 0, 0.5)
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
        assert lines_of(receiver) == {"acme": ["line"]}


_STREAMS = """
import os
def streams(customer):
    return os.environ["RECEIVER"] + str(customer)
"""


@pytest.fixture
def ship(server, tmp_path):
    """Start a shipper in a process of its own, and wait until it ships."""
    (tmp_path / "shop.py").write_text(_STREAMS)
    processes = []

    def ship(receiver, *options, **more):
        environ = {"LOGPLEX_RELAY": server.url, "LOGPLEX_STREAMS": "shop:streams"}
        environ["RECEIVER"] = url_of(receiver, "")
        process = start(
            *("ship", "--flush-interval", "0.05", *options),
            env=environment(**environ, **more),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        # A busy machine may have it wait for the relay before.
        found = next(filter(None, (re.search("ships as (.*)", line) for line in process.stderr)))
        process.name = found[1]
        return process

    yield ship
    for process in processes:
        process.kill()
        process.wait(PATIENCE)
        process.stderr.close()


def shards_of(engine, shipper):
    return sum(one.owner == shipper.name for one in engine.look())


def share(engine, *shippers):
    """Whether each of two shippers has half of the shards."""
    return [shards_of(engine, one) for one in shippers] == [engine.shards // 2] * 2


def test_a_stop_ends_requests_and_gives_all_shards_back_at_once(server, engine):
    entered, may_end = threading.Event(), threading.Event()

    def slow(connection):
        entered.set()
        may_end.wait(PATIENCE)
        accept(connection)

    with serving(slow) as receiver:
        with shipping(server, lambda customer: url_of(receiver, customer)) as shipper:
            assert wait_until(lambda: shards_of(engine, shipper) == engine.shards)
            Producer().push(engine, "acme", "line")
            assert entered.wait(PATIENCE)
            ends = threading.Thread(
                target=lambda: (
                    wait_until(lambda: shipper._exchange.is_stopping),
                    may_end.set(),
                )
            )
            ends.start()
        ends.join(PATIENCE)
        assert {one.owner for one in engine.look()} == {None}
        assert is_all_delivered(engine)
        assert len(receiver.received) == 1


def test_two_shippers_share_the_shards_and_one_takes_over_after_sigterm(server, engine, ship):
    with serving(accept) as receiver:
        first = ship(receiver)
        with shipping(server, lambda customer: url_of(receiver, customer)) as second:
            assert wait_until(lambda: share(engine, first, second), PATIENCE)
            producer = Producer()
            for number in range(100):
                producer.push(engine, number, f"line {number}")
            first.send_signal(signal.SIGTERM)
            assert first.wait(PATIENCE) == 0
            for number in range(100):
                producer.push(engine, number, f"another {number}")
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
            assert wait_until(lambda: shards_of(engine, second) == engine.shards, PATIENCE)
        lines = lines_of(receiver)
        assert lines == {str(n): [f"line {n}", f"another {n}"] for n in range(100)}


def test_what_a_killed_shipper_had_in_hand_is_sent_again_under_the_same_id(server, engine, ship):
    """The same bytes; nothing is lost, and no line comes under two ids."""
    entered = threading.Event()

    def never_answers(connection):
        entered.set()
        hang(connection)

    with serving(never_answers) as receiver:
        first = ship(receiver)
        producer = Producer()
        for number in range(20):
            producer.push(engine, number, f"line {number}", f"more {number}")
        assert entered.wait(PATIENCE)
        first.kill()
        first.wait(PATIENCE)
        receiver.steps[:] = [accept]
        with shipping(server, lambda customer: url_of(receiver, customer)):
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
        bodies = defaultdict(set)
        for request in receiver.received:
            bodies[request.frame_id].add(request.body)
        assert {len(some) for some in bodies.values()} == {1}
        lines = lines_of(receiver)
        assert lines == {str(n): [f"line {n}", f"more {n}"] for n in range(20)}
        assert sums(engine)[0]["retaken"] > 0


def test_a_shipper_sends_metrics_about_itself_to_its_own_url(server, engine, ship):
    with serving(accept) as receiver:
        Producer().push(engine, "acme", "one", "two")
        ship(receiver, "--health-interval", "0.05", LOGPLEX_URL=url_of(receiver, "operator"))
        wanted = (
            "sample#logplex_handler.delivered=2",
            "sample#logplex_handler.shards=64",
        )
        assert wait_until(
            lambda: all(
                any(one in line for line in lines_of(receiver).get("operator", []))
                for one in wanted
            )
        )
        assert lines_of(receiver)["acme"] == ["one", "two"]


def test_a_frozen_shipper_that_wakes_up_changes_nothing(server, engine, ship):
    """Another one has taken over, and each line is under one id, and once in the books."""
    entered, may_end = threading.Event(), threading.Event()

    def slow(connection):
        entered.set()
        may_end.wait(PATIENCE)
        accept(connection)

    with serving(slow) as receiver:
        first = ship(receiver)
        producer = Producer()
        for number in range(10):
            producer.push(engine, number, f"line {number}")
        assert entered.wait(PATIENCE)
        first.send_signal(signal.SIGSTOP)
        receiver.steps[:] = [accept]
        may_end.set()
        with shipping(server, lambda customer: url_of(receiver, customer)) as second:
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
            for number in range(10):
                producer.push(engine, number, f"more {number}")
            first.send_signal(signal.SIGCONT)
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
            assert wait_until(lambda: share(engine, first, second), PATIENCE)
        lines = lines_of(receiver)
        assert lines == {str(n): [f"line {n}", f"more {n}"] for n in range(10)}
        found, dropped = sums(engine)
        assert (found["delivered"], dropped) == (20, {})


def test_lines_are_delivered_though_the_engine_is_killed_meanwhile(relay_server, tmp_path):
    """It keeps what it has acknowledged; producers and shippers wait for it."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    streams = {}
    try:
        with (
            serving(accept) as receiver,
            shipping(server, streams),
            logging_to(None, relay=server.url) as (logger, handler),
        ):
            streams |= {f"c{number}": url_of(receiver, f"c{number}") for number in range(10)}
            for round_ in range(3):
                for number in range(100):
                    extra = {"logplex_stream": f"c{number % 10}"}
                    logger.info(f"line {round_} {number}", extra=extra)
                if round_ == 1:
                    assert handler.flush(PATIENCE)
                    server.kill()
                    server.start()
            assert wait_until(lambda: handler.flush(PATIENCE), PATIENCE)
            assert handler.stats().relayed == 300
            engine = RedisEngine(server.url)
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
            engine.close()
            lines = lines_of(receiver)
            for number in range(10):
                expected = [f"line {r} {n}" for r in range(3) for n in range(number, 100, 10)]
                assert lines[f"c{number}"] == expected
    finally:
        server.kill()
