"""Call sites are forgotten, and others are compiled, while entries are made and rendered."""

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import call_sites
from logplex_handler._formatting.call_sites import CompiledCallSites
from logplex_handler._formatting.codec import Codec
from tests.formatting.call_sites import (
    DESTINATION,
    FORMATTER,
    PACKET,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)


class Row:
    """A value whose text takes so long that meanwhile the handler gets other formatters."""

    codec = None

    def __str__(self):
        for _ in range(3 if self.codec else 0):
            self.codec.entry(make("shipped"), KeyValueFormatter())
        return "row"


@pytest.mark.parametrize("is_latest", [True, False])
def test_a_call_site_stays_while_an_entry_is_made(is_latest):
    """Although no entry refers to it yet. It is forgotten when none does any more."""
    codec = codec_that_knows(make("loaded %s", (Row(),)))
    record = make("loaded %s", (Row(),))
    codec.entry(record, FORMATTER)
    record.args[0].codec = codec
    if is_latest:
        entry = known_entry(codec, record, FORMATTER)
    else:
        entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    record.args[0].codec = None
    assert frames(codec, entry) == formatted(record)
    del entry
    codec._compiled.retire([])
    assert not codec._compiled.by_number


def test_a_forgotten_call_site_takes_no_record():
    """A thread may have found it before, in order to ask it."""
    record = make("order %s", (5,))
    codec = codec_that_knows(record)
    codec._compiled.by_number.clear()
    entry, _ = codec.entry(record, FORMATTER)
    assert not is_compiled(entry)
    assert frames(codec, entry) == formatted(record)


def test_an_entry_without_a_call_site_has_no_frames():
    """The entries around it have theirs."""
    record = make("order %s", (5,))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    unknown = (entry[0] + 1, *entry[1:])
    rendered = [*codec.render([entry, unknown, entry], DESTINATION)]
    assert rendered == [formatted(record), [], formatted(record)]


class Growing(dict[object, object]):
    """A dict to which another thread adds an item whenever its items are looked at one by one."""

    def __iter__(self):
        for key in super().__iter__():
            self[object()] = ()
            yield key

    def items(self):
        return ((key, self[key]) for key in self)

    def values(self):
        return (self[key] for key in self)


def test_call_sites_that_are_added_meanwhile_cost_no_record(monkeypatch):
    """Neither while others are let go, nor while the formatter is replaced."""
    monkeypatch.setattr(call_sites, "_MAX_BYTES", 100_000)
    codec = Codec(PACKET, FORMATTER)
    known = codec.call_sites
    known.formatter = FORMATTER
    known._by_signature, known._latest = Growing(), Growing()
    for number in range(20):
        record = make(f"made at run time {number}: %s", (number,))
        for _ in range(call_sites._RECORDS_BEFORE_COMPILING + 2):
            entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record)
    assert 0 < len(known._by_signature) < 20
    assert 0 < len(known._latest) < 20
    assert codec.call_sites is known
    assert codec.entry(record, KeyValueFormatter())


def test_a_call_site_that_cannot_be_compiled_costs_no_record(monkeypatch):
    """Whatever the reason is."""

    def fail(self):
        raise RuntimeError

    monkeypatch.setattr(CompiledCallSites, "excess", fail)
    record = make("order %s", (5,))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_entries_of_another_codec_do_not_count_as_those_of_a_call_site():
    """Not even those of its first call site; they leave while this one's wait."""
    record = make("got %s", (5,))
    codec = codec_that_knows(record)
    waiting = [codec.entry(record, FORMATTER)[0] for _ in range(9)]
    other = codec_that_knows(record)
    entry, _ = other.entry(record, FORMATTER)
    other.call_sites.retire()
    waiting.clear()
    other._compiled.retire([])
    assert frames(other, entry) == formatted(record)
