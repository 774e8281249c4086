"""A handler without a URL has nowhere to send records."""

from __future__ import annotations

import io
import logging
import logging.config
import sys

import pytest

from logplex_handler import LogplexHandler
from tests.configuration.shared import URL, Broken, dict_config, record


def test_without_a_url_records_are_counted_and_not_formatted(make):
    """An inactive handler costs next to nothing, and counts its records."""
    formatted: list[logging.LogRecord] = []
    handler = make()
    handler.setFormatter(logging.Formatter())
    handler.formatter.format = formatted.append
    for _ in range(3):
        assert handler.handle(record())
    stats = handler.stats()
    assert (stats.accepted, dict(stats.dropped), formatted) == (3, {"inactive": 3}, [])
    assert handler.flush()


def test_without_a_url_it_is_said_once(make, capsys):
    """One line on stderr names the variable, however many records are logged."""
    handler = make()
    for _ in range(3):
        handler.handle(record())
    handler.flush()
    handler.close()
    handler.handle(record())
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n"), errors.count("LOGPLEX_URL")) == ("", 1, 1)
    assert errors.startswith("logplex_handler: ")


def test_without_a_url_dict_config_works(capsys):
    """As on a developer's machine."""
    logging.config.dictConfig(dict_config(formatter="pairs"))
    logging.getLogger("tests").info("hello")
    assert "LOGPLEX_URL" in capsys.readouterr().err


def test_a_required_url_that_is_missing_is_an_error(capsys):
    """It names the variable, in the error alone."""
    with pytest.raises(ValueError, match="LOGPLEX_URL"):
        LogplexHandler(required=True)
    LogplexHandler(required=True, streams={}).close()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stderr", ["none", "closed", "full"])
def test_a_stderr_that_cannot_be_written_to_is_no_error(make, monkeypatch, stderr):
    """As under pytest, `pythonw` and daemons: nothing comes out of the handler."""

    class Full(io.StringIO):
        def write(self, text):
            raise OSError("no space left on device")

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", {"none": None, "closed": closed, "full": Full()}[stderr])
    inactive = make()
    inactive.handle(record())
    try:
        raise ValueError("oops")
    except ValueError:
        inactive.handleError(record())
    handler = make(URL, shutdown_timeout=0)
    handler.setFormatter(Broken(ValueError("oops")))
    handler.handle(record())
    handler.close()
    handler.handle(record())
    assert dict(handler.stats().dropped) == {"format_error": 1, "closed": 1}
