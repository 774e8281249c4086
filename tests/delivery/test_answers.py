"""What the handler does with a batch after each answer."""

import threading
import time
from contextlib import suppress

import pytest

from logplex_handler._sender import retry_policy
from logplex_handler._transport import transport
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, logging_to_server, wait_until
from tests.pace import stopwatch
from tests.servers import accept, answer, refusing, reset, serving, texts

# Answers.


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_delivered(status):
    """Logplex says 204, other receivers 200 or 202."""
    with logging_to_server(answer(status)) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(server.received) == 1


@pytest.mark.parametrize("step", [answer(503), answer(408), answer(429), answer(500), reset])
def test_a_passing_failure_is_tried_again_with_the_same_frame_id(step, short_waits):
    """The batch is kept, and leaves again unchanged after a wait."""
    with logging_to_server(step, accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
    first, second = server.received
    assert (first.frame_id, first.body) == (second.frame_id, second.body)
    assert (stats.delivered, stats.requests, stats.retries) == (1, 2, 1)
    assert stats.possible_duplicates == (step is reset)


def test_an_order_holds_across_failures(short_waits):
    """Records that come while a batch fails wait behind it."""
    with logging_to_server(answer(503), answer(503), accept, flush_interval=0.05) as (
        server,
        logger,
        handler,
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
    came = []

    def refuse(connection):
        came.append(time.monotonic())
        answer(503, "Retry-After: 2")(connection)

    def take(connection):
        came.append(time.monotonic())
        accept(connection)

    with logging_to_server(refuse, take) as (server, logger, handler):
        logger.info("line")
        assert wait_until(lambda: server.received)
        with stopwatch() as watch:
            assert wait_until(lambda: len(came) == 2)
            assert watch.seconds < 3
        assert came[1] - came[0] >= 2
        assert handler.flush()


def test_flush_does_not_wait_in_vain_for_a_receiver_that_asked_for_longer():
    """It is False at once rather than after the time-out."""
    with logging_to_server(answer(429, "Retry-After: 100"), shutdown_timeout=0.5) as (
        _server,
        logger,
        handler,
    ):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 1)
        with stopwatch() as watch:
            assert not handler.flush(20)
            assert watch.seconds < 2


@pytest.mark.parametrize("status", [400, 413, 422, 401, 403, 404])
def test_of_a_refused_batch_only_the_packet_at_fault_is_lost(status, capsys, short_waits):
    """199 of 200 are delivered in order; the other is counted and reported."""
    with logging_to_server(accept, flush_interval=60) as (server, logger, handler):
        server.steps[0] = refusing(b"line 77\n", status)(server)
        for number in range(200):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.dropped) == (200, 199, {"refused": 1})
    assert balanced(stats)
    taken = [t for r in server.received if b"line 77\n" not in r.body for t in texts(r.body)]
    *lines, notice = [text.decode() for text in taken if b"probe" not in text]
    assert lines == [f"line {number}" for number in range(200) if number != 77]
    assert notice.startswith('level=warning logger=logplex_handler msg="1 record dropped')
    assert notice.endswith(" count#logplex_handler.dropped=1")
    assert "1 record dropped (refused 1)" in capsys.readouterr().err
    # Halving 200 takes a request for each half on the way down, not one for each packet; a status
    # that concerns the URL takes some more, to show that it is the packet's.
    assert len(server.received) < (25 if status in (400, 413, 422) else 32)


def test_a_stream_that_refuses_every_packet_is_set_aside_rather_than_emptied(capsys, short_waits):
    """Its records are kept, and delivered when it takes lines again."""
    takes_lines = threading.Event()

    def accept_then(connection):
        assert takes_lines.wait(100)
        accept(connection)

    steps = [*[answer(400)] * 7, accept_then]
    options = {"batch_size": 4, "flush_interval": 60, "timeout": 100}
    with logging_to_server(*steps, **options) as (server, logger, handler):
        for number in range(4):
            logger.info("line %d", number)
        assert wait_until(lambda: len(server.received) >= 7)
        assert handler.stats().pending == 4
        takes_lines.set()
        assert handler.flush()
        assert handler.stats().delivered == 4
    assert server.frames()[-4:] == [b"line 0", b"line 1", b"line 2", b"line 3"]
    assert capsys.readouterr().err.count("4 records kept") == 1


