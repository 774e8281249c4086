"""A host, stream or flood delays no other stream."""

import sys
import threading
import time
from collections import defaultdict
from contextlib import ExitStack

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler.streams.stream import Stream
from tests.logs import holds_for, logging_to, wait_until
from tests.servers import ScriptedServer, _read, accept, answer, hang, hang_up, serving
from tests.streams.shared import receiving, to

# Fairness.


def test_a_host_that_hangs_holds_up_no_other():
    """Not one worker waits for it, and it is tried by one request at a time."""
    with ExitStack() as stack:
        hanging = stack.enter_context(serving(hang))
        logplex = stack.enter_context(receiving(*[f"t.{n}" for n in range(20)]))

        def url_for(stream):
            return hanging.url if stream % 2 else logplex.url_for(f"t.{stream}")

        options = {"workers": 2, "timeout": 100, "flush_interval": 0.05, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=url_for, **options))
        for _ in range(10):
            for stream in range(20):
                logger.info("line", extra=to(stream))
            time.sleep(0.02)
        assert logplex.wait_for(100)
        assert wait_until(lambda: handler.stats().pending == 100)
        assert wait_until(lambda: hanging.received)
        assert len(hanging.received) == 1


@pytest.mark.parametrize("seconds_late", [0, 0.15], ids=["at-once", "late"])
def test_a_host_that_begins_to_hang_is_left_to_itself(monkeypatch, seconds_late):
    """Its requests under way count as apart from the others after a while.

    A host that has answered is not taken for one of them, however late its thread says so.
    """
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.1)
    hangs = threading.Event()
    deliver = Stream.deliver

    def deliver_late(stream, pool, seconds):
        deliver(stream, pool, seconds)
        if stream.id == 0:
            time.sleep(seconds_late)

    monkeypatch.setattr(Stream, "deliver", deliver_late)

    def step(connection):
        if hangs.is_set():
            hang(connection)
        else:
            accept(connection)

    with ExitStack() as stack:
        hanging = stack.enter_context(serving(step))
        logplex = stack.enter_context(receiving("t.0"))

        def url_for(stream):
            return hanging.url if stream else logplex.url_for("t.0")

        options = {"workers": 2, "timeout": 100, "flush_interval": 0.01, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=url_for, **options))
        for stream in range(10):
            logger.info("line", extra=to(stream))
        assert handler.flush(100)
        hangs.set()
        for stream in range(1, 10):
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: len(hanging.received) > 9)
        for number in range(5):
            logger.info("line", extra=to(0))
            assert logplex.wait_for(number + 2)
        assert len(hanging.received) <= 9 + 2


def test_a_host_that_comes_back_gets_all_that_waited():
    """One try finds that out for all of its streams."""
    step = {"status": 503}

    def answering(connection):
        if step["status"] == 503:
            hang_up(connection)
        else:
            accept(connection)

    with (
        serving(answering) as server,
        logging_to(None, streams=lambda _: server.url) as (
            logger,
            handler,
        ),
    ):
        for stream in range(50):
            logger.info("line %d", stream, extra=to(stream))
        assert wait_until(lambda: handler.stats().requests >= 3)
        assert handler.stats().requests < 20
        step["status"] = 204
        assert handler.flush(100)
        assert handler.stats().delivered == 50


def test_a_flood_in_one_stream_leaves_the_others_their_turn():
    """One worker, which takes a batch of each in turn."""
    logged = threading.Event()

    def accept_later(connection):
        logged.wait(100)
        accept(connection)

    with serving(accept_later) as server:
        options = {"max_batch_bytes": 20_000, "flush_interval": 0.01, "timeout": 100}
        streams = {"streams": lambda _: server.url, "workers": 1}
        with logging_to(None, **streams, **options) as (logger, handler):
            for number in range(5000):
                logger.info("flood %d", number, extra=to("flood"))
            for stream in range(5):
                logger.info("calm", extra=to(stream))
            # The one request is under way, and each of the others is due.
            opened, busy = (
                handler._pipeline._registry.streams(),
                handler._pipeline._worker_pool._busy,
            )
            assert wait_until(lambda: all(one.breaker for one in opened) and len(busy) == 1)
            logged.set()
            assert handler.flush(100)
            frames = server.frames()
            assert (len(frames), frames.count(b"calm")) == (5005, 5)
            assert frames[:2500].count(b"calm") == 5


