"""The fixture `logplex`: which tests pass or fail, and what pytest then shows."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logplex_handler.testing import LogplexCapture
from tests.logs import threads_started_here

ROOT = Path(__file__).parents[1]

FAILING = """
import logging
import time
import pytest

log = logging.getLogger("shop")


@pytest.mark.logplex(formatter=logging.Formatter("%(message)s"))
def test_malformed(logplex):
    log.info("fine")
    log.info("size=1 path=a=b")


def test_misread_metric(logplex):
    log.info("measure#web.latency=1e3ms")


def test_two_units(logplex):
    log.info("measure#web.latency=1ms")
    log.info("measure#web.latency=1s")


def test_missing(logplex):
    log.info("order shipped", extra={"order_id": 41, "city": "berlin"})
    log.info("another")
    logplex.settle()
    logplex.wait_for("shipped", order_id=42, city="berlin", paid=True, timeout=0.1)


def test_nothing_came(logplex):
    logplex.wait_for(timeout=0.05)


def test_refused(logplex):
    logplex.fail_next(503, times=99)
    log.info("hello")
    while not logplex.receiver.requests:
        time.sleep(0.01)
    logplex.wait_for("hello", timeout=0.2)


def test_an_assertion_of_its_own(logplex):
    log.info("first")
    assert len(logplex.lines) == 2


@pytest.mark.logplex("shop")
def test_misused_mark(logplex):
    pass


def test_forged_wire(logplex):
    import requests
    packet = "<190>1 2013-03-27T20:02:24.000000+00:00 host app web.1 - - foo\\n"
    requests.post(
        logplex.url,
        data=f"{len(packet) + 1} {packet}",
        headers={"Content-Type": "application/logplex-1", "Logplex-Msg-Count": "1",
                 "Logplex-Frame-Id": "a"},
        timeout=100,
    )
"""


# Where a test fails otherwise than by an exception, or around it.
AROUND = """
import logging
import sys
import pytest

log = logging.getLogger("shop")


def test_said_to_fail(logplex):
    log.info("before it failed")
    pytest.fail("in its own words")


def test_exit(logplex):
    log.info("before it left")
    sys.exit(3)


@pytest.fixture
def broken(logplex):
    log.info("before it broke")
    raise RuntimeError


def test_broken_setup(broken):
    pass


@pytest.fixture
def sends_at_its_end(logplex):
    yield
    log.info("measure#web.latency=1e3ms")


def test_sent_at_the_end(sends_at_its_end):
    pass


def test_told_once(logplex):
    log.info("measure#web.latency=1e3ms")


@pytest.mark.xfail(strict=True)
def test_expected_to_fail(logplex):
    log.info("measure#web.latency=1e3ms")


def test_skipped(logplex):
    log.info("measure#web.latency=1e3ms")
    pytest.skip("no carrier")
