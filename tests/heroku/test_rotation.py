"""A handler that looks up its URLs with Heroku: rotation, rate limits, removed streams."""

import logging
import time

import pytest

from logplex_handler import LookupFailed
from logplex_handler.streams import _resolution
from logplex_handler.testing import LogplexReceiver
from tests.heroku.shared import Partner, app_info, at, platform
from tests.heroku.stand_in import (
    NEW,
    OLD,
    UUID,
    Addon,
    standing_in,
)
from tests.logs import balanced, logging_to, wait_until

# With a handler.


@pytest.mark.parametrize("make", [platform, app_info])
def test_a_rotation_in_the_middle_of_a_flow_loses_nothing(make):
    """The partner's record is updated once, and the access token had expired as well."""
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-old", "t.other"]) as logplex:
        known = {"id": UUID, "log_input_url": logplex.url_for("t.0123-old"), "app_id": "app-1"}
        partner = Partner(**known)
        addon = heroku.addons[UUID] = Addon({"app-1": logplex.url_for("t.0123-old")})

        def is_old(line):
            return line.token == "t.0123-old"

        options = at(heroku) if make is platform else {"api_url": heroku.url}
        api = make(partner, **options)
        with logging_to(logplex.url_for("t.other"), streams=api, flush_interval=0.02) as (
            logger,
            handler,
        ):
            for number in range(200):
                if number == 100:
                    assert wait_until(lambda: [one for one in logplex.lines if is_old(one)])
                    addon.urls["app-1"] = logplex.url_for("t.0123-new")
                    addon.access_token = "access-9"
                    logplex.tokens = ("t.0123-new", "t.other")
                logger.info("line %d", number, extra={"logplex_stream": "one"})
                logger.info("line %d", number)
                time.sleep(0.001)
            assert handler.flush()
            stats = handler.stats()
            assert handler.set_aside() == ()
        assert len(heroku.forms) == len(partner.renewed) == (make is platform)
        lines = {
            own: [line for line in logplex.lines if (line.token == "t.other") is own]
            for own in (True, False)
        }
    expected = [f"line {number}" for number in range(200)]
    assert [line.text for line in lines[True]] == [line.text for line in lines[False]] == expected
    assert {line.packet.hostname for line in lines[False]} == {"app-1"}
    assert {line.token for line in lines[False]} == {"t.0123-old", "t.0123-new"}
    assert partner.rotated == [("one", logplex.url_for("t.0123-new"))]
    assert len(heroku.looked_up) == 1 + (make is platform)
    assert (stats.delivered, stats.dropped) == (400, {})
    assert balanced(stats)
    assert not logplex.violations


def test_the_handler_asks_no_earlier_than_heroku_wants(monkeypatch, short_waits):
    """The lines wait, and are delivered then."""
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-new"]) as logplex:
        heroku.addons[UUID] = Addon({"app-1": logplex.url})
        heroku.planned.append((429, {"Retry-After": "1"}))
        api = platform(Partner(log_input_url=None), **at(heroku))
        with logging_to(None, streams=api) as (logger, handler):
            logger.info("line", extra={"logplex_stream": "one"})
            (aside,) = wait_until(handler.set_aside)
            assert aside.reason == "look-up failed: addon-attachments: status 429"
            assert logplex.wait_for(1)
        first, second = heroku.asked
        assert second.at - first.at > 0.8
        assert len(heroku.looked_up) == 2


@pytest.mark.parametrize("asked", ["soon", float("nan"), -5, None])
def test_a_look_up_may_ask_for_patience_in_any_terms(asked, short_waits, capsys):
    """A senseless wait is ignored; the error's text is shown on one line."""
    calls = []
    with LogplexReceiver() as logplex:

        def url_for(stream):
            calls.append(stream)
            if len(calls) == 1:
                raise LookupFailed("the\nrecord is locked", retry_after=asked)
            return logplex.url

        with logging_to(None, streams=url_for) as (logger, _):
            logger.info("line", extra={"logplex_stream": "one"})
            assert logplex.wait_for(1)
    problem = "LookupFailed" if asked == "soon" else "the\\nrecord is locked"
    said = capsys.readouterr().err
    assert said == f"logplex_handler: stream 'one': look-up failed: {problem}\n"


def test_an_app_that_takes_no_logs_any_more_ends_its_stream(monkeypatch, capsys):
    """It has moved to Fir: its lines are counted, and that is said once."""
    monkeypatch.setattr(_resolution, "_BETWEEN_LOOKUPS", 0.0)
    with standing_in() as heroku, LogplexReceiver(tokens=["t.0123-other"]) as logplex:
        heroku.addons[UUID] = Addon({"app-1": None})
        partner = Partner(log_input_url=logplex.url_for("t.0123-old"))
        with logging_to(None, streams=platform(partner, **at(heroku))) as (logger, handler):
            for _ in range(3):
                logger.info("line", extra={"logplex_stream": "one"})
            assert handler.flush()
            logger.info("late", extra={"logplex_stream": "one"})
            assert handler.stats().dropped == {"stream_gone": 4}
    assert capsys.readouterr().err.count("log_input_url is null") == 1
    assert not partner.rotated


def test_a_stand_in_on_this_machine_is_asked_directly(monkeypatch):
    """The environment's proxy stands elsewhere."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        assert platform(Partner(), **at(heroku)).refresh("one", OLD)


def test_what_the_libraries_log_of_a_look_up_is_not_delivered():
    """It belongs in no customer's stream."""
    library = logging.getLogger("urllib3")
    with standing_in() as heroku, LogplexReceiver() as logplex:
        heroku.addons[UUID] = Addon({"app-1": logplex.url})
        api = platform(Partner(log_input_url=None), **at(heroku))
        with logging_to(logplex.url, streams=api) as (logger, handler):
            level = library.level
            library.setLevel(logging.DEBUG)
            library.addHandler(handler)
            try:
                logger.info("line", extra={"logplex_stream": "one"})
                assert handler.flush()
            finally:
                library.removeHandler(handler)
                library.setLevel(level)
            assert handler.stats().accepted == 1
    assert [line.text for line in logplex.lines] == ["line"]
