"""`logplex-handler receive`: the lines it prints, its options, and faults made on purpose."""

from __future__ import annotations

import array
import fcntl
import json
import os
import re
import signal
import subprocess
import termios
import time
from contextlib import contextmanager

import pytest
import requests

from logplex_handler.testing import LogplexReceiver
from tests.cli.receiving import TIME, receiving
from tests.commands import COMMAND, call, environment, run, started
from tests.logs import logging_to, wait_until
from tests.receiver.page import body


def test_lines_are_shown_as_heroku_logs_shows_them(tmp_path):
    """With any token, and the URL is printed ready to copy."""
    with receiving(tmp_path) as local:
        with logging_to(local.url, procid="web.1") as (logger, handler):
            logger.info("level=info msg=hello")
            assert handler.flush()
        with logging_to(local.url.replace("token:", "token:another-"), procid="b") as (logger, one):
            logger.info("another")
            assert one.flush()
        shown, said = local.end()
    first, _, second = shown.splitlines()
    assert re.fullmatch(rf"{TIME} app\[web\.1\]: level=info msg=hello", first)
    assert second.endswith(" app[b]: another")
    assert f"export LOGPLEX_URL='{local.url}'" in said
    assert "2 lines in 2 requests, 0 violations" in said


def test_two_customers_are_told_apart(tmp_path):
    """By the stream, or by the end of the token where the hostname is the same."""
    with receiving(tmp_path) as local:
        local.post(body("first", hostname="acme"))
        local.post(body("second", hostname="globex"), Logplex_Frame_Id="b")
        local.url = local.url.replace("@", "-of-another-7d31@")
        local.post(body("third", hostname="acme"), Logplex_Frame_Id="c")
        shown, _ = local.end()
    first, note, second, third = shown.splitlines()
    assert re.fullmatch(rf"{TIME} app\[web\.1\]: first", first)
    assert note == "  - several streams: the lines so far are of acme"
    assert re.fullmatch(rf"globex \| {TIME} app\[web\.1\]: second", second)
    assert re.fullmatch(rf"acme…7d31 \| {TIME} app\[web\.1\]: third", third)


# A line in two packets.
LONG = ('level=info part=1/2 path="/a"', 'level=info part=2/2 path="\u00e4" n=1')


def test_the_parts_of_a_long_line_are_shown_as_one_line(tmp_path):
    """Whatever comes between them; a filter sees the whole line."""
    with receiving(tmp_path, "--grep", "n=1") as local:
        local.post(body(LONG[0]))
        local.post(body("level=info n=2") + body(LONG[1]), 2, Logplex_Frame_Id="b")
        shown, said = local.end()
    assert shown.partition("]: ")[2] == 'level=info path="/a\u00e4" n=1 (2 packets)\n'
    assert "2 lines in 2 requests, 0 violations" in said


def test_parts_are_shown_as_customers_see_them_if_asked_for(tmp_path):
    """A line for each packet."""
    with receiving(tmp_path, "--parts") as local:
        local.post(body(*LONG), 2)
        shown, _ = local.end()
    assert [line.partition("]: ")[2] for line in shown.splitlines()] == [*LONG]


def test_a_part_whose_line_never_becomes_whole_is_shown(tmp_path):
    """After some seconds, or at the end."""
    with receiving(tmp_path) as local:
        local.post(body(LONG[0]))
        shown, said = local.end()
    assert shown.endswith(f"]: {LONG[0]}\n")
    assert "1 line in 1 request, 0 violations" in said


def test_violations_are_explained_below_their_line(tmp_path):
    """By place, consequence and cure: of requests, packets and texts."""
    with receiving(tmp_path) as local:
        packet = body("foo").partition(b" ")[2]
        local.post(b"%d %b" % (len(packet) + 1, packet))
        local.post(body("size=1 path=a=b"), Logplex_Frame_Id="b")
        local.post(packet, Content_Type="text/plain")
        shown, said = local.end()
    count = len(packet)
    assert f"octet count {count + 1}, but the packet ends after {count} bytes" in shown
    assert "silently drop" in shown
    assert "Count bytes, not characters" in shown
    assert "! text: character 12: a bare value" in shown
    assert "Logplex answers 415" in shown
    assert "  - 415: nothing was taken" in shown
    assert re.search(r"[3-9] violations", said)


