"""How batches leave the process: over real sockets, to a receiver and to servers that misbehave."""

import gzip
import logging
import threading
import time
from collections import defaultdict
from contextlib import contextmanager

import pytest
import requests

from logplex_handler import KeyValueFormatter
from logplex_handler._sender import retry_policy, sender
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, own_stream, wait_until
from tests.servers import accept, answer, hang_up, refusing, reset, serving, texts

# Batches.


def test_a_batch_is_due_when_it_has_batch_size_packets():
    """The last packet of a full batch sends it, long before the interval is over."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, batch_size=5, flush_interval=60) as (logger, _),
    ):
        for number in range(4):
            logger.info("line %d", number)
        assert not logplex.wait_for(1, 0.3)
        logger.info("line 4")
        assert logplex.wait_for(5)
    assert [request.frames for request in logplex.requests] == [5]


def test_the_packets_of_a_long_message_count_towards_batch_size():
    """One message of six packets is a batch of five or more."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, batch_size=5, flush_interval=60) as (logger, _),
    ):
        logger.info("x" * 55_000)
        assert logplex.wait_for(6)


def test_a_batch_is_due_flush_interval_after_its_first_record():
    """A single record waits for the interval, and no longer."""
    with LogplexReceiver() as logplex, logging_to(logplex.url, flush_interval=0.4) as (logger, _):
        started = time.monotonic()
        logger.info("one")
        assert not logplex.wait_for(1, 0.2)
        logger.info("two")
        assert logplex.wait_for(2)
        assert 0.35 < time.monotonic() - started < 2
    assert [request.frames for request in logplex.requests] == [2]


def log_lines(logger, number):
    for line in range(number):
        logger.info("line %d", line)


@contextmanager
def soon_after_a_request(monkeypatch, *, rest, flush_interval):
    """A receiver that has had a batch of five just now, and the logger that goes on."""
    monkeypatch.setattr(sender, "_REST", rest)
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, batch_size=5, flush_interval=flush_interval) as (logger, _),
    ):
        log_lines(logger, 5)
        assert logplex.wait_for(5)
        yield logplex, logger


def test_soon_after_a_request_a_full_batch_waits_for_more(monkeypatch):
    """For a moment, so that there are fewer requests; then it leaves, however large it is."""
    with soon_after_a_request(monkeypatch, rest=1.0, flush_interval=60) as (logplex, logger):
        log_lines(logger, 12)
        assert not logplex.wait_for(6, 0.2)
        log_lines(logger, 8)
        assert logplex.wait_for(25)
    assert [request.frames for request in logplex.requests] == [5, 20]


def test_ten_times_as_many_packets_wait_for_no_more(monkeypatch):
    """They leave at once, however soon after a request."""
    with soon_after_a_request(monkeypatch, rest=600, flush_interval=600) as (logplex, logger):
        log_lines(logger, 49)
        assert not logplex.wait_for(6, 0.2)
        log_lines(logger, 1)
        assert logplex.wait_for(55)
    assert [request.frames for request in logplex.requests] == [5, 50]


def test_a_full_batch_waits_no_longer_than_flush_interval(monkeypatch):
    """As any batch."""
    with soon_after_a_request(monkeypatch, rest=600, flush_interval=0.2) as (logplex, logger):
        log_lines(logger, 7)
        assert logplex.wait_for(12)
    assert [request.frames for request in logplex.requests] == [5, 7]


