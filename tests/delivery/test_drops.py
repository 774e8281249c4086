"""Dropped records: full buffers, `on_drop`, blocking, and entries that cannot be rendered."""

import threading
from unittest import mock

from logplex_handler import KeyValueFormatter
from logplex_handler._buffer.accumulator import Accumulator
from tests.delivery.shared import before_rendering
from tests.logs import (
    balanced,
    logging_to_receiver,
    logging_to_server,
    wait_until,
)
from tests.servers import accept, answer, texts

# Drops.


def test_a_full_buffer_drops_the_oldest_and_tells_when_lines_are_taken_again(capsys, short_waits):
    """The newest records arrive, then a drop notice whose number agrees with `stats`."""
    released = threading.Event()

    def wait(connection):
        released.wait(100)
        answer(503)(connection)

    dropped = []
    with logging_to_server(
        wait,
        accept,
        max_buffer_bytes=20_000,
        flush_interval=0.01,
        timeout=100,
        on_drop=lambda records, cause: dropped.append((records, cause)),
    ) as (server, logger, handler):
        logger.info("line 0")
        assert wait_until(lambda: server.received)
        for number in range(1, 1000):
            logger.info("line %d", number)
            assert balanced(handler.stats())
        released.set()
        assert handler.flush()
        stats = handler.stats()
    lost = stats.dropped["buffer_full"]
    assert stats.delivered + lost == 1000
    assert 800 < lost < 1000
    assert sum(records for records, _ in dropped) == lost
    assert {cause for _, cause in dropped} == {"buffer_full"}
    delivered = {request.frame_id: request.body for request in server.received}.values()
    frames = [text.decode() for body in delivered for text in texts(body)]
    lines = [text for text in frames if text.startswith("line")]
    notices = [text for text in frames if not text.startswith("line")]
    assert lines == ["line 0", *(f"line {number}" for number in range(lost + 1, 1000))]
    assert sum(int(text.rpartition("=")[2]) for text in notices) == lost
    assert "dropped (buffer_full" in capsys.readouterr().err


def test_a_notice_that_the_receiver_refuses_is_not_sent_again_and_again(capsys):
    """Nor is the probe that shows that it is the notice which is at fault."""
    with logging_to_server(accept) as (server, logger, handler):

        def step(connection):
            body = server.received[-1].body
            is_refused = b"bad" in body or b"logplex_handler.dropped" in body
            (answer(400) if is_refused else accept)(connection)

        server.steps[:] = [step]
        for line in ("one", "bad", "two"):
            logger.info(line)
        assert handler.flush(100)
        assert handler.stats().dropped == {"refused": 1}
        own = [text for text in server.frames() if b"logplex_handler." in text]
    assert sum(b"probe=1" in text for text in own) == 1
    assert sum(b"dropped=1" in text for text in own) == 2
    assert "1 record dropped (refused 1)" in capsys.readouterr().err


def test_a_callback_may_log_and_fail():
    """Records that `on_drop` logs are delivered like others; its exceptions reach no caller."""
    log = []

    def on_drop(records, cause):
        log[0].warning("lost %d", records)
        raise RuntimeError("the partner's own error")

    with logging_to_receiver(max_buffer_bytes=20_000, on_drop=on_drop) as (
        logplex,
        logger,
        handler,
    ):
        log.append(logger)
        logger.info("x" * 30_000)
        assert handler.flush()
        assert wait_until(lambda: any(line.text == "lost 1" for line in logplex.lines))


def test_blocking_waits_for_room_and_loses_nothing():
    """With `on_full="block"` the caller is as fast as the delivery."""
    with logging_to_receiver(max_buffer_bytes=20_000, on_full="block") as (
        logplex,
        logger,
        handler,
    ):
        for number in range(2000):
            logger.info("line %d", number)
        assert handler.flush()
        assert handler.stats().dropped == {}
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(2000)]


def test_blocking_waits_for_room_for_long_texts_too():
    """Also for those of a call that has logged many."""
    formatter = KeyValueFormatter()
    with logging_to_receiver(on_full="block", formatter=formatter) as (_, logger, handler):
        for _ in range(30):
            logger.info("parcel %s", "x" * 4000)
        with mock.patch.object(
            Accumulator, "put", autospec=True, side_effect=Accumulator.put
        ) as put:
            logger.info("parcel %s", "x" * 4000)
        assert put.call_args.kwargs["may_wait"]
        assert handler.flush()
        assert handler.stats().delivered == 31


def test_a_closed_handler_counts_records_with_long_texts():
    """Those of a call that has logged many, and of one whose texts are long at times."""
    with logging_to_receiver(formatter=KeyValueFormatter()) as (_, logger, handler):
        for number in range(120):
            logger.info("parcel %s", "x" * (4000 if number % 2 else 4))
            logger.info("from %s", "x" * 4000)
        assert handler.flush()
        handler.close()
        for length in (4, 4000, 4):
            logger.info("parcel %s", "x" * length)
        logger.info("from %s", "x" * 4000)
        stats = handler.stats()
    assert stats.delivered == 240
    assert stats.dropped == {"closed": 4}


def test_an_entry_that_cannot_be_rendered_does_not_stop_the_others(monkeypatch):
    """It is counted as `format_error` and reported."""
    with logging_to_receiver(flush_interval=60) as (logplex, logger, handler):
        before_rendering(monkeypatch, handler, lambda entry: [[]] if entry[-1] == "bad" else None)
        for text in ("one", "bad", "two"):
            logger.info(text)
        assert handler.flush()
        stats = handler.stats()
    assert [line.text for line in logplex.lines][:2] == ["one", "two"]
    assert stats.dropped == {"format_error": 1}
    assert balanced(stats)


def test_what_is_left_at_the_end_is_called_back_for(capsys):
    """`on_drop` is called for every reason that the handler reports."""
    dropped = []
    with logging_to_server(
        answer(503), shutdown_timeout=0.1, on_drop=lambda n, cause: dropped.append((n, cause))
    ) as (_, logger, handler):
        logger.info("line")
        handler.close()
    assert dropped == [(1, "shutdown")]
    said = capsys.readouterr().err
    assert said.count("1 record not delivered") == 1
    assert "dropped" not in said