"""


def run(registry, *arguments):
    """pytest in a process of its own, with warnings as errors."""
    environ = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # Hypothesis and AnyIO, which none of these tests uses, take longer to import than all else.
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *without, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        cwd=registry,
        env=environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        timeout=250,
        check=False,
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The text that pytest shows for each failing test."""
    registry = tmp_path_factory.mktemp("failing")
    (registry / "test_failing.py").write_text(FAILING)
    (registry / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    done = run(registry, "-q")
    assert done.returncode == 1, done.stdout
    parts = re.split(r"^_+ (?:ERROR at setup of )?(test_\w+) _+$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)), done.stdout


def test_every_failing_test_fails(reports):
    """None passes; malformed lines fail the test itself, not its teardown."""
    _, output = reports
    assert "8 failed, 1 error" in output


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("test_malformed", ["character 12: a bare value must not be empty", "path=a=b", "Quote a"]),
        ("test_misread_metric", ["1e3 is 1", "in: 2", "fixed point with at most six decimals"]),
        ("test_two_units", ["unit was ms and is s", "one unit for one name"]),
        (
            "test_missing",
            [
                "no line with the text 'shipped' and with order_id=42 city=berlin paid=true came",
                "within 0.1 s",
                "the nearest that came:",
                "order_id is '41', wanted: '42'",
                "it has no paid, wanted: true",
                "2 lines came:",
                "msg=another",
            ],
        ),
        ("test_nothing_came", ["no line number 1 came within 0.05 s; none came at all"]),
        ("test_refused", ["requests that were refused: 503", "none came at all"]),
        ("test_an_assertion_of_its_own", ["1 line came:", "msg=first"]),
        ("test_misused_mark", ["the mark logplex takes keyword arguments only"]),
        ("test_forged_wire", ["octet count 64, but the packet ends after 63 bytes", "Count bytes"]),
    ],
)
def test_a_failure_says_what_was_wanted_and_what_came(reports, test, words):
    """It can be understood without running it again."""
    shown, _ = reports
    assert [word for word in words if word not in shown[test]] == [], shown[test]


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_whatever_a_test_fails_for_its_lines_are_shown(tmp_path, arguments):
    """Lines that fixtures send after a test are checked as well; nothing is reported twice."""
    (tmp_path / "test_around.py").write_text(AROUND)
    done = run(tmp_path, "-q", *arguments)
    assert "3 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" in done.stdout
    parts = re.split(r"^_+ (.*test_\w+) _+$", done.stdout, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert told.keys() == {
        "test_said_to_fail",
        "test_exit",
        "ERROR at setup of test_broken_setup",
        "ERROR at teardown of test_sent_at_the_end",
        "test_told_once",
    }
    for test, words in {
        "test_said_to_fail": 'msg="before it failed"',
        "test_exit": 'msg="before it left"',
        "ERROR at setup of test_broken_setup": 'msg="before it broke"',
        "ERROR at teardown of test_sent_at_the_end": "1e3 is 1",
        "test_told_once": "1e3 is 1",
    }.items():
        assert words in told[test], told[test]


def test_an_option_that_cannot_be_used_leaves_nothing_behind():
    """Neither a handler nor a level, nor a thread."""
    logger = logging.getLogger("test.capture")
    before = logger.level, list(logger.handlers)
    with threads_started_here() as threads:
        for options in ({"level": "NOPE"}, {"batch_size": "many"}, {"nonsense": 1}):
            with pytest.raises((TypeError, ValueError)), LogplexCapture([logger.name], **options):
                pass
        assert (logger.level, list(logger.handlers)) == before
        assert not any(thread.is_alive() for thread in threads)


def test_a_failure_shows_no_token(reports):
    """Local tokens are made up, but a test's output is no place for any."""
    _, output = reports
    assert not re.search(r"t\.[0-9a-f]{8}-", output)


def test_the_example_of_the_documentation_passes():
    """It is the one that docs/testing.md shows."""
    done = run(ROOT / "examples" / "testing", "-q", "-c", os.devnull, "--rootdir", ".")
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
    page = (ROOT / "docs" / "testing.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    example = (ROOT / "examples" / "testing" / "test_warehouse.py").read_text()
    assert shown
    assert all(part.strip() in example for part in shown[:1])


def test_the_fixture_leaves_everything_as_it_was(logplex):
    """This run has the plugin as well, so the fixture is there by its entry point alone."""
    import logging

    assert os.environ["LOGPLEX_URL"] == logplex.url
    assert logplex.handler in logging.getLogger().handlers
    logging.getLogger("x").info("a")
    assert logplex.pairs == [{"level": "info", "logger": "x", "msg": "a"}]
    logplex.clear()
    assert logplex.lines == ()


@pytest.mark.logplex(logger=None)
def test_without_a_handler_the_program_uses_the_url(logplex):
    """A subprocess, or a handler of the program's own, finds it in the environment."""
    program = (
        "import logging, logplex_handler as l; log = logging.getLogger('sub');"
        "log.addHandler(l.LogplexHandler()); log.warning('hello')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
    assert logplex.wait_for(logger="sub").pairs[-1] == ("msg", "hello")
    assert logplex.handler is None


def test_without_pytest_the_capture_is_a_context_manager():
    """unittest can use it, and handlers and levels are as before at its end."""
    import logging

    logger = logging.getLogger("captured")
    with LogplexCapture(["captured"], level="DEBUG") as logplex:
        logger.debug({"a": True})
        assert logplex.wait_for(a=True).text == "level=debug logger=captured a=true"
        assert logplex.wait_for({"logger": "captured"}) == logplex.lines[0]
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)