def test_no_request_is_larger_than_max_batch_bytes():
    """What waits is sent in as many requests as it needs."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, max_batch_bytes=20_000, flush_interval=60) as (logger, handler),
    ):
        for number in range(1000):
            logger.info("%04d %s", number, "x" * 100)
        assert handler.flush()
    assert max(len(request.body_bytes) for request in logplex.requests) <= 20_000
    assert [line.text[:4] for line in logplex.lines] == [f"{n:04d}" for n in range(1000)]


def test_under_backlog_batches_grow_beyond_batch_size():
    """What came while a request was under way leaves in one request, bounded by bytes alone."""
    released = threading.Event()

    def slow_accept(connection):
        released.wait(5)
        accept(connection)

    with (
        serving(slow_accept, accept) as server,
        logging_to(server.url, batch_size=10, flush_interval=60) as (logger, handler),
    ):
        for number in range(10):
            logger.info("first %d", number)
        assert wait_until(lambda: server.received)
        for number in range(1000):
            logger.info("later %d", number)
        released.set()
        assert handler.flush()
    assert [request.headers["logplex-msg-count"] for request in server.received] == ["10", "1000"]


def test_a_message_larger_than_a_batch_goes_in_consecutive_requests():
    """One record of more bytes than a request may have is delivered whole, and counted once."""
    message = "".join(f"{number:06d}" for number in range(10_000))
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, max_batch_bytes=20_000) as (
            logger,
            handler,
        ),
    ):
        logger.info("%s", message)
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(logplex.requests) > 2
    assert "".join(line.text for line in logplex.lines) == message
    assert not logplex.violations


# Order and connections.


def test_10_000_records_from_8_threads_arrive_once_in_order_on_two_connections():
    """Nothing is lost or doubled, each thread's order holds, connections are kept."""
    with (
        LogplexReceiver(max_requests=10_000) as logplex,
        logging_to(logplex.url, batch_size=100) as (logger, handler),
    ):

        def work(thread):
            for number in range(1250):
                logger.info("%d %d", thread, number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert handler.flush()
        stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.pending, stats.dropped) == (
        10_000,
        10_000,
        0,
        {},
    )
    by_thread = defaultdict(list)
    for line in logplex.lines:
        thread, number = line.text.split()
        by_thread[thread].append(int(number))
    assert by_thread == {str(n): list(range(1250)) for n in range(8)}
    assert len({request.connection for request in logplex.requests}) <= 2
    assert not logplex.violations


def test_every_request_carries_what_logplex_asks_for():
    """Exact type, length, count, a frame id of its own, and the add-on's name before ours."""
    with (
        LogplexReceiver() as logplex,
        logging_to(
            logplex.url, user_agent="MyAddon (https://example.com)", headers={"X-Drain": "d.1"}
        ) as (logger, handler),
    ):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush()
    ids = set()
    for request in logplex.requests:
        assert request.headers["Content-Type"] == "application/logplex-1"
        assert request.headers["Content-Length"] == str(len(request.body_bytes))
        assert request.headers["Logplex-Msg-Count"] == "1"
        assert request.headers["User-Agent"].startswith("MyAddon (https://example.com) logplex_h")
        assert request.headers["X-Drain"] == "d.1"
        assert "Transfer-Encoding" not in request.headers
        ids.add(request.frame_id)
    assert len(ids) == 3


def test_compress_gzips_every_body():
    """Bodies are smaller, say so, and hold the same frames."""
    with LogplexReceiver() as logplex, logging_to(logplex.url, compress=True) as (logger, handler):
        for number in range(200):
            logger.info("line %d", number)
        assert handler.flush()
        assert handler.stats().bytes_sent == sum(len(r.body_bytes) for r in logplex.requests)
    (request,) = logplex.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert len(request.body_bytes) < len(gzip.decompress(request.body_bytes)) / 5
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(200)]


def test_the_servers_request_limit_costs_nothing():
    """After each answer with `Connection: close` a new connection goes on where it stopped."""
    with LogplexReceiver(max_requests=3) as logplex, logging_to(logplex.url) as (logger, handler):
        for number in range(10):
            logger.info("line %d", number)
            assert handler.flush()
        stats = handler.stats()
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(10)]
    assert (stats.requests, stats.retries, stats.possible_duplicates) == (10, 0, 0)
    assert len({request.connection for request in logplex.requests}) == 4


def test_a_connection_that_the_server_closed_while_idle_costs_nothing(capsys):
    """No retry, no possible duplicate, no wait, no word."""
    with LogplexReceiver(idle_timeout=0.2) as logplex, logging_to(logplex.url) as (logger, handler):
        for number in range(4):
            logger.info("line %d", number)
            assert handler.flush()
            time.sleep(0.4)
        stats = handler.stats()
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(4)]
    assert (stats.requests, stats.retries, stats.possible_duplicates) == (4, 0, 0)
    assert capsys.readouterr().err == ""


