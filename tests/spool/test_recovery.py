"""Records that one process leaves on disk are delivered by the next."""

from __future__ import annotations

from functools import partial

from logplex_handler._delivery import scheduler
from logplex_handler._sender import due
from logplex_handler._sender.disk_source import DiskSource
from logplex_handler._spool.spool import Spool, SpoolOptions
from logplex_handler.streams import registry
from tests import forks
from tests.commands import environment
from tests.logs import Told, balanced, logging_to, logging_to_server, own_stream, wait_until
from tests.servers import accept, answer, hang, refusing, reset, serving, texts
from tests.spool.shared import DEAD, leave, lines, patience, rows


def test_what_is_on_disk_counts_towards_a_large_batch(spool, monkeypatch):
    """It leaves at once, however soon after a request."""
    monkeypatch.setattr(due, "_LINGER", 600)
    options = {"batch_size": 5, "flush_interval": 600, "spool_interval": 0.01}
    with logging_to_server(accept, spool=spool, **options) as (server, logger, handler):
        source = own_stream(handler).source
        assert isinstance(source, DiskSource)
        # A part of a batch that is written before the rest comes wakes no worker.
        with source._lock:
            for text in lines(*range(5)):
                logger.info(text)
        assert wait_until(lambda: len(server.frames()) == 5)
        for text in lines(*range(5, 50)):
            logger.info(text)
        assert wait_until(lambda: source.records == 45)
        assert len(server.frames()) == 5
        with source._lock:
            for text in lines(*range(50, 55)):
                logger.info(text)
        assert wait_until(lambda: len(server.frames()) == 55)
    assert server.frames() == [text.encode() for text in lines(*range(55))]


# What one process leaves, the next one delivers


def test_what_is_left_at_close_is_delivered_by_the_next_handler_first(spool, capsys):
    """In order, and before new records; the counts of both handlers balance."""
    said = []

    def has_tried():
        said.append(capsys.readouterr().err)
        return "not delivering" in "".join(said)

    before = leave(spool, lines(*range(1000)), until=has_tried)
    assert (before.pending, dict(before.dropped)) == (1000, {})
    assert "1000 records left in the spool: NewConnectionError" in capsys.readouterr().err
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("new")
        assert handler.flush(100)
        assert server.frames() == [line.encode() for line in [*lines(*range(1000)), "new"]]
        stats = handler.stats()
        assert (stats.accepted, stats.delivered, stats.recovered) == (1001, 1001, 1000)
    assert rows(spool) == []


def test_what_was_left_and_is_at_fault_holds_up_nothing(spool, short_waits):
    """New records cannot join its batch, and so cannot show that the receiver takes the stream."""
    leave(spool, ["bad"])
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        server.steps[0] = refusing(b"bad", 400)(server)
        for text in lines(*range(5)):
            logger.info(text)
        assert handler.flush(100)
        stats = handler.stats()
    assert (stats.delivered, dict(stats.dropped)) == (5, {"refused": 1})


def test_a_flush_alone_delivers_what_was_left(spool):
    """A process need not log anything itself."""
    leave(spool, lines(1, 2))
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        assert server.frames() == [b"line 1", b"line 2"]