def test_filters_choose_what_is_printed(tmp_path):
    """By stream, process, level and text; violations of others are only counted."""
    chosen = ["--stream", "sh*", "--process", "web.*", "--level", "warning", "--grep", "PAID"]
    with receiving(tmp_path, *chosen) as local:
        local.post(
            body("yes paid", priority=188)
            + body("not this", priority=188)
            + body("paid info")
            + body("paid worker", process="worker.1", priority=188)
            + body("paid elsewhere", hostname="other", priority=188),
            5,
        )
        local.post(body("measure#x=-1", hostname="other"), Logplex_Frame_Id="b")
        shown, said = local.end()
    assert [line.partition("]: ")[2] for line in shown.splitlines() if "]: " in line] == [
        "yes paid"
    ]
    assert "a number with a sign" not in shown
    assert "6 lines in 2 requests, 1 violation, 1 of them in what was not shown" in said


@pytest.mark.parametrize(
    "form", [["--stream", "shpo"], ["--customer", "shpo"], ["--json", "--grep", "b"]]
)
def test_a_filter_that_let_no_line_pass_is_told(tmp_path, form):
    """With the streams that there were: the one that was asked for may be mistyped."""
    with receiving(tmp_path, *form) as local:
        local.post(body("a", hostname="shop"))
        local.post(body("a", hostname="acme"), Logplex_Frame_Id="b")
        shown, said = local.end()
    assert shown == ""
    assert said.endswith("no line passed the filter; there were lines of acme, shop\n")


def test_a_filter_may_be_a_regular_expression(tmp_path):
    """Between slashes."""
    with receiving(tmp_path, "--grep", "/status=5\\d\\d|PAID$/") as local:
        local.post(body("status=503", "status=200", "not paid yet", "paid"), 4)
        shown, _ = local.end()
    assert [line.partition("]: ")[2] for line in shown.splitlines()] == ["status=503", "paid"]


def test_json_is_for_programs_and_says_the_rest_on_stderr(tmp_path):
    """Standard output has nothing but objects, with the fields of the API."""
    with receiving(tmp_path, "--json", "--token", "t.mine", "--grep", "n=1") as local:
        local.post(body("n=1") + body("n=2"), 2)
        local.post(body("n=1"), 7, Logplex_Frame_Id="b")
        local.url = local.url.replace("t.mine", "t.other")
        local.post(body("n=1"))
        shown, said = local.end()
    line = json.loads(shown)
    assert (line["n"], line["request"], line["pairs"]) == (0, 2, {"n": "1"})
    # It is wrapped as wide as the terminal is.
    said = " ".join(said.split())
    assert "Logplex-Msg-Count is 7, but the body has 1 frame" in said
    assert "401: not let in" in said