def test_a_single_bad_packet_shows_without_another_one(short_waits):
    """Refused alone, it is kept; once the receiver accepts a probe, the packet is at fault."""
    with logging_to_server(accept, flush_interval=0.05) as (server, logger, handler):
        server.steps[0] = refusing(b"bad", 400)(server)
        logger.info("bad")
        assert wait_until(lambda: handler.stats().dropped == {"refused": 1})
        logger.info("good")
        assert handler.flush(100)
        assert (handler.stats().pending, handler.stats().delivered) == (0, 1)
    assert [t for r in server.received[1:3] for t in texts(r.body)] == [
        b"count#logplex_handler.probe=1",
        b"bad",
    ]


@pytest.mark.parametrize(("bad", "probe"), [(403, 400), (400, 403)])
def test_a_packet_at_fault_is_found_although_probes_are_refused(bad, probe, short_waits):
    """Nothing shows whether the stream is refused, until the receiver accepts another line."""

    def refuse_both(connection):
        body = server.received[-1].body
        status = bad if b"bad" in body else probe if b"probe" in body else 204
        answer(status)(connection)

    with logging_to_server(accept, flush_interval=0.05) as (server, logger, handler):
        server.steps[0] = refuse_both
        logger.info("bad")
        # Among six requests are two probes.
        assert wait_until(lambda: handler.stats().requests >= 6)
        assert (handler.stats().pending, len(handler.set_aside())) == (1, 1)
        logger.info("good")
        assert wait_until(lambda: handler.stats().dropped == {"refused": 1})
        assert handler.flush(100)
        assert (handler.stats().pending, handler.stats().delivered) == (0, 1)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 410, 415])
def test_a_refused_url_keeps_the_records_and_says_so_once(status, capsys, short_waits):
    """The batch is not halved, not dropped, and delivered if the URL becomes good."""
    steps = answer(status), answer(status), accept
    with logging_to_server(*steps, flush_interval=60) as (server, logger, handler):
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


def test_an_answer_that_trickles_is_given_up_after_four_times_the_timeout(monkeypatch):
    """Each byte comes in time, yet the request ends, and the batch is tried again."""
    # Four seconds, and each byte may be much later than a second.
    monkeypatch.setattr(transport, "TOTAL_TIMEOUTS", transport.TOTAL_TIMEOUTS / 20)

    def trickle(connection):
        # The next request has all the time that it needs.
        monkeypatch.undo()
        for byte in b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    with logging_to_server(trickle, accept, timeout=20) as (server, logger, handler):
        started = time.monotonic()
        logger.info("line")
        assert wait_until(lambda: server.received)
        with stopwatch() as watch:
            assert wait_until(lambda: len(server.received) == 2)
            assert watch.seconds < 8
        assert time.monotonic() - started > 4
        assert handler.flush()
        assert handler.stats().possible_duplicates == 1


@pytest.mark.parametrize("steps", [[], [accept]], ids=["new", "open"])
@pytest.mark.parametrize(
    "begin", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"], ids=["until the end", "-1"]
)
def test_a_long_answer_is_not_read_to_its_end(begin, steps, monkeypatch):
    """Its status counts; little of its body is read, and its connection is closed."""
    monkeypatch.setattr(transport, "_MAX_IDLE", 100.0)
    sent = []

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + begin)
        # It ends, so that a handler that reads everything fails only the assertion below.
        for _ in range(800):
            connection.sendall(b"x" * 65_536)
            sent.append(65_536)

    with logging_to_server(*steps, endless, accept) as (server, logger, handler):
        for number in range(len(steps) + 2):
            logger.info("line %d", number)
            assert handler.flush()
        assert handler.stats().delivered == len(steps) + 2
    assert [request.connection for request in server.received] == [1] * (len(steps) + 1) + [2]
    # Most of these bytes are in the buffers of the sockets.
    assert sum(sent) < 20_000_000