def test_a_kept_connection_that_dies_under_a_request_is_tried_again_at_once(capsys, monkeypatch):
    """The race with the server's closing costs a retry under the same frame id, and no wait."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 30.0)
    with serving(accept, hang_up, accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("one")
        assert handler.flush()
        logger.info("two")
        assert handler.flush()
        stats = handler.stats()
    assert [request.headers["logplex-msg-count"] for request in server.received] == ["1", "1", "1"]
    assert server.received[1].frame_id == server.received[2].frame_id
    assert (stats.retries, stats.possible_duplicates) == (1, 1)
    assert capsys.readouterr().err == ""


# Answers.


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_delivered(status):
    """Logplex says 204, other receivers 200 or 202."""
    with serving(answer(status)) as server, logging_to(server.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(server.received) == 1


@pytest.mark.parametrize("step", [answer(503), answer(408), answer(429), answer(500), reset])
def test_a_passing_failure_is_tried_again_with_the_same_frame_id(step, short_waits):
    """The batch is kept, and leaves again unchanged after a wait."""
    with serving(step, accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
    first, second = server.received
    assert (first.frame_id, first.body) == (second.frame_id, second.body)
    assert (stats.delivered, stats.requests, stats.retries) == (1, 2, 1)
    assert stats.possible_duplicates == (step is reset)


def test_an_order_holds_across_failures(short_waits):
    """Records that come while a batch fails wait behind it."""
    with (
        serving(answer(503), answer(503), accept) as server,
        logging_to(server.url, flush_interval=0.05) as (logger, handler),
    ):
        for number in range(30):
            logger.info("line %d", number)
            time.sleep(0.02)
        assert handler.flush()
    delivered = {request.frame_id: request for request in server.received}.values()
    numbers = [int(frame.split()[1]) for r in delivered for frame in texts(r.body)]
    assert numbers == list(range(30))


def test_retry_after_is_obeyed():
    """The receiver's own wait comes before the ordinary one."""
    with (
        serving(answer(503, "Retry-After: 2"), accept) as server,
        logging_to(server.url) as (
            logger,
            handler,
        ),
    ):
        logger.info("line")
        assert wait_until(lambda: len(server.received) == 1)
        first = time.monotonic()
        assert wait_until(lambda: len(server.received) == 2)
        assert 1.8 < time.monotonic() - first < 3
        assert handler.flush()


def test_flush_does_not_wait_in_vain_for_a_receiver_that_asked_for_longer():
    """It is False at once rather than after the time-out."""
    with (
        serving(answer(429, "Retry-After: 100")) as server,
        logging_to(server.url, shutdown_timeout=0.5) as (logger, handler),
    ):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 1)
        started = time.monotonic()
        assert not handler.flush(20)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_of_a_refused_batch_only_the_packet_at_fault_is_lost(status, capsys, short_waits):
    """199 of 200 are delivered in order; the one is counted, told in the stream, said on stderr."""
    with serving(accept) as server, logging_to(server.url, flush_interval=60) as (logger, handler):
        server.steps[0] = refusing(b"line 77\n", status)(server)
        for number in range(200):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.dropped) == (200, 199, {"refused": 1})
    assert balanced(stats)
    taken = [t for r in server.received if b"line 77\n" not in r.body for t in texts(r.body)]
    *lines, notice = [text.decode() for text in taken]
    assert lines == [f"line {number}" for number in range(200) if number != 77]
    assert notice.startswith('level=warning logger=logplex_handler msg="1 record dropped')
    assert notice.endswith(" count#logplex_handler.dropped=1")
    assert "1 record dropped (refused 1)" in capsys.readouterr().err
    # Halving 200 takes a request for each half on the way down, not one for each packet.
    assert len(server.received) < 25


def test_a_stream_that_refuses_every_packet_is_set_aside_rather_than_emptied(capsys, short_waits):
    """Its records are kept, and delivered when it takes lines again."""
    with serving(*[answer(400)] * 7, accept) as server, logging_to(server.url) as (logger, handler):
        for number in range(4):
            logger.info("line %d", number)
        assert wait_until(lambda: len(server.received) >= 7)
        assert handler.stats().pending == 4
        assert handler.flush()
        assert handler.stats().delivered == 4
    assert server.frames()[-4:] == [b"line 0", b"line 1", b"line 2", b"line 3"]
    assert capsys.readouterr().err.count("4 records kept") == 1


