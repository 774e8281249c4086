"""The keys that a line has itself: no extra, static pair or message repeats one of them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter, count
from logplex_handler.metrics.metric_pairs import MetricSource
from tests import strict
from tests.formatting.call_sites import codec_that_knows, formatted, frames, is_compiled, make
from tests.formatting.shared import failure, line, record

OWN = ["source", "level", "logger", "part", "log_error", "error", "error_msg", "traceback", "stack"]


def test_an_extra_with_one_of_these_names_has_another_key():
    """Readers that make a dict of the line would take it for the line's own."""
    written = line(extra={"level": "gold", "source": "web", "n": 1})
    assert written == "level=info logger=shop msg=hello level_=gold source_=web n=1"


@pytest.mark.parametrize("name", OWN)
def test_each_of_these_names_is_the_lines_own(name):
    """Also where the line does not have the pair, so that its key is always the same."""
    assert strict.pairs(line(extra={name: "x"}))[-1] == (f"{name}_", "x")
    assert strict.pairs(line(extra={f" {name}=": "x"}))[-1] == (f"{name}_", "x")
    made = KeyValueFormatter(source="s", static={name: "x", "n": lambda: 1})
    assert (f"{name}_", "x") in strict.pairs(made.format(record()))
    asked = KeyValueFormatter(source="s", static={name: lambda: "x"})
    assert (f"{name}_", "x") in strict.pairs(asked.format(record()))


def test_the_key_of_messages_is_one_of_them():
    """Whatever it is."""
    formatter = KeyValueFormatter(message_key="event", static={"event": 1})
    written = formatter.format(record(extra={"event": "x"}))
    assert written == "event_=1 level=info logger=shop event=hello event_=x"


def test_a_static_source_may_take_the_place_of_the_option():
    """And then it is the only one of the line."""
    formatter = KeyValueFormatter(static={"source": "web.1"})
    assert formatter.format(record("source=x a=1")) == (
        "source=web.1 level=info logger=shop source_=x a=1"
    )


@pytest.mark.parametrize("name", ["level", "logger", "part"])
@pytest.mark.parametrize(
    ("message", "args"),
    [("{}=gold a=1", ()), ("a=%s {}=%s", ("1", "gold")), ("{}=%(x)s a=1", {"x": "gold"})],
)
def test_neither_does_a_message_repeat_the_keys_that_each_line_has(name, message, args):
    """Whether it is a text, a template, or a mapping."""
    given = record(message.format(name), *([args] if isinstance(args, dict) else args))
    found = dict(strict.pairs(KeyValueFormatter().format(given)))
    assert (found[f"{name}_"], found["a"]) == ("gold", "1")
    mapping = dict(strict.pairs(line({name: "gold", "a": 1})))
    assert (mapping[f"{name}_"], mapping["a"]) == ("gold", "1")


def test_a_message_may_have_a_source_or_an_error_unless_the_line_has_one():
    """Programs have always written such messages."""
    texts = ["source=x error=y", {"source": "x", "error": "y"}]
    for text in texts:
        assert line(text) == "level=info logger=shop source=x error=y"
        made = KeyValueFormatter(source="web").format(record(text))
        assert made == "source=web level=info logger=shop source_=x error=y"
        failed = line(text, exc_info=failure(ValueError("v")))
        keys = [key for key, _ in strict.pairs(failed)]
        expected = ["level", "logger", "source", "error_", "error", "error_msg", "traceback"]
        assert keys == expected
        own = record(text)
        own.logplex_source = MetricSource("mine")
        made = KeyValueFormatter().format(own)
        assert made == "source=mine level=info logger=shop source_=x error=y"


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from([*OWN, "a", "event"]), st.just("x"), max_size=5),
    st.lists(st.sampled_from([*OWN, "a", "b"]), max_size=3, unique=True),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "us-east"]),
    st.sampled_from(["msg", "event"]),
)
def test_no_key_of_the_line_is_repeated(
    extra, keys, with_arguments, is_mapping, source, message_key
):
    """A dict of the line has what the line says of itself; compiled call sites write the same."""
    formatter = KeyValueFormatter(source=source, message_key=message_key)
    value = "%s" if with_arguments else "y"
    template = " ".join(f"{key}={value}" for key in keys) or "hello"
    if is_mapping and keys:
        given = make(dict.fromkeys(keys, "y"), (), extra | count("a"))
    else:
        given = make(template, ("y",) * template.count("%s"), extra)
    given_line = formatter.format(given)
    found = strict.pairs(given_line)
    for key, expected in (("level", "info"), ("logger", "shop")):
        assert [value for name, value in found if name == key] == [expected]
    if source:
        assert [value for name, value in found if name == "source"] == [source]
    assert "part" not in dict(found)
    codec = codec_that_knows(given, formatter=formatter)
    entry, _ = codec.entry(given, formatter)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(given, formatter)


def test_the_template_of_a_failing_message_keeps_its_words():
    """It is one value."""
    written = line("level=%d part=%s", "x")
    assert dict(strict.pairs(written))["msg"] == "level=%d part=%s"


def test_other_attributes_of_the_record_are_no_extras():
    """A record may have been made elsewhere, with a level of its own."""
    other = logging.makeLogRecord({"name": "shop", "msg": "hello", "levelname": "gold"})
    assert KeyValueFormatter().format(other) == "level=gold logger=shop msg=hello"