def test_a_host_is_one_host_however_many_find_it_at_a_time():
    """Otherwise it would be tried by several requests at a time while it hangs."""
    breakers = CircuitBreakers()
    found = defaultdict(list)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for name in map(str, range(500)):
            barrier = threading.Barrier(4)

            def find(name=name, barrier=barrier):
                barrier.wait()
                found[name].append(breakers[name])

            threads = [threading.Thread(target=find) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(len(set(map(id, same))) == 1 for same in found.values())


def test_a_callback_that_takes_its_time_holds_up_no_stream():
    """It is called for one stream at a time."""
    released = threading.Event()
    at_a_time = []

    def on_drop(records, cause):
        at_a_time.append(1)
        released.wait(100)
        at_a_time.pop()

    with receiving("own") as logplex:
        options = {"on_drop": on_drop, "flush_interval": 0.01}
        with logging_to(logplex.url, streams=lambda _: None, **options) as (logger, handler):
            for stream in range(40):
                logger.info("line", extra=to(stream))
                handler._pipeline.intake(stream).drop("format_error")
            assert wait_until(lambda: at_a_time)
            assert holds_for(lambda: len(at_a_time) == 1, 0.2)
            logger.info("own")
            assert logplex.wait_for(1)
            released.set()


def test_a_stream_that_alone_gets_no_answer_holds_up_its_host_once(monkeypatch, short_waits):
    """All the streams of one host share its health, but this is the stream's own."""
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.05)

    class Server(ScriptedServer):
        """Gives one stream no answer. It lets its request go when one of another stream comes."""

        # Requests that were borne: another one came meanwhile. None comes if the request was sent
        # before the client had taken the answer to another one.
        good = answered = answered_before = borne = tries = 0

        def _converse(self, connection, number):
            with connection.makefile("rb") as stream:
                request = _read(stream, number)
                if request is None:
                    # The handler, which closes, had not sent it yet.
                    return
                if b"bad" in request.body:
                    if self.answered > self.answered_before:
                        # Only after this long could it hold up the host.
                        time.sleep(4 * scheduler._PATIENCE)
                        came = self.good
                        self.borne += wait_until(lambda: self.good > came, 2)
                        self.tries += 1
                    self.answered_before = self.answered
                else:
                    self.good += 1
                    # A connection that is closed while it is idle would be no fault of the host.
                    answer(204, "Connection: close")(connection)
                    self.answered += 1
                hang_up(connection)

    server = Server([accept])
    options = {"timeout": 100, "flush_interval": 0.01, "shutdown_timeout": 0.1}
    with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
        logger.info("bad", extra=to("bad"))
        accepted = 0
        while server.borne < 3 and server.tries < 20:
            logger.info("line", extra=to("good"))
            accepted += 1
            assert wait_until(
                lambda accepted=accepted: handler.stats(stream="good").delivered == accepted
            )
    server.close()
    assert server.borne >= 3


def test_a_new_host_does_not_wait_for_hosts_that_hang():
    """However many of these there are."""
    with ExitStack() as stack:
        hanging = [stack.enter_context(serving(hang)) for _ in range(6)]
        logplex = stack.enter_context(receiving("t.1"))
        urls = dict(enumerate([server.url for server in hanging]))
        options = {"workers": 2, "timeout": 100, "flush_interval": 0.01, "shutdown_timeout": 0.1}
        logger, _ = stack.enter_context(
            logging_to(None, streams={**urls, "new": logplex.url_for("t.1")}, **options)
        )
        for stream in urls:
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: sum(len(server.received) for server in hanging) >= 4)
        logger.info("line", extra=to("new"))
        assert logplex.wait_for(1)
