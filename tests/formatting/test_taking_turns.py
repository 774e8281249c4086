"""Records of one template whose values change their types."""

import itertools

from logplex_handler._formatting.call_sites import CallSites
from tests.formatting.call_sites import FORMATTER, codec_that_knows, formatted, frames, make


def assert_found_at_once(records, find):
    """Each was the latest one of its template that was found, and all others came since."""
    codec = codec_that_knows(*records)
    for record in records:
        codec.entry(record, FORMATTER)
    for record in records:
        entry = find(codec.call_sites, record, FORMATTER)
        assert entry is not None
        assert frames(codec, entry) == formatted(record)


def test_a_template_whose_values_take_turns_needs_no_search():
    """Values that may be None, and loggers and extras that take turns."""
    of_values = [make("%s saw %s", pair) for pair in itertools.product(("anna", None), (5, None))]
    of_loggers = [make("got %s", (5,), name=f"shop.{i}") for i in range(12)]
    of_extras = [make("done %s", (5,), {name: 1} if name else {}) for name in ("", "a", "b")]
    assert_found_at_once([*of_values, *of_loggers, *of_extras], CallSites.light_entry)


def test_long_texts_that_take_turns_need_no_search():
    records = [make("%s saw %s", ("x y " * 1000, last)) for last in (5, None)]
    assert_found_at_once(records, CallSites.heavy_entry)


def test_call_sites_that_take_no_more_records_are_asked_no_more():
    records = [make("got %s", (value,)) for value in (5, None)]
    codec = codec_that_knows(*records)
    for record in records:
        codec.entry(record, FORMATTER)
    codec.call_sites.retire()
    for record in records:
        assert codec.call_sites.light_entry(record, FORMATTER) is None
    codec._compiled.retire([])
    assert not codec._compiled.by_number
