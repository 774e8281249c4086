"""Options of `KeyValueFormatter`, given in code or by `dictConfig`."""

from __future__ import annotations

import enum
import logging
import logging.config
import logging.handlers

import pytest

from logplex_handler import ConfigurationError, KeyValueFormatter, count
from logplex_handler.metrics.metric_pairs import MetricSource
from tests import strict
from tests.formatting.shared import forgeries, line, record


@pytest.mark.parametrize("fmt", ["%(message)s", "", "{message}"])
def test_a_fmt_is_an_error(fmt):
    """The formatter has no use for it, and ignoring it would mislead the user."""
    with pytest.raises(ConfigurationError, match=r"^fmt: "):
        KeyValueFormatter(fmt)


def test_what_dict_config_passes_is_accepted():
    """The `class` form of dictConfig passes fmt, datefmt and style by position."""
    handler = {"class": "logging.NullHandler", "formatter": "kv", "level": "DEBUG"}
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "kv": {"class": "logplex_handler.KeyValueFormatter", "datefmt": "%H", "style": "{"},
        },
        "handlers": {"test_formatter": handler},
        "loggers": {"test_formatter.dict": {"handlers": ["test_formatter"]}},
    }
    logging.config.dictConfig(configuration)
    logger = logging.getLogger("test_formatter.dict")
    (made,) = logger.handlers
    logger.removeHandler(made)
    assert type(made.formatter) is KeyValueFormatter
    assert made.formatter.format(record()) == "level=info logger=shop msg=hello"


def test_the_factory_form_of_dict_config_takes_all_options():
    """`()` passes keywords."""
    configurator = logging.config.DictConfigurator({"version": 1})
    options = {"source": "here", "static": {"a": 1}, "message_key": "text", "exceptions": "lines"}
    made = configurator.configure_formatter({"()": "logplex_handler.KeyValueFormatter", **options})
    assert made.format(record()) == "source=here a=1 level=info logger=shop text=hello"


@pytest.mark.parametrize(
    "source",
    [
        *["a b", "a=b", 'a"b', "a\\b", "a\nb", "\x85", "s" * 201, "é" * 101, " ", "'a"],
        7,
        ["a"],
        b"a",
    ],
)
def test_a_source_that_consumers_would_cut_is_an_error(source):
    """It stands on every line, unquoted."""
    with pytest.raises(ConfigurationError, match=r"^source: "):
        KeyValueFormatter(source=source)


@pytest.mark.parametrize("source", ["us-east", "web.1", "é" * 100, "s" * 200, "host:8000/x"])
def test_a_source_stands_first_on_every_line(source):
    """As given, unquoted."""
    assert line(formatter=KeyValueFormatter(source=source)).startswith(f"source={source} level=")


class Region(str, enum.Enum):
    EU = "eu-west"


def test_a_member_of_an_enum_as_source_is_the_text_that_it_is():
    """In f-strings, newer Pythons write its name."""
    assert line(formatter=KeyValueFormatter(source=Region.EU)).startswith("source=eu-west level=")


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_there_is_no_such_pair(source):
    """An empty source means no source."""
    assert line(formatter=KeyValueFormatter(source=source)).startswith("level=")


def test_only_metrics_give_a_record_a_source_of_its_own():
    """An extra of that name, which a user may have chosen, is an extra."""
    formatter = KeyValueFormatter(source="us-east")
    assert line(extra={"logplex_source": MetricSource("eu")}).startswith("source=eu level=")
    for value in ["eu", "x" * 5000, None]:
        written = line(extra={"logplex_source": value}, formatter=formatter)
        assert written.startswith("source=us-east level=")
        assert written.endswith(f" logplex_source={value or 'null'}")
    both = line("", extra=count("a") | {"logplex_source": "eu"}, formatter=formatter)
    assert both.startswith("source=us-east level=")


@pytest.mark.parametrize("static", [[("a", 1)], "a=1", 7])
def test_static_pairs_must_be_a_mapping(static):
    """Anything else is an error that names the option."""
    with pytest.raises(ConfigurationError, match=r"^static: "):
        KeyValueFormatter(static=static)


@forgeries
def test_static_pairs_cannot_add_others(text):
    """They are made safe as extras are."""
    text_ = line(formatter=KeyValueFormatter(static={text: text}))
    found = strict.pairs(text_)
    assert [value for _, value in found] == [text, "info", "shop", "hello"]
    assert strict.metrics(found) == []


@pytest.mark.parametrize(
    "key", ["", "a b", "a=b", 'a"', "a\n", "count#x", None, 7, "level", "part"]
)
def test_a_message_key_that_is_none_is_an_error(key):
    """It must be a valid key without changes, and none of other pairs: a text is no level."""
    with pytest.raises(ConfigurationError, match=r"^message_key: "):
        KeyValueFormatter(message_key=key)


@pytest.mark.parametrize("exceptions", ["", "both", None, True, ["lines"]])
def test_exceptions_must_be_inline_or_lines(exceptions):
    """Anything else is an error that names the option."""
    with pytest.raises(ConfigurationError, match=r"^exceptions: "):
        KeyValueFormatter(exceptions=exceptions)
