"""Records of one template whose values change their types."""

import datetime
import decimal
import itertools
import uuid
from unittest import mock

import pytest

from logplex_handler import KeyValueFormatter, measure
from logplex_handler._formatting import call_sites
from logplex_handler._wire.entry import LIGHT
from tests.formatting.call_sites import (
    FORMATTER,
    PACKET,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)


def assert_found_at_once(records):
    """Each was the latest one of its template that was found, and all others came since."""
    codec = codec_that_knows(*records)
    for record in records:
        codec.entry(record, FORMATTER)
    for record in records:
        entry = known_entry(codec, record)
        assert entry is not None
        assert frames(codec, entry) == formatted(record)


def test_a_template_whose_values_take_turns_needs_no_search():
    """Values that may be None, and loggers and extras that take turns."""
    of_values = [make("%s saw %s", pair) for pair in itertools.product(("anna", None), (5, None))]
    of_loggers = [make("got %s", (5,), name=f"shop.{i}") for i in range(12)]
    of_extras = [make("done %s", (5,), {name: 1} if name else {}) for name in ("", "a", "b")]
    assert_found_at_once([*of_values, *of_loggers, *of_extras])


def test_long_texts_that_take_turns_need_no_search():
    records = [make("%s saw %s", ("x y " * 1000, last)) for last in (5, None)]
    assert_found_at_once(records)


def test_call_sites_that_take_no_more_records_are_asked_no_more():
    records = [make("got %s", (value,)) for value in (5, None)]
    codec = codec_that_knows(*records)
    for record in records:
        codec.entry(record, FORMATTER)
    codec.call_sites.retire()
    for record in records:
        assert known_entry(codec, record, FORMATTER) is None
    codec._compiled.retire([])
    assert not codec._compiled.by_number


UTC = datetime.timezone.utc
VALUES = ["a b", "anna", 5, -5, 2000, 2.5, True, datetime.datetime(2026, 11, 29, tzinfo=UTC)]


def variants(value):
    """Records of one call site with the value, or None, in each place."""
    return {
        "text": [make("saw %s at %s", (1, one)) for one in (value, None)],
        "repr": [make("saw %r at %s", (one, 1)) for one in (value, None)],
        "number": [make("saw %d at %s", (one, 1)) for one in (value, None)],
        "digits": [make("saw %.2f at %s", (one, 1)) for one in (value, None)],
        "pair": [make("at=%s user=%s", (1, one)) for one in (value, None)],
        "part": [make("at=%s user=<%s>", (1, one)) for one in (value, None)],
        "extra": [make("done", (), {"last": one}) for one in (value, None)],
        "mapping": [make({"event": "done", "last": one}) for one in (value, None)],
        "named": [make("saw %(who)s", ({"who": one},)) for one in (value, None)],
        "metric": [make("", (), {"last": one, **measure("a.b", 5, "ms")}) for one in (value, None)],
    }


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("place", variants(0))
@pytest.mark.parametrize("is_none_first", [False, True])
def test_a_value_that_may_be_none_needs_one_call_site(value, place, is_none_first):
    records = variants(value)[place]
    if is_none_first:
        records.reverse()
    codec = codec_that_knows(*records)
    entries = [codec.entry(record, FORMATTER)[0] for record in records]
    for entry, record in zip(entries, records, strict=True):
        assert frames(codec, entry) == formatted(record)
        assert codec._rendered_slowly(PACKET, entry) == formatted(record)
    assert entries[0][0] == entries[1][0] > 0


def test_values_of_which_each_may_be_none_need_one_call_site():
    values = [("anna", None), (5, None), (2.5, None)]
    records = [
        make("%s saw %s", (who, number), {"weight": weight})
        for who, number, weight in itertools.product(*values)
    ]
    codec = codec_that_knows(*records)
    entries = [codec.entry(record, FORMATTER)[0] for record in records]
    assert len({entry[0] for entry in entries}) == 1
    for entry, record in zip(entries, records, strict=True):
        assert frames(codec, entry) == formatted(record)
    # Those that it replaced are forgotten, as no entry of theirs waits.
    codec._compiled.retire([])
    assert len(codec._compiled.by_number) == 1


def test_entries_of_a_call_site_that_was_replaced_are_rendered():
    records = [make("got %s", (value,)) for value in (5, None)]
    codec = codec_that_knows(records[0])
    entry, _ = codec.entry(records[0], FORMATTER)
    with mock.patch.object(call_sites, "_RECORDS_BEFORE_COMPILING", 1):
        codec.entry(records[1], FORMATTER)
    other, _ = codec.entry(records[1], FORMATTER)
    codec._compiled.retire([])
    assert other[0] != entry[0]
    assert frames(codec, entry) == formatted(records[0])
    assert frames(codec, other) == formatted(records[1])


@pytest.mark.parametrize("value", ["5", True, 2.5, uuid.UUID(int=5), [5], {"a": 5}], ids=str)
def test_other_types_that_take_turns_have_call_sites_of_their_own(value):
    records = [make("got %s", (one,), {"n": 1}) for one in (5, value)]
    codec = codec_that_knows(*records)
    entries = [codec.entry(record, FORMATTER)[0] for record in records]
    assert entries[0][0] != entries[1][0]
    for entry, record in zip(entries, records, strict=True):
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize(
    "value", [uuid.UUID(int=5), decimal.Decimal(5), [5], {"a": 5}, b"a"], ids=str
)
def test_a_value_that_is_kept_as_another_has_a_call_site_for_none(value):
    records = [make("got %s", (one,), {"n": 1}) for one in (value, None)]
    codec = codec_that_knows(*records)
    for record in records:
        entry, is_light = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert is_light
        assert frames(codec, entry) == formatted(record)


def test_a_callable_pair_that_returns_none_at_times_is_not_written_then():
    user = ["anna"]
    formatter = KeyValueFormatter(static={"user": lambda: user[0]})
    record = make("got %s", (5,))
    codec = codec_that_knows(record, formatter=formatter)
    user[0] = None
    with mock.patch.object(call_sites, "_RECORDS_BEFORE_COMPILING", 1):
        codec.entry(record, formatter)
    for user[0] in ("anna", None):
        entry, _ = codec.entry(record, formatter)
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record, formatter)


@pytest.mark.parametrize("length", [100, 700, 1200, 1700])
def test_texts_that_may_be_none_leave_entries_light(length):
    """Two long texts that never came together do not fit into a light entry."""
    texts = ["x" * length, "y " * (length // 2)]
    records = [make("%s saw %s", pair) for pair in ((texts[0], None), (None, texts[1]))]
    codec = codec_that_knows(*records)
    for record in (*records, make("%s saw %s", texts)):
        entry, is_light = codec.entry(record, FORMATTER)
        assert is_light == (codec.weigh(entry)[0] <= LIGHT)
        assert frames(codec, entry) == formatted(record)
    assert all(is_compiled(codec.entry(record, FORMATTER)[0]) for record in records)