def test_a_batch_is_on_disk_with_its_frame_id_before_it_is_sent(spool):
    """And is not there any more when it was accepted."""
    seen = []

    def look(connection):
        seen.extend(rows(spool, "frame_id, body"))
        accept(connection)

    with logging_to_server(look, spool=spool) as (server, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        (request,) = server.received
        assert seen == [(request.frame_id, request.body)]
        assert rows(spool) == []


def test_a_batch_of_unknown_outcome_is_sent_again_by_the_next_process_as_it_was(spool):
    """Under the same frame id and with the same bytes, also when new records wait."""
    with serving(reset, answer(503)) as server:
        options = {"batch_size": 3, "flush_interval": 60, "until": lambda: server.received}
        leave(spool, lines(1, 2, 3), url=server.url, **options)
        first = server.received[0]
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("new")
        assert handler.flush(100)
        again, new = server.received
        assert (again.frame_id, again.body) == (first.frame_id, first.body)
        assert texts(new.body) == [b"new"]


def test_a_part_of_unknown_outcome_is_sent_again_by_the_next_process_as_it_was(spool):
    """A receiver that knows its frame id can tell that it has the part."""
    with serving(answer(413), reset, answer(503)) as server:
        options = {"batch_size": 4, "flush_interval": 60, "until": lambda: len(server.received) > 1}
        leave(spool, lines(1, 2, 3, 4), url=server.url, **options)
        part = server.received[1]
    assert texts(part.body) == [b"line 1", b"line 2"]
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        again, other = server.received
        assert (again.frame_id, again.body) == (part.frame_id, part.body)
        assert texts(other.body) == [b"line 3", b"line 4"]


def test_after_a_batch_was_cut_in_parts_only_what_is_left_is_sent_again(spool):
    """A part that was accepted is not sent under another frame id by the next process."""
    messages = [*lines(*range(7)), "bad", *lines(8, 9)]
    with serving(accept) as server:

        def step(connection):
            # One request after the half that was accepted, nothing is answered any more.
            if len(accepted) == 1:
                answer(503)(connection)
            else:
                refusing(b"bad", 413)(server)(connection)
                if b"bad" not in server.received[-1].body:
                    accepted.append(server.received[-1])

        accepted: list = []
        server.steps[:] = [step]

        def is_cut():
            return accepted and server.received[-1] is not accepted[-1]

        options = {"batch_size": 10, "flush_interval": 60, "until": is_cut}
        leave(spool, messages, url=server.url, **options)
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        delivered = [text for request in accepted for text in texts(request.body)]
        assert len(accepted) == 1
        assert delivered + server.frames() == [message.encode() for message in messages]


def test_records_of_a_dead_process_that_are_refused_are_dropped_and_told(spool):
    """Like this process's own; the rest is delivered, and the counts balance."""
    leave(spool, [*lines(1, 2), "bad", *lines(3, 4)])
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        server.steps[:] = [refusing(b"bad", 413)(server)]
        logger.info("new")
        assert wait_until(lambda: handler.flush(1) and handler.stats().delivered == 5)
        stats = handler.stats()
        assert (stats.accepted, stats.recovered, dict(stats.dropped)) == (6, 5, {"refused": 1})
        assert balanced(stats)
    assert rows(spool) == []


def test_a_record_of_several_packets_is_one_record_on_disk(spool):
    """It is counted once, by both processes."""
    long = "x" * 30_000
    assert leave(spool, [long, "short"]).pending == 2
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        stats = handler.stats()
        assert (stats.delivered, stats.recovered) == (2, 2)
        assert b"".join(server.frames()) == f"{long}short".encode()


def test_a_full_run_of_streams_is_recovered_by_their_ids(spool):
    """A number and the same as text are two streams, and URLs are looked up again."""
    streams = {"1": DEAD, 1: DEAD}
    with (
        patience(),
        logging_to(None, spool=spool, shutdown_timeout=0.1, streams=streams) as (logger, handler),
    ):
        logger.info("of the text", extra={"logplex_stream": "1"})
        logger.info("of the number", extra={"logplex_stream": 1})
    assert handler.stats().pending == 2
    with (
        serving(accept) as text,
        serving(accept) as number,
        logging_to(None, spool=spool, streams={"1": text.url, 1: number.url}) as (_, handler),
    ):
        assert wait_until(lambda: handler.flush(1) and handler.stats().delivered == 2)
        assert (text.frames(), number.frames()) == ([b"of the text"], [b"of the number"])


def test_what_this_handler_cannot_deliver_stays_for_one_that_can(spool):
    """A handler without streams leaves theirs alone."""
    leave(spool, ["of a stream"], stream="a", streams={"a": DEAD})
    with serving(accept) as server:
        with logging_to(server.url, spool=spool) as (_, handler):
            assert handler.flush(100)
            assert server.received == []
        with logging_to(None, spool=spool, streams={"a": server.url}) as (_, handler):
            assert handler.flush(100)
            assert server.frames() == [b"of a stream"]


def test_records_of_a_stream_that_is_known_to_nobody_any_more_are_dropped_and_told(spool):
    """They are deleted from disk, and the counts balance."""
    leave(spool, lines(1, 2), stream="a", streams={"a": DEAD})
    with logging_to(None, spool=spool, streams={}) as (_, handler):
        assert wait_until(
            lambda: handler.flush(1) and dict(handler.stats().dropped) == {"unknown_stream": 2}
        )
        assert balanced(handler.stats())
        assert rows(spool) == []


def test_records_of_a_stream_that_ends_as_they_are_taken_over_are_dropped_and_told(
    spool, monkeypatch
):
    """They are deleted from disk, and the counts balance; and so are those that are found later."""
    monkeypatch.setattr(scheduler, "_IDLE", 600)
    leave(spool, lines(1, 2), stream="a", streams={"a": DEAD})
    take_over, told = Spool.take_over, Told()

    def take_over_late(*arguments):
        found = take_over(*arguments)
        assert wait_until(lambda: handler.stats(stream="a").dropped.get("unknown_stream"))
        return found

    with logging_to(None, spool=spool, streams={}, on_drop=told) as (logger, handler):
        monkeypatch.setattr(Spool, "take_over", take_over_late)
        logger.info("line", extra={"logplex_stream": "a"})
        assert wait_until(lambda: handler.stats().recovered == 2 and not handler.stats().pending)
        monkeypatch.setattr(Spool, "take_over", take_over)
        assert rows(spool) == []
        dead = {"a": DEAD}
        with patience(), logging_to(None, spool=spool, shutdown_timeout=0.1, streams=dead) as other:
            other[0].info("line 3", extra={"logplex_stream": "a"})
        assert wait_until(lambda: handler.stats().recovered == 3 and not handler.stats().pending)
        assert wait_until(lambda: rows(spool) == [])
        assert handler.flush(100)
        assert balanced(handler.stats())
        assert dict(handler.stats().dropped) == {"unknown_stream": 4}
    assert told.dropped == {"unknown_stream": 4}


def test_records_of_a_stream_that_is_not_looked_up_again_yet_wait_for_that(spool, monkeypatch):
    monkeypatch.setattr(scheduler, "_IDLE", 0.05)
    dead, urls = {"a": DEAD}, {}
    to_a = {"logplex_stream": "a"}
    with (
        serving(accept) as server,
        logging_to(None, spool=spool, streams=urls) as (logger, handler),
    ):
        pipeline = handler._pipeline
        logger.info("line", extra=to_a)
        assert wait_until(lambda: pipeline._registry._retired)
        with patience(), logging_to(None, spool=spool, shutdown_timeout=0.1, streams=dead) as other:
            other[0].info("line 3", extra=to_a)
        # They are nobody's.
        assert wait_until(lambda: rows(spool, "owner") == [(0,)])
        for state in registry._LOOK_UP_AGAIN_AFTER:
            monkeypatch.setitem(registry._LOOK_UP_AGAIN_AFTER, state, -1.0)
        urls["a"] = server.url
        pipeline._spool_writer._recover_at = float("-inf")
        assert wait_until(lambda: handler.flush(100) and server.frames() == [b"line 3"])
        assert (handler.stats().recovered, handler.stats().delivered) == (1, 1)
        assert balanced(handler.stats())


def test_streams_of_other_ids_stay_in_memory(spool):
    """A tuple is none that another process could look up."""
    with serving(accept) as server:
        streams = {("a", 1): server.url}
        with logging_to(None, spool=spool, streams=streams) as (logger, handler):
            logger.info("hello", extra={"logplex_stream": ("a", 1)})
            assert handler.flush(100)
            assert server.frames() == [b"hello"]
            assert not spool.exists() or rows(spool) == []


def test_what_two_dead_processes_have_sent_is_sent_again_as_it_was(spool):
    """Each batch whole under its frame id, though their chunks stand mixed on disk."""

    def is_on_disk(number):
        return sum(records for (records,) in rows(spool, "records")) == number

    options = {"spool": spool, "spool_interval": 0.02, "shutdown_timeout": 0.1}
    options |= {"batch_size": 8, "flush_interval": 60}
    with (
        serving(reset, reset, answer(503)) as server,
        logging_to(server.url, **options) as (first, one),
        logging_to(server.url, **options) as (second, other),
    ):
        for number in range(8):
            first.info("first %d", number)
            second.info("second %d", number)
            # Each in a chunk of its own.
            assert wait_until(partial(is_on_disk, 2 * number + 2))
        for number, handler in enumerate((one, other), 1):
            while len({request.frame_id for request in server.received}) < number:
                assert not handler.flush(0.1)
        before = {request.frame_id: request.body for request in server.received}
    assert len(rows(spool)) > 4
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        again = {request.frame_id: request.body for request in server.received}
        assert len(again) == len(server.received)
        assert before.items() <= again.items()
        texts_of_first = [text for text in server.frames() if text.startswith(b"first")]
        assert texts_of_first == [b"first %d" % number for number in range(8)]


CUT = """
import logging, time
from logplex_handler import LogplexHandler

handler = LogplexHandler(spool=SPOOL, flush_interval=0.1)
log = logging.getLogger("app")
log.setLevel("INFO")
log.addHandler(handler)
log.info("x" * 30_000)
time.sleep(1_000)
"""


def test_a_record_that_was_cut_into_parts_is_counted_once_by_the_next_process(spool):
    """A batch that is too large is halved, and one record may be in both halves."""
    with serving(answer(413), hang) as server:
        program = CUT.replace("SPOOL", repr(f"{spool}"))
        with forks.Fork(["-c", program], env=environment(server.url)) as process:
            try:
                assert wait_until(lambda: len(server.received) > 1)
            finally:
                process.kill()
    assert len(rows(spool)) == 2
    with logging_to_server(accept, spool=spool) as (server, _, handler):
        assert handler.flush(100)
        stats = handler.stats()
        assert (stats.recovered, stats.delivered, stats.pending) == (1, 1, 0)
        assert balanced(stats)
        assert len(server.received) == 2
    assert rows(spool) == []


def test_a_batch_of_which_no_record_is_left_is_replaced_by_nothing(spool):
    """Only a drop notice is left, which is not written to disk."""
    found = Spool(SpoolOptions(f"{spool}", 10_000_000, 1.0))
    chunk = found.write(None, None, [b"1 a"])
    assert found.replace([chunk], None, None, [], recovered=False) == []
    assert rows(spool) == []
    found.close()
