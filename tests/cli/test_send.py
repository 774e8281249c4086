"""`logplex-handler send`: which lines arrive, what it reports, and how it ends."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler.cli._line_reader import LineSplitter, follow_file
from logplex_handler.testing import LogplexReceiver, Misbehaviour
from tests.commands import call, environment, run, run_in_shell, started
from tests.logs import wait_until
from tests.pace import stopwatch
from tests.servers import free_port


@pytest.fixture
def logplex():
    with LogplexReceiver() as receiver:
        yield receiver


def process_status(process, field, base=10):
    """A field of the process's status, as Linux shows it."""
    with open(f"/proc/{process.pid}/status") as file:
        found = re.search(rf"{field}:\s*([0-9a-f]+)", file.read())
    return int(found[1], base)


def wait_for_signal_handlers(process):
    bit = 1 << (signal.SIGTERM - 1)
    assert wait_until(lambda: process_status(process, "SigCgt", 16) & bit)


# Says each time that it is about to wait, before which it has looked for its file.
FOLLOWER = """
import sys
from logplex_handler.cli import main
from logplex_handler.cli._stop_request import StopRequest
wait = StopRequest.wait
def say_and_wait(*arguments):
    print("waiting", flush=True)
    return wait(*arguments)
StopRequest.wait = say_and_wait
sys.exit(main(["send", *sys.argv[1:]]))
"""