def test_an_outage_is_said_on_stderr_once_and_ends_well(capsys, short_waits):
    """After some failures in a row a line says so; nothing is lost."""
    steps = [answer(503)] * 6
    with logging_to_server(*steps, accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(server.received) == len(steps) + 1
    said = capsys.readouterr().err
    assert said.count("not delivering: status 503; 1 record kept, to be tried again") == 1


# Servers that mean no good.


@pytest.mark.parametrize("location", ["http://[bad", "http://x:99999999/", "/elsewhere"])
def test_a_redirect_is_not_read_however_long_it_is(location, short_waits):
    """Nor is its target looked at: the URL is refused, and the records are kept."""
    sent = []

    def endless(connection):
        head = f"HTTP/1.1 302 Resolved\r\nLocation: {location}\r\nContent-Encoding: gzip\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(OSError):
            while len(sent) < 1000:
                connection.sendall(b"x" * 65_536)
                sent.append(1)

    with logging_to_server(endless, accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(sent) < 1000
    assert len(server.received) == 2


def test_a_stream_that_refuses_everything_is_asked_ever_less_often():
    """After a few packets refused alone there is a wait between two requests."""
    came = []

    def refuse(connection):
        came.append(time.monotonic())
        answer(400)(connection)

    with logging_to_server(refuse, shutdown_timeout=0.1) as (_, logger, handler):
        for number in range(2000):
            logger.info("line %d", number)
        # Long enough for hundreds of requests, if there were no waits.
        time.sleep(2.5)
        stats = handler.stats()
        assert wait_until(lambda: came)
    assert sum(at < came[0] + 2.5 for at in came) < 50
    assert (stats.pending, stats.dropped) == (2000, {})


@pytest.mark.parametrize(
    ("refusal", "most"), [(answer(503), 5), (answer(503, "Retry-After: 60"), 1)]
)
def test_drops_do_not_cut_a_wait_short(refusal, most, monkeypatch):
    """Drops are reported at once if that takes no request; the receiver is left alone."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 0.2)
    with logging_to_server(
        refusal, max_buffer_bytes=20_000, flush_interval=0.01, shutdown_timeout=0.1
    ) as (server, logger, handler):
        # In a second there are three waits, each twice as long as the one before.
        until = time.monotonic() + 1.0
        requested = seen = 0
        while time.monotonic() < until:
            requested = seen
            for _ in range(200):
                logger.info("line")
            time.sleep(0.01)
            # Counts only if it was seen in time.
            seen = len(server.received)
        assert wait_until(lambda: handler.stats().dropped["buffer_full"] > 100)
        assert wait_until(lambda: server.received)
    assert requested <= most


def test_a_flush_asks_a_receiver_that_refuses_the_url_no_more_often(short_waits):
    """The waits grow as without it, and the records are kept."""
    with logging_to_server(answer(401), shutdown_timeout=0.2) as (server, logger, handler):
        logger.info("line")
        assert not handler.flush(2.0)
        # The first wait is at most 25 ms here, so the seventh is over after 3 s at most; tried at
        # the pace of a flush, there would be 80.
        assert len(server.received) <= 10
        assert wait_until(lambda: len(server.received) >= 2)
        assert handler.stats().pending == 1


def test_a_packet_at_fault_is_found_without_another_one(short_waits):
    """A line of the handler's own shows that the receiver takes the stream."""
    with logging_to_server(accept, flush_interval=0.05) as (server, logger, handler):
        server.steps[0] = refusing(b"bad", 403)(server)
        logger.info("bad")
        assert handler.flush(100)
        stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (0, {"refused": 1})
    assert texts(server.received[3].body) == [b"count#logplex_handler.probe=1"]


def test_a_packet_at_fault_is_found_after_a_look_up_that_changed_nothing(short_waits):
    """The application is asked once, and then the packets are tried apart."""
    asked = []
    with serving(accept) as server:
        server.steps[0] = refusing(b"line 77\n", 403)(server)

        def url_for(stream):
            asked.append(stream)
            return server.url

        with logging_to(None, streams=url_for, flush_interval=60) as (logger, handler):
            for number in range(200):
                logger.info("line %d", number, extra={"logplex_stream": "a"})
            assert handler.flush(100)
            stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (199, {"refused": 1})
    assert asked == ["a", "a"]
    assert len(server.received) < 32


def test_many_bad_packets_before_good_ones_are_lost_alone(monkeypatch):
    """However many are refused first, each is asked for once, and the others arrive."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 0.02)
    with logging_to_server(accept, flush_interval=60) as (server, logger, handler):
        server.steps[0] = refusing(b"bad", 400)(server)
        for _ in range(24):
            logger.info("bad")
        for number in range(176):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (176, {"refused": 24})
    taken = [t for r in server.received if b"bad" not in r.body for t in texts(r.body)]
    lines = [text for text in taken if text.startswith(b"line")]
    assert lines == [b"line %d" % number for number in range(176)]
