"""Whatever comes between the steps by which a stream is parked or taken back, nothing is lost."""

import itertools
import os
import sys
from contextlib import suppress
from functools import partial

import pytest

import logplex_handler
from logplex_handler._delivery.fair_queue import Host
from logplex_handler._process.reentrancy import is_held
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler.streams.stream import Job, Stream
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, wait_until
from tests.streams import test_parking
from tests.streams.shared import by_token, to, token
from tests.streams.test_parking import down, parked


def interrupted_at(place, function, act):
    """Call `act` where a signal handler may run in a function; return whether it has that place."""
    folder = os.path.dirname(logplex_handler.__file__)
    places, interrupted = itertools.count(), False

    def profile(frame, event, _):
        nonlocal interrupted
        is_ours = frame.f_code.co_filename.startswith(folder)
        if is_ours and event in ("call", "c_return") and next(places) == place:
            sys.setprofile(None)
            interrupted = True
            act()

    sys.setprofile(profile)
    try:
        with suppress(KeyboardInterrupt):
            function()
    finally:
        sys.setprofile(None)
    return interrupted


@pytest.mark.parametrize("what", ["log", "flush", "stats", "raise"])
@pytest.mark.parametrize("step", ["park", "resume"])
def test_no_interruption_loses_a_record_or_counts_one_twice(monkeypatch, step, what):
    texts, interrupted = {}, True
    with down(monkeypatch) as (logger, handler, up):
        pool, registry = handler._pipeline._worker_pool, handler._pipeline._registry
        scheduler = pool._scheduler

        def accepted():
            stats = handler.stats()
            assert balanced(stats)
            return stats.accepted

        def act():
            if what == "log":
                texts[one].append("two")
                logger.info("two", extra=to(one))
            elif what == "flush":
                handler.flush(0.01)
            elif what == "stats":
                seen.append(accepted())
            else:
                raise KeyboardInterrupt

        def run():
            try:
                if step == "park":
                    scheduler._parking.in_line(stream, parks=True)
                else:
                    registry.resume(one)
            except KeyboardInterrupt:
                # As a worker does.
                sys.setprofile(None)
                scheduler.recover()
                raise

        while interrupted:
            one, seen = 1000 + len(texts), []
            texts[one] = ["one"]
            logger.info("one", extra=to(one))
            assert wait_until(lambda one=one: one in parked(handler))
            with pool._lock:
                if step == "park":
                    stream = registry.stream(one)
                    stream.stays = False
                interrupted = interrupted_at(len(texts) - 1, run, act)
            stream = None
            # A line that has come meanwhile counts once a worker has looked.
            number = 1 + sum(map(len, texts.values()))
            assert wait_until(lambda number=number: accepted() == number), one
            assert handler.stats(stream=one).accepted == len(texts[one])
            assert seen in ([], [number])
        assert len(texts) > 20
        monkeypatch.setattr(test_parking, "STREAMS", [*texts])
        with up() as logplex:
            assert handler.flush(60)
            found = by_token(logplex)
            assert found == {token(0): ["zero"]} | {token(one): texts[one] for one in texts}
        memory = registry._context.memory
        kept = memory._max_bytes - memory.first_entries.kept_bytes
        assert wait_until(lambda: memory._left == kept and not memory._holders)


def test_a_stream_that_is_parked_as_all_are_listed_is_listed(monkeypatch):
    """Or a flush would not wait for it."""
    with down(monkeypatch) as (logger, handler, _):
        logger.info("line", extra=to(7))
        assert wait_until(lambda: 7 in parked(handler))
        registry = handler._pipeline._registry
        stream, resume_all = registry.stream(7), registry._resume_all

        def parked_just_after():
            resume_all()
            if not is_held(registry.lock):
                assert registry.park(stream)

        monkeypatch.setattr(registry, "_resume_all", parked_just_after)
        assert stream in registry.all_streams()


def test_the_line_of_a_host_that_fails_as_its_turn_comes_is_gone_through_once(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        for stream in test_parking.STREAMS:
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*test_parking.STREAMS})
        pool = handler._pipeline._worker_pool
        scheduler = pool._scheduler
        with pool._lock, monkeypatch.context() as patched:
            (host,) = scheduler._requests._hosts.values()
            waiting, asked, answers = len(host.waiting), [], iter([0.0, 0.0])
            assert isinstance(host, Host)

            # The turn comes, and another thread then notes a failure.
            def remaining(*_):
                return next(answers, 60.0)

            def not_yet_due(stream, _):
                asked.append(stream)
                return Job.DELIVER, 30.0 if len(asked) < 1000 else 0.0

            patched.setattr(CircuitBreaker, "remaining", remaining)
            patched.setattr(Stream, "next_job", not_yet_due)
            scheduler._requests.update(host.breaker, scheduler._clock())
            assert scheduler.take() is None
            assert len(asked) == len(host.waiting) == waiting
        with up() as logplex:
            assert logplex.wait_for(len(test_parking.STREAMS) + 1)


def test_a_record_that_comes_as_its_stream_is_retired_again_counts_once():
    """A caller still has the stream, so that it is the same one that is taken up again."""
    held, number, interrupted = [], 0, True
    with LogplexReceiver() as logplex:
        options = {"streams": lambda _: logplex.url, "flush_interval": 600}
        with logging_to(None, **options) as (logger, handler):
            registry = handler._pipeline._registry
            while interrupted:
                one = len(held)
                for is_second in (False, True):
                    logger.info("line", extra=to(one))
                    number += 1
                    assert handler.flush(100)
                    stream = registry.stream(one)
                    held[one:] = [stream]
                    assert wait_until(lambda stream=stream: stream.is_idle)
                    retire = partial(registry.retire, stream)
                    if not is_second:
                        assert retire()

                def act(one=one):
                    logger.info("late", extra=to(one))

                interrupted = interrupted_at(one, retire, act)
                number += interrupted
                assert handler.flush(100)
                assert wait_until(lambda n=number: handler.stats().accepted == n), one
            assert len(held) > 20