def test_a_single_bad_packet_shows_beside_the_next_good_one(short_waits):
    """Refused alone it is kept; once another line is accepted, it is the one at fault."""
    with (
        serving(accept) as server,
        logging_to(server.url, flush_interval=0.05) as (logger, handler),
    ):
        server.steps[0] = refusing(b"bad", 400)(server)
        logger.info("bad")
        assert wait_until(lambda: handler.stats().requests >= 2)
        assert handler.stats().pending == 1
        logger.info("good")
        assert handler.flush()
        assert handler.stats().dropped == {"refused": 1}
        assert handler.stats().delivered == 1


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 410, 415])
def test_a_refused_url_keeps_the_records_and_says_so_once(status, capsys, short_waits):
    """The batch is not halved, not dropped, and delivered if the URL becomes good."""
    with (
        serving(answer(status), answer(status), accept) as server,
        logging_to(server.url) as (
            logger,
            handler,
        ),
    ):
        for number in range(3):
            logger.info("line %d", number)
        assert handler.flush()
        assert handler.stats().delivered == 3
    assert [request.headers["logplex-msg-count"] for request in server.received] == ["3", "3", "3"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"status {status}; 3 records kept" in said


def test_redirects_are_not_followed(short_waits):
    """The credentials do not leave for another place."""
    with (
        LogplexReceiver() as other,
        serving(answer(307, f"Location: {other.url}"), accept) as server,
        logging_to(server.url) as (logger, handler),
    ):
        logger.info("line")
        assert handler.flush()
        assert not other.requests
    assert len(server.received) == 2


def test_an_answer_that_trickles_is_given_up_after_four_times_the_timeout():
    """Each byte comes in time, yet the request ends, and the batch is tried again."""

    def trickle(connection):
        for byte in b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    with (
        serving(trickle, accept) as server,
        logging_to(server.url, timeout=0.3) as (
            logger,
            handler,
        ),
    ):
        logger.info("line")
        assert wait_until(lambda: server.received)
        started = time.monotonic()
        assert wait_until(lambda: len(server.received) == 2)
        assert 1.0 < time.monotonic() - started < 3
        assert handler.flush()
        assert handler.stats().possible_duplicates == 1


def test_a_long_answer_is_not_read_to_its_end():
    """Its status counts; what follows is left, and its connection given up."""

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with serving(endless, accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("one")
        assert handler.flush()
        logger.info("two")
        assert handler.flush()
        assert handler.stats().delivered == 2
    assert [request.connection for request in server.received] == [1, 2]


def test_an_outage_is_said_on_stderr_once_and_ends_well(capsys, short_waits):
    """After some failures in a row a line says so; nothing is lost."""
    steps = [answer(503)] * 6
    with serving(*steps, accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(server.received) == len(steps) + 1
    said = capsys.readouterr().err
    assert said.count("not delivering: status 503; 1 record kept, to be tried again") == 1


# Drops.


def test_a_full_buffer_drops_the_oldest_and_tells_when_lines_are_taken_again(capsys, short_waits):
    """What arrives is the newest, then a notice with the number of the others, as in the books."""
    released = threading.Event()

    def wait(connection):
        released.wait(10)
        answer(503)(connection)

    dropped = []
    with (
        serving(wait, accept) as server,
        logging_to(
            server.url,
            max_buffer_bytes=20_000,
            flush_interval=0.01,
            on_drop=lambda records, cause: dropped.append((records, cause)),
        ) as (logger, handler),
    ):
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


def test_a_callback_may_log_and_fail():
    """What `on_drop` logs is delivered like any other record; what it raises is nobody's."""
    log = []

    def on_drop(records, cause):
        log[0].warning("lost %d", records)
        raise RuntimeError("the partner's own error")

    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, max_buffer_bytes=20_000, on_drop=on_drop) as (logger, handler),
    ):
        log.append(logger)
        logger.info("x" * 30_000)
        assert handler.flush()
        assert wait_until(lambda: any(line.text == "lost 1" for line in logplex.lines))


def test_blocking_waits_for_room_and_loses_nothing():
    """With `on_full="block"` the caller is as fast as the delivery."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, max_buffer_bytes=20_000, on_full="block") as (logger, handler),
    ):
        for number in range(2000):
            logger.info("line %d", number)
        assert handler.flush()
        assert handler.stats().dropped == {}
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(2000)]


# Flush and close.


def test_flush_is_true_when_there_is_nothing_to_deliver():
    """A handler that was given nothing is flushed."""
    with LogplexReceiver() as logplex, logging_to(logplex.url) as (_, handler):
        assert handler.flush(0)
    assert not logplex.requests


def test_flush_is_false_when_its_time_is_over():
    """A server that does not answer makes it return in time."""
    with (
        serving(lambda connection: time.sleep(1.5)) as server,
        logging_to(server.url, shutdown_timeout=0.2) as (logger, handler),
    ):
        logger.info("line")
        started = time.monotonic()
        assert not handler.flush(0.5)
        assert time.monotonic() - started < 1.0


def test_close_delivers_what_waits_and_is_harmless_twice():
    """A long interval does not keep it; records after it are counted as `closed`."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=60) as (
            logger,
            handler,
        ),
    ):
        logger.info("line")
        handler.close()
        handler.close()
        assert handler.flush()
        logger.info("late")
        stats = handler.stats()
    assert [line.text for line in logplex.lines] == ["line"]
    assert (stats.delivered, stats.dropped) == (1, {"closed": 1})
    assert balanced(stats)