def test_json_goes_on_though_nobody_reads_what_is_said(tmp_path):
    """Refused requests are answered, and lines printed; what was said can be read afterwards."""
    with receiving(tmp_path, "--json") as local:
        fcntl.fcntl(local.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        for number in range(50):
            assert local.post(body("n=1"), Content_Type=f"text/{number}").status_code == 415
        local.post(body("n=2"))
        assert local.shows('"n=2"')
        said = iter(local.process.stderr.readline, b"")
        for _ in range(50):
            assert any(b"415: Content-Type is not application/logplex-1" in line for line in said)
        assert "in 51 requests" in local.end()[1]


def test_it_ends_though_nobody_reads_what_is_said(tmp_path):
    """The thread that writes it never ends."""
    with receiving(tmp_path, "--json") as local:
        fcntl.fcntl(local.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        for number in range(50):
            local.post(body("n=1"), Content_Type=f"text/{number}")
        local.process.send_signal(signal.SIGTERM)
        assert local.process.wait(100) == 1


def test_given_tokens_are_the_only_ones(tmp_path):
    """Requests with other tokens are rejected and reported."""
    with receiving(tmp_path, "--token", "t.mine") as local:
        assert "t.mine" in local.url
        assert local.post(body("a")).status_code == 204
        local.url = local.url.replace("t.mine", "t.other")
        assert local.post(body("b")).status_code == 401
        shown, _ = local.end()
    assert "401: not let in" in shown
    assert "t.other" not in shown


def test_it_fails_on_purpose_and_the_handler_delivers_all_the_same(tmp_path):
    """Failures on purpose are reported apart from the sender's faults."""
    with receiving(tmp_path, "--fail", "503:0.2", "--fail", "429:0.2") as local:
        with logging_to(local.url, shutdown_timeout=20) as (logger, handler):
            for number in range(6):
                logger.info("n=%d", number)
                assert handler.flush(100)
            retries = handler.stats().retries
        shown, _ = local.end()
    assert shown.count("on purpose") == retries
    assert re.findall(r" n=(\d)\n", shown) == [str(number) for number in range(6)]


def test_it_hangs_and_is_slow_on_purpose(tmp_path):
    """No answer at all, and one that comes late."""
    with receiving(tmp_path, "--hang") as local:
        with pytest.raises(requests.Timeout):
            requests.post(local.url, data=body("a"), timeout=0.3,
                          headers={"Content-Type": "application/logplex-1"})  # fmt: skip
        assert local.shows("no answer on purpose")
        local.end()
    (tmp_path / "url").unlink()
    with receiving(tmp_path, "--delay", "0.4") as local:
        began = time.monotonic()
        local.post(body("a"))
        assert time.monotonic() - began >= 0.4


def test_credentials_are_rotated_on_purpose(tmp_path):
    """The new URL is printed and in the file; the old one is refused."""
    with receiving(tmp_path, "--rotate", "1") as local:
        old = local.url
        assert local.post(body("a")).status_code == 204
        file = tmp_path / "url"
        assert wait_until(lambda: file.read_text().strip() != old)
        new, local.url = file.read_text().strip(), old
        assert local.post(body("b")).status_code == 401
        local.url = new
        assert local.post(body("c")).status_code == 204
        _, said = local.end()
    assert "the credentials were rotated" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fail", "often"], "must be STATUS or STATUS:SHARE"),
        (["--fail", "99:0.1"], "must be STATUS or STATUS:SHARE"),
        (["--fail", "700"], "status must be 200 to 599"),
        (["--fail", "503:0.7", "--hang", "0.7"], "must not be more than 1 together"),
        (["--hang", "2"], "must be a share from 0 to 1"),
        (["--port", "99999"], "must be a port"),
        (["--token", "tökén"], "printable ASCII"),
        (["--grep", "/(/"], "--grep: "),
        (["--grep", "/(a+)+$/"], "may take for ever"),
        (["--grep", "level>=loud"], "one of debug, info"),
        (["--json", "--customer", "acme"], "--json: not together with --customer"),
        (["--brief", "--customer", "acme"], "--brief: not together with --customer"),
    ],
)
def test_a_mistake_is_an_error_of_usage_in_words(arguments, words):
    """Status 2."""
    done = call("receive", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode()


def test_a_port_that_is_taken_is_told():
    """Status 2, which port it is, what to do, and no traceback."""
    with LogplexReceiver() as logplex:
        port = re.search(r":(\d+)/", logplex.url)[1]
        done = call("receive", "--port", port)
        page = call("receive", "--port", "0", "--web", port)
    assert (done.returncode, page.returncode) == (2, 2)
    said = done.stderr.decode()
    assert f"--port {port}: Address already in use, perhaps by another `receive`" in said
    free = int(re.search(r"`--port (\d+)` is free", said)[1])
    assert free == 0 or int(port) < free < int(port) + 20
    assert f"--web {port}: Address already in use" in page.stderr.decode()
    assert b"0 takes any free one" in done.stderr


@pytest.mark.parametrize("option", ["--record", "--url-file"])
def test_a_file_that_cannot_be_written_is_named(tmp_path, option):
    """Status 2."""
    done = call("receive", "--port", "0", option, str(tmp_path / "missing" / "file"))
    assert done.returncode == 2
    assert re.search(r"^logplex-handler: .*/missing/file.*: No such", done.stderr.decode(), re.M)


def test_the_url_is_written_into_a_pipe_and_through_a_link(tmp_path):
    """Neither is replaced by a file, and no device such as /dev/stdout is."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(file)
    with started("receive", "--port", "0", "--url-file", str(pipe)):
        assert pipe.read_text().startswith("http://token:")
    assert pipe.is_fifo()
    with started("receive", "--port", "0", "--url-file", str(link)):
        assert wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    assert link.is_symlink()
    # The URL has a token.
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", [["check"], ["demo", "--seconds", "0.2"]])
def test_a_full_disk_behind_the_output_is_told_in_words(arguments):
    """Without a traceback."""
    with LogplexReceiver() as logplex, open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(logplex.url),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=100,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"logplex-handler: No space left on device\n")


def test_on_every_address_the_url_is_one_that_a_handler_takes(tmp_path):
    """The URL works on this machine; a note says what other machines need."""
    with receiving(tmp_path, "--host", "0.0.0.0") as local:
        assert run("send", "hello", url=local.url).returncode == 0
        shown, said = local.end()
    assert shown.endswith(" app[send]: hello\n")
    assert "@127.0.0.1:" in said
    assert "allow_http=True" in said


def test_whoever_has_seen_enough_ends_it(tmp_path):
    """`receive | head -n 1` is clean."""
    url_file = tmp_path / "url"
    command = f"{' '.join(COMMAND)} receive --port 0 --url-file {url_file} | head -n 1"
    with subprocess.Popen(
        command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert wait_until(url_file.exists)
        url = url_file.read_text().strip()
        with logging_to(url, shutdown_timeout=0.2) as (logger, handler):
            deadline = time.monotonic() + 100
            number = 0
            while process.poll() is None and time.monotonic() < deadline:
                logger.info("n=%d", number)
                handler.flush(0.2)
                number += 1
            handler.flush(0)
        assert process.stdout.read().count(b"\n") == 1
        assert b"Traceback" not in process.stderr.read()


def test_it_ends_when_nobody_reads_any_more(tmp_path):
    """Without another line: a script that waits for `receive | head -n 1` goes on."""
    url_file = tmp_path / "url"
    with started("receive", "--port", "0", "--url-file", str(url_file)) as process:
        assert wait_until(url_file.exists)
        process.stdout.close()
        assert process.wait(100) == 0


@contextmanager
def unread(tmp_path):
    """A receiver whose output is full, and a function that posts a body and returns the status."""
    url_file = tmp_path / "url"
    with started("receive", "--port", "0", "--url-file", str(url_file)) as process:
        assert wait_until(url_file.exists)
        url = url_file.read_text().strip()
        headers = {"Content-Type": "application/logplex-1"}

        def post(sent):
            return requests.post(url, sent, headers=headers, timeout=100).status_code

        post(body(*["x" * 9_000] * 30))
        assert wait_until(lambda: _is_full(process.stdout))
        yield process, post


def test_a_signal_ends_it_though_its_output_is_full(tmp_path):
    """As that of a terminal after Ctrl-S, or of a pager: the thread that writes never ends."""
    with unread(tmp_path) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 1


def test_no_sender_waits_for_whoever_reads_the_output(tmp_path):
    """In a terminal after Ctrl-S, or in a pager; all is printed when it is read again."""
    with unread(tmp_path) as (process, post):
        assert post(body("last=1")) == 204
        lines = iter(process.stdout.readline, b"")
        assert any(line.endswith(b"]: last=1\n") for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0


def _is_full(pipe):
    """Whether a pipe has as much to be read as a writer may write at a time."""
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] >= 60_000


def test_the_page_is_served_beside(tmp_path):
    """The page's address is printed, and it shows the same lines."""
    with receiving(tmp_path, "--web", "0") as local:
        local.post(body("msg=hello"))
        said = local.process.stderr
        page = next(filter(None, (re.search(rb"the page: (http://\S+)", line) for line in said)))
        url = page[1].decode()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        assert "logplex" in requests.get(url, timeout=100).text
        known = requests.get(f"{url}api/lines/0", timeout=100).json()
        assert known["pairs"] == [["msg", "hello"]]
        local.end()


def test_without_the_extra_the_page_says_what_to_install(tmp_path):
    """All other features work without it."""
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError(name='starlette')")
    done = run("receive", "--port", "0", "--web", "0", environ={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert b"pip install 'logplex-handler[cli]'" in done.stderr
