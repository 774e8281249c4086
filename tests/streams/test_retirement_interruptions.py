"""Whatever comes between the steps of retiring a stream or taking it back, counts stay right."""

from functools import partial

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, wait_until
from tests.streams.shared import to
from tests.streams.test_parking_interruptions import interrupted_at


@pytest.mark.parametrize("is_held", [False, True], ids=["free", "held"])
@pytest.mark.parametrize("what", ["log", "log to another", "flush", "retire"])
@pytest.mark.parametrize("step", ["retire", "open", "revive"])
def test_an_interruption_leaves_the_counts_right(monkeypatch, step, what, is_held):
    """A garbage collection logs, or a signal handler that flushes, so that a worker retires."""
    monkeypatch.setattr(scheduler, "_IDLE", 3600)
    held, numbers, interrupted = [], {}, True
    with LogplexReceiver() as logplex:
        options = {"streams": lambda _: logplex.url, "flush_interval": 600}
        with logging_to(None, **options) as (logger, handler):
            registry = handler._pipeline._registry

            def log(stream):
                numbers[stream] = numbers.get(stream, 0) + 1
                logger.info("line", extra=to(stream))

            def retire(stream_id):
                if stream := registry.stream(stream_id):
                    assert wait_until(lambda: stream.is_idle)
                    assert registry.retire(stream)

            def act():
                log(other if what == "log to another" else one)
                if what in ("flush", "retire"):
                    assert handler.flush(100)
                if what == "retire":
                    retire(one)
                    retire(other)

            while interrupted:
                one, other = f"one {len(numbers)}", f"other {len(numbers)}"
                for is_last in (False, True):
                    log(one)
                    log(other)
                    assert handler.flush(100)
                    retire(other)
                    stream = registry.stream(one)
                    held += [stream] * is_held
                    if step != "retire" or not is_last:
                        retire(one)
                if step == "open":
                    function, stream = partial(registry.intake, one), None
                else:
                    function = partial(getattr(registry, step), stream)
                interrupted = interrupted_at(len(numbers) // 2 - 1, function, act)
                # Or the stream would be held.
                function = stream = None
                assert handler.flush(100)
                # A line that has come meanwhile counts once a worker has looked.
                number = sum(numbers.values())
                assert wait_until(lambda n=number: handler.stats().accepted == n), one
                assert balanced(handler.stats())
            for stream_id, number in numbers.items():
                assert handler.stats(stream=stream_id).accepted == number
            assert logplex.wait_for(sum(numbers.values()))
            assert len(logplex.lines) == sum(numbers.values()) == handler.stats().delivered
            assert len(numbers) > 40
