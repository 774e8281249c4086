"""Generated records: a reader gets back what was logged, and nothing else."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import queue

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter, count
from tests import strict
from tests.formatting.shared import FORGERIES, LATENCY, line, pairs, record
from tests.logs import RESERVED

# Lone surrogates too: what becomes of them is decided in the packet.
WHOLE = st.text(max_size=60) | st.sampled_from(FORGERIES)
NAMES = WHOLE.filter(lambda name: name not in RESERVED)


@settings(max_examples=500)
@given(WHOLE, st.dictionaries(NAMES, WHOLE, max_size=4), st.sampled_from(["msg %s", "%s", "a=%s"]))
def test_whatever_is_logged_comes_back_and_nothing_else(text, extra, template):
    """Arguments and extras of any text make one pair each, which reads back the same."""
    written = line(template, text, extra=extra)
    found = strict.pairs(written)[2:]
    values = [f"msg {text}" if template == "msg %s" else text, *extra.values()]
    assert [value for _, value in found] == values
    assert strict.metrics(found) == []
    assert "\n" not in written


@settings(max_examples=500)
@given(WHOLE, st.lists(WHOLE, max_size=3), st.dictionaries(WHOLE, WHOLE, max_size=2))
def test_no_template_makes_a_line_unreadable(template, args, mapping):
    """Any text as a template, with any arguments, is one line of pairs."""
    for given_args in (args, [mapping]):
        text = line(template, *given_args, extra=LATENCY)
        assert "\n" not in text
        strict.pairs(text)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "user", "order.id"]),
            st.sampled_from(["%s", "%s-%s", "<%s>", '"%s"', '"to %s, %s"', "%%%s", "x"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(WHOLE, min_size=8, max_size=8),
)
def test_arguments_stay_in_the_values_where_they_stand(parts, texts):
    """Each value of a template of pairs is that value's template, filled."""
    arguments = iter(texts)
    used: list[str] = []
    values = []
    for _, value in parts:
        own = tuple(next(arguments) for _ in range(value.replace("%%", "").count("%s")))
        used += own
        values.append(value.strip('"') % own)
    assume(used)
    template = " ".join(f"{key}={value}" for key, value in parts)
    found = pairs(template, *used)
    expected = list(zip([key for key, _ in parts], values, strict=True))
    assert found == expected


@pytest.mark.parametrize("forgery", FORGERIES)
def test_behind_a_queue_handler_no_argument_adds_a_pair_either(forgery):
    """The arguments are in the message by then, so the message is free text."""
    waiting = queue.SimpleQueue()
    given = record("user=%s", forgery, extra={"order_id": 42} | count("orders"))
    logging.handlers.QueueHandler(waiting).handle(given)
    found = strict.pairs(KeyValueFormatter().format(waiting.get()))
    assert found == [
        ("level", "info"),
        ("logger", "shop"),
        ("msg", f"user={forgery}"),
        ("order_id", "42"),
        ("count#orders", "1"),
    ]