@contextmanager
def following(file, url):
    """`send --follow` that has looked for its file; it is ended at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, "--follow", str(file)],
        env=environment(url),
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout.readline() == b"waiting\n"
            yield process
        finally:
            process.kill()


def texts(logplex):
    return [line.text for line in logplex.lines]


def test_a_message_of_the_command_line_is_one_line(logplex):
    """Its words are joined, and its severity is that of the level."""
    done = run("send", "--level", "error", "deploy", "done", "v=42", url=logplex.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (line,) = logplex.lines
    assert line.text == "deploy done v=42"
    assert (line.packet.severity, line.packet.procid) == (3, "send")
    assert not logplex.violations


def test_standard_input_is_sent_line_by_line(logplex):
    """Ends of lines of every kind, blank lines, and a last line without an end."""
    stdin = "a=1\r\nzwei €\n\n\x1b[31mrot\nlast".encode() + b"\xff"
    done = run("send", "--procid", "web.1", "-v", url=logplex.url, stdin=stdin)
    assert done.returncode == 0
    assert b"lines delivered: 5; requests: 1, retries: 0" in done.stderr
    assert texts(logplex) == ["a=1", "zwei €", "", "\\u001b[31mrot", "last\ufffd"]
    assert {line.packet.procid for line in logplex.lines} == {"web.1"}
    assert not logplex.violations


def test_a_line_of_ten_million_bytes_arrives_whole_and_in_packets(logplex):
    """Cut between characters, in order, without the memory for all of it at once."""
    long = "€uro" * 1_700_000
    done = run("send", url=logplex.url, stdin=f"{long}\nend\n".encode())
    assert done.returncode == 0
    assert "".join(texts(logplex)) == long + "end"
    assert not logplex.violations


def test_every_line_arrives_though_requests_fail(logplex):
    """The same batches and retries as every record has."""
    logplex.fail_next(503, times=2)
    stdin = b"".join(b"n=%d\n" % number for number in range(3_000))
    done = run("send", "-v", url=logplex.url, stdin=stdin)
    assert done.returncode == 0
    assert texts(logplex) == [f"n={number}" for number in range(3_000)]
    assert re.search(rb"retries: [12];", done.stderr)


def test_lines_that_are_not_delivered_are_counted_in_words_and_status():
    """Status 1, and how many of how many."""
    with LogplexReceiver(misbehaviour=Misbehaviour(fail=((503, 1.0),))) as logplex:
        done = run("send", "--wait", "0.5", url=logplex.url, stdin=b"a\nb\nc\n")
    assert done.returncode == 1
    assert b"logplex-handler: 3 of 3 lines not delivered (shutdown 3)" in done.stderr
    assert b"`logplex-handler check` says" in done.stderr
    assert logplex.token.encode() not in done.stderr


def test_with_drop_the_input_never_waits():
    """Lines that do not fit in memory are dropped and counted."""
    with LogplexReceiver(misbehaviour=Misbehaviour(hang=1.0)) as logplex:
        stdin = (b"x" * 1_000 + b"\n") * 24_000
        with stopwatch() as watch:
            done = run("send", "--drop", "--wait", "0.5", url=logplex.url, stdin=stdin)
            assert watch.seconds < 20
    assert done.returncode == 1
    assert b"24,000 of 24,000 lines not delivered (" in done.stderr
    assert b"buffer_full" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ([], {}, "LOGPLEX_URL: is not set"),
        ([], {"LOGPLEX_URL": "null"}, "apps of the Fir generation"),
        ([], {"LOGPLEX_URL": "http://a:secret@logs.example.com"}, "set --allow-http"),
        ([], {"LOGPLEX_URL": "ftp://token:t.secret@host"}, "must begin with https://"),
        (["--hostname", "!!"], {"LOGPLEX_URL": "http://a:b@127.0.0.1:1"}, "--hostname: holds no"),
        (
            [],
            {"LOGPLEX_URL": "http://a:b@127.0.0.1:1", "LOGPLEX_HOSTNAME": "!!"},
            "LOGPLEX_HOSTNAME: holds no",
        ),
        (["--from-start"], {}, "--from-start needs --follow"),
        (["--follow", "x", "message"], {}, "do not go together"),
        (["--level", "loud"], {}, "invalid choice"),
        (["--wait", "-1"], {}, "--wait: must be a number from 0"),
    ],
)
def test_a_mistake_is_an_error_of_usage_in_words(arguments, environ, words):
    """Status 2, and never the token."""
    done = call("send", *arguments, environ=environ)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert b"secret" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_allow_http_is_an_option_here_too(elsewhere):
    """As the error says that a URL of another machine needs it."""
    done = call("send", "--allow-http", "hello", url=elsewhere.url)
    assert done.returncode == 0, done.stderr
    assert [line.text for line in elsewhere.lines] == ["hello"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sends_what_is_there_and_ends(logplex, number):
    """The last lines of the program before the pipe, which got the signal too, are sent."""
    with started("send", url=logplex.url) as process:
        process.stdin.write(b"before\n")
        process.stdin.flush()
        assert logplex.wait_for(1)
        process.send_signal(number)
        time.sleep(0.1)
        process.stdin.write(b"after\n")
        process.stdin.close()
        assert process.wait(100) == 0
        assert process.stderr.read() == b""
    assert texts(logplex) == ["before", "after"]


def test_a_program_that_never_ends_is_read_for_so_long_and_nothing_is_lost():
    """Lines read by then are delivered, although more would come."""
    taken = []
    receiver = LogplexReceiver(on_arrival=lambda request, lines: taken.append(len(lines)))
    with (
        receiver as logplex,
        subprocess.Popen(["yes", "x" * 2_000], stdout=subprocess.PIPE) as endless,
        started("send", url=logplex.url, stdin=endless.stdout) as process,
    ):
        endless.stdout.close()
        assert wait_until(lambda: taken)
        process.send_signal(signal.SIGTERM)
        status = process.wait(100)
        endless.kill()
        assert (process.stderr.read(), status) == (b"", 0)
        assert sum(taken) > 1_000


@pytest.mark.parametrize("end", ["a signal", "the end of input"])
def test_lines_that_wait_for_room_do_not_put_the_end_off(tmp_path, end):
    """All waiting lines share the time; those left afterwards are counted."""
    lines = tmp_path / "lines"
    lines.write_bytes((b"x" * 1_000 + b"\n") * 25_000)
    with (
        LogplexReceiver(misbehaviour=Misbehaviour(hang=1.0)) as logplex,
        subprocess.Popen(["cat", str(lines)], stdout=subprocess.PIPE) as cat,
        started("send", "--wait", "1", url=logplex.url, stdin=cat.stdout) as process,
    ):
        cat.stdout.close()
        wait_for_signal_handlers(process)
        # Until lines wait for room.
        time.sleep(3)
        if end == "a signal":
            process.send_signal(signal.SIGTERM)
        else:
            cat.kill()
        assert process.wait(100) == 1
        assert b"lines not delivered" in process.stderr.read()
        cat.kill()


def test_a_second_signal_does_not_wait():
    """Even if nothing can be delivered; lost lines are counted."""
    with (
        LogplexReceiver(misbehaviour=Misbehaviour(hang=1.0)) as logplex,
        started("send", "--wait", "60", url=logplex.url) as process,
    ):
        process.stdin.write(b"a\n")
        process.stdin.flush()
        wait_for_signal_handlers(process)
        assert wait_until(lambda: logplex.requests)
        before = process_status(process, "voluntary_ctxt_switches")
        process.send_signal(signal.SIGTERM)
        # Two signals that are sent at the same time may arrive as one. It has gone to sleep, and
        # once more after the first.
        assert wait_until(lambda: process_status(process, "voluntary_ctxt_switches") >= before + 2)
        with stopwatch() as watch:
            process.send_signal(signal.SIGTERM)
            assert process.wait(100) == 1
            assert watch.seconds < 6
        assert b"1 of 1 lines not delivered" in process.stderr.read()


def test_a_program_that_ends_and_a_closed_stderr_are_no_trouble(logplex):
    """`yes | head | send 2>&-` is as quiet as it should be."""
    done = run_in_shell("yes n=1 | head -n 2000 | COMMAND send 2>&-", logplex.url)
    assert done.returncode == 0
    assert len(logplex.lines) == 2_000


@pytest.mark.parametrize(
    ("closed", "status"), [("<&-", 2), ("hi <&-", 0), ("hi >&-", 0), ("hi <&- >&- 2>&-", 0)]
)
def test_closed_standard_streams_are_no_trouble(logplex, closed, status):
    """A file opened in their place is not mistaken for them; without input there is an error."""
    done = run_in_shell(f"COMMAND send {closed}", logplex.url, stderr=subprocess.PIPE)
    assert done.returncode == status
    assert (b"standard input is closed" in done.stderr) is (status == 2)
    assert texts(logplex) == ([] if status else ["hi"])


def test_follow_sends_what_is_added_over_rotation_and_truncation(logplex, tmp_path):
    """As `tail -F` prints them, from the file's end on."""
    log = tmp_path / "app.log"
    log.write_text("old\n")
    with following(log, logplex.url) as process:
        with log.open("a") as file:
            file.write("one\ntwo, in p")
            file.flush()
            # Long enough to be read: half a line must not be sent.
            time.sleep(0.5)
            file.write("arts\n")
        assert logplex.wait_for(2)
        # It sees all three steps or none.
        process.send_signal(signal.SIGSTOP)
        log.rename(tmp_path / "app.log.1")
        with (tmp_path / "app.log.1").open("a") as file:
            file.write("late\n")
        log.write_text("three\n")
        process.send_signal(signal.SIGCONT)
        assert logplex.wait_for(4)
        log.write_text("4\n")
        assert logplex.wait_for(5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0
    assert texts(logplex) == ["one", "two, in parts", "late", "three", "4"]


def test_follow_waits_for_a_file_and_reads_it_from_the_start(logplex, tmp_path):
    """A program that has not logged yet has no file."""
    log = tmp_path / "later.log"
    with following(log, logplex.url) as process:
        log.write_text("first\nunfinished")
        assert logplex.wait_for(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 0
    assert texts(logplex) == ["first", "unfinished"]


def test_follow_from_start_sends_what_is_there(logplex, tmp_path):
    """Not only lines that are added later."""
    log = tmp_path / "app.log"
    log.write_text("old\n")
    with started("send", "--follow", str(log), "--from-start", url=logplex.url) as process:
        assert logplex.wait_for(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0
    assert texts(logplex) == ["old"]


def test_follow_takes_no_pipe(tmp_path):
    """It would wait for a program that writes, whatever signal comes."""
    os.mkfifo(tmp_path / "pipe")
    stop = SimpleNamespace(requested_at=None, wait=lambda timeout: None)
    with pytest.raises(OSError, match="only a file can be followed"):
        next(follow_file(tmp_path / "pipe", stop, from_start=False))


def test_follow_reads_no_longer_than_the_grace_period_however_much_is_left(tmp_path):
    """Lines that are not read by then are not lost, and no half of one is sent."""
    log = tmp_path / "app.log"
    log.write_bytes((b"x" * 99 + b"\n") * 10_000)
    stop = SimpleNamespace(requested_at=None, wait=lambda timeout: None)
    lines = follow_file(log, stop, from_start=True)
    read = next(lines)
    # However long the test takes, the request was made just now.
    stop.requested_at = math.inf
    read += next(lines)
    stop.requested_at = -math.inf
    assert list(lines) == []
    assert 0 < len(read) < 10_000
    assert set(read) == {"x" * 99}


def test_no_line_is_lost_to_a_receiver_that_is_killed_slow_and_failing(tmp_path):
    """Each of 6,000 lines is there at least once, or is counted."""
    shown, url_file = tmp_path / "shown", tmp_path / "url"
    count = 6_000
    trouble = ("--token", "t.one-for-all", "--fail", "503:0.2", "--delay", "0.05")

    @contextmanager
    def receiver(port, *more):
        with (
            shown.open("ab") as file,
            started("receive", "--port", port, *trouble, *more, stdout=file) as process,
        ):
            yield process

    # A port that the system gives to nobody else while it is free.
    port = str(free_port())
    with receiver(port, "--url-file", str(url_file)) as first:
        assert wait_until(url_file.exists)
        url = url_file.read_text().strip()
        with started("send", url=url) as sender:
            sender.stdin.write(b"".join(b"n=%d\n" % n for n in range(count // 2)))
            sender.stdin.flush()
            assert wait_until(lambda: b"n=9\n" in shown.read_bytes())
            first.kill()
            first.wait()
            with receiver(port):
                sender.stdin.write(b"".join(b"n=%d\n" % n for n in range(count // 2, count)))
                sender.stdin.close()
                assert sender.wait(100) == 0
    came = [int(number) for number in re.findall(rb" n=(\d+)\n", shown.read_bytes())]
    assert set(came) == set(range(count))


@given(st.lists(st.text("aé€😀\r ", max_size=8)), st.integers(1, 9), st.integers(4, 12))
def test_lines_come_apart_alike_whatever_the_pieces(lines, size, longest):
    """Nothing is lost at the edges of pieces, and no character is cut in two."""
    data = "\n".join(lines).encode()
    splitter = LineSplitter(longest)
    found = []
    for start in range(0, len(data), size):
        found += splitter.feed(data[start : start + size])
    found += splitter.end()
    joined = "".join(found)
    assert "\ufffd" not in joined
    assert joined.replace("\r", "") == "".join(lines).replace("\r", "")
