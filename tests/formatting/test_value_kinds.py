"""The table of value kinds: each row is all that the compiled functions know of a type."""

import decimal
import uuid

import pytest

from logplex_handler._formatting import grammar, value_kinds
from logplex_handler._formatting.call_site import NO_ENTRY
from logplex_handler._formatting.extract import extract_source
from logplex_handler._formatting.formatter import line_form
from logplex_handler._formatting.layout import layout_of
from logplex_handler._formatting.value_kinds import ANYTHING_ELSE, VALUE_KINDS, ValueKind
from tests.formatting.call_sites import (
    FORMATTER,
    PACKET,
    VALUES,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    make,
)

# Two types whose text never needs quotes, and one whose text always does.
NEW_ROWS = [
    (uuid.UUID(int=5), ValueKind(uuid.UUID, "$v", "$v")),
    (decimal.Decimal("-1.50"), ValueKind(decimal.Decimal, "$v", "$v")),
    (b'x "y"', ValueKind(bytes, "quote(str($v))", "escape(str($v))", check="len($v) <= $longest")),
]


def evaluated(source, value):
    return str(eval(value_kinds.expression(source, "value"), {**value_kinds.NAMES, "value": value}))


def kept(kind, value):
    """What an entry holds of the value."""
    source = kind.kept or kind.conversion
    if not source:
        return value
    return eval(value_kinds.expression(source, "value"), {**value_kinds.NAMES, "value": value})


def test_a_value_can_be_restored_from_what_is_kept_of_it():
    """For conversions other than `%s`."""
    value = uuid.uuid4()
    kind = value_kinds.kind_of(uuid.UUID)
    assert kind.restored(kept(kind, value)) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_the_expressions_of_a_row_write_what_the_formatter_writes(value):
    """As the value of a pair, and where `%s` stands in quoted text."""
    try:
        kind = value_kinds.kind_of(type(value))
        text = evaluated(kind.as_value, kept(kind, value))
        assert f"x={text}" == grammar.pair("x", value)
        kind = value_kinds.kind_of(type(value), is_whole=False)
        assert evaluated(kind.in_quotes, kept(kind, value)) == grammar.escape(str(value))
    except ValueError:
        pytest.skip("a value that has no text")


def test_a_type_has_one_row():
    """A subclass has the row of anything else, as it may have another text."""
    types = [kind.type for kind in VALUE_KINDS]
    assert len(set(types)) == len(types)
    assert value_kinds.kind_of(type("Mine", (int,), {})) is ANYTHING_ELSE


@pytest.mark.parametrize(("value", "row"), NEW_ROWS, ids=lambda value: type(value).__name__)
def test_a_type_becomes_known_by_one_more_row(value, row, monkeypatch):
    """Its values wait as they are, and the worker writes them."""
    monkeypatch.setitem(value_kinds._BY_TYPE, row.type, row)
    for message, arguments in (
        ("shipped", ()),
        ("order %s shipped", (value,)),
        ("at=%s", (value,)),
    ):
        record = make(message, arguments, {"x": value})
        codec = codec_that_knows(record)
        entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert entry[-1] is value
        assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize("by_attribute", [True, False])
def test_attributes_may_be_read_in_two_ways(by_attribute):
    """Which is faster depends on the version of Python."""
    record = make("order %s shipped", (5,), {"a": 1, "b": "x"})
    layout = layout_of(1, record, line_form(FORMATTER))
    extract = extract_source(layout, PACKET.room, by_attribute=by_attribute).function()
    assert extract(record) == (1, record.created, 5, 1, "x")
    record.levelno = 30
    assert extract(record) is NO_ENTRY
