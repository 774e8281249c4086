"""The handler's level, filters and formatter."""

from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest

from tests.configuration.shared import URL, delivered, dict_config, packet, record


@pytest.mark.parametrize("level", ["WARNING", logging.WARNING])
def test_records_below_the_level_are_not_handled(logplex, make, level):
    """A level is a name or a number; records below it are not counted."""
    handler = make(logplex.url, level=level)
    logger = logging.getLogger("tests.level")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.info("below")
    logger.warning("not below")
    assert delivered(logplex, 1) == ['level=warning logger=tests.level msg="not below"']
    assert handler.stats().accepted == 1


def test_a_record_that_a_filter_turns_away_is_not_handled(logplex, make):
    """It is neither sent nor counted, and `handle` says so."""
    handler = make(logplex.url)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    assert not handler.handle(record("a secret"))
    assert handler.handle(record("no such thing"))
    assert delivered(logplex, 1) == ['level=info logger=shop msg="no such thing"']
    assert handler.stats().accepted == 1


def test_a_filter_may_add_extras(logplex, make):
    """Attributes that it adds to the record are in the line."""

    def add_request_id(record):
        record.request_id = "r-1"
        return True

    handler = make(logplex.url)
    handler.addFilter(add_request_id)
    assert packet(handler, logplex).text == "level=info logger=shop msg=hello request_id=r-1"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters replace records from 3.12 on")
def test_a_filter_may_replace_the_record(logplex, make):
    """The record that it returns is sent, and the one that the application made is left alone."""
    handler = make(logplex.url)
    masked = record("card=***")
    handler.addFilter(lambda _: masked)
    original = record("card=%s", "4111")
    assert packet(handler, logplex, original).text == "level=info logger=shop card=***"
    assert original.getMessage() == "card=4111"


@pytest.mark.parametrize(
    "formatter",
    [
        {"class": "logplex_handler.KeyValueFormatter"},
        {
            "class": "logplex_handler.KeyValueFormatter",
            "datefmt": "%H:%M",
            "style": "{",
        },
        {"()": "logplex_handler.KeyValueFormatter", "datefmt": "%H:%M", "style": "$"},
    ],
    ids=["class", "class with datefmt and style", "factory with datefmt and style"],
)
def test_dict_config_makes_the_formatter_in_both_forms(logplex, formatter):
    """Arguments that the `class` form adds, except a format, change nothing."""
    config = dict_config(url=logplex.url, formatter="pairs")
    config["formatters"]["pairs"] = formatter
    logging.config.dictConfig(config)
    logging.getLogger("tests").info("hello")
    assert delivered(logplex, 1) == ["level=info logger=tests msg=hello"]


@pytest.mark.parametrize(
    ("key", "option"), [("class", "format"), ("()", "fmt")], ids=["class", "factory"]
)
def test_a_format_for_the_key_value_formatter_is_an_error(key, option):
    """It has a form of its own; the error names `fmt`."""
    config = dict_config(url=URL, formatter="pairs")
    config["formatters"]["pairs"] = {
        key: "logplex_handler.KeyValueFormatter",
        option: "%(message)s",
    }
    with pytest.raises(ValueError, match="Unable to configure formatter 'pairs'") as caught:
        logging.config.dictConfig(config)
    assert str(caught.value.__cause__).startswith("fmt: ")


@pytest.mark.parametrize(
    ("formatter", "message", "line"),
    [
        (logging.Formatter(), "hello", "hello"),
        (logging.Formatter("%(levelname)-8s%(message)s"), "hello", "INFO    hello"),
        (logging.Formatter("{name}: {message}", style="{"), "hello", "shop: hello"),
        (logging.Formatter("$levelname/$message", style="$"), "hello", "INFO/hello"),
        (logging.Formatter(), 'as it is: "a b" c=d', 'as it is: "a b" c=d'),
        (logging.Formatter(), "tabs\tstay", "tabs\tstay"),
        (logging.Formatter(), "two\nlines\r\n", r"two\nlines\r\n"),
        (logging.Formatter(), "\x1b[31mred\x00\x7f\x85", r"\u001b[31mred\u0000\u007f\u0085"),
        (logging.Formatter(), "half \ud83d a pair", "half \ufffd a pair"),
        (logging.Formatter(), "\ufeffmark", r"\ufeffmark"),
        (logging.Formatter(), "", ""),
        (logging.Formatter(), "x\n89 <190>1 - - - - - -", r"x\n89 <190>1 - - - - - -"),
    ],
)
def test_the_text_of_any_other_formatter_is_honoured_and_made_safe(
    logplex, make, formatter, message, line
):
    """It becomes the message as it is, control characters but tab made visible."""
    handler = make(logplex.url)
    handler.setFormatter(formatter)
    assert packet(handler, logplex, record(message)).text == line


def test_a_traceback_of_another_formatter_is_one_line(logplex, make):
    """Its line breaks are made visible too, so that it stays one record."""
    handler = make(logplex.url)
    handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        raise ValueError("oops")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    text = packet(handler, logplex, made).text
    assert text.startswith(r"failed\nTraceback (most recent call last):\n  File ")
    assert text.endswith(r"\nValueError: oops")


def test_an_object_with_a_format_method_is_a_formatter(logplex, make):
    """It need not be a `logging.Formatter`."""

    class Json:
        def format(self, record):
            return json.dumps({"msg": record.getMessage()})

    handler = make(logplex.url)
    handler.setFormatter(Json())
    assert packet(handler, logplex).text == '{"msg": "hello"}'