def test_what_is_logged_after_close_is_counted_and_said_and_waits_nowhere(capsys):
    """Also the records that take the short way through the handler."""
    with (
        serving(accept) as server,
        logging_to(server.url, formatter=KeyValueFormatter()) as (
            logger,
            handler,
        ),
    ):
        for number in range(100):
            logger.info("order %d", number)
        accumulator = own_stream(handler).accumulator
        handler.close()
        for number in range(100):
            logger.info("order %d", number)
        assert not accumulator._queue
        stats = handler.stats()
    assert (stats.delivered, stats.pending, dict(stats.dropped)) == (100, 0, {"closed": 100})
    assert "records are logged after close, and dropped" in capsys.readouterr().err


def test_close_beside_a_server_that_hangs_counts_and_says_what_is_left(capsys):
    """It returns within `shutdown_timeout`; nothing is pending then."""
    with (
        serving(lambda connection: time.sleep(1.5)) as server,
        logging_to(server.url, shutdown_timeout=0.3, flush_interval=0.01) as (logger, handler),
    ):
        for number in range(7):
            logger.info("line %d", number)
        assert wait_until(lambda: server.received)
        started = time.monotonic()
        handler.flush()
        handler.close()
        assert time.monotonic() - started < 1.0
        stats = handler.stats()
    assert (stats.pending, stats.dropped) == (0, {"shutdown": 7})
    assert balanced(stats)
    assert "logplex_handler: 7 records not delivered: " in capsys.readouterr().err


def test_the_handler_waits_for_the_interval_in_one_thread_only():
    """However many records and flushes there are, one thread delivers."""
    with LogplexReceiver() as logplex, logging_to(logplex.url) as (logger, handler):
        for _ in range(20):
            logger.info("line")
            handler.flush()
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("logplex_handler") == 1


def test_no_thread_runs_before_the_first_record():
    """Making a handler starts nothing."""
    with LogplexReceiver() as logplex, logging_to(logplex.url) as (_, handler):
        assert handler.flush()
        assert "logplex_handler" not in [thread.name for thread in threading.enumerate()]


def test_a_session_factory_that_fails_is_tried_again(short_waits):
    """Its errors are failures like others: the records are kept."""
    attempts = []

    def factory():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no such CA")
        return requests.Session()

    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, session_factory=factory) as (logger, handler),
    ):
        logger.info("line")
        assert handler.flush()
    assert [line.text for line in logplex.lines] == ["line"]


def test_root_at_debug_is_not_fed_by_its_own_deliveries():
    """What urllib3 logs of a delivery does not become a record that is delivered."""
    with LogplexReceiver() as logplex, logging_to(logplex.url, flush_interval=0.05) as (_, handler):
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            logging.getLogger("app").info("one")
            time.sleep(0.5)
            assert handler.flush()
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
    assert [line.text for line in logplex.lines] == ["one"]
    assert len(logplex.requests) == 1


def test_two_handlers_do_not_feed_each_other():
    """What one handler's delivery logs does not become a record of the other."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=0.05) as (
            _,
            first,
        ),
        logging_to(logplex.url, flush_interval=0.05) as (_, second),
    ):
        root = logging.getLogger()
        level = root.level
        root.addHandler(first)
        root.addHandler(second)
        root.setLevel(logging.DEBUG)
        try:
            logging.getLogger("app").info("one")
            time.sleep(0.5)
            assert first.flush()
            assert second.flush()
        finally:
            root.setLevel(level)
            root.removeHandler(first)
            root.removeHandler(second)
    assert [line.text for line in logplex.lines] == ["one", "one"]


def test_an_entry_that_cannot_be_rendered_does_not_stop_the_others(monkeypatch):
    """It is counted as `format_error`, and told."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=60) as (
            logger,
            handler,
        ),
    ):
        real = own_stream(handler).in_flight._render

        def render(entries, destination):
            for entry in entries:
                yield from [[]] if entry[-1] == "bad" else real([entry], destination)

        monkeypatch.setattr(own_stream(handler).in_flight, "_render", render)
        for text in ("one", "bad", "two"):
            logger.info(text)
        assert handler.flush()
        stats = handler.stats()
    assert [line.text for line in logplex.lines][:2] == ["one", "two"]
    assert stats.dropped == {"format_error": 1}
    assert balanced(stats)
