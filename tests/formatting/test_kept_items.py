"""Dicts, lists and tuples of texts and numbers alone, and texts that a record has twice."""

import dataclasses
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logplex_handler import Destination, KeyValueFormatter
from logplex_handler._formatting import grammar, value_kinds
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.long_lines import parts
from logplex_handler._wire.frames import flattened
from tests.formatting.call_sites import (
    DESTINATION,
    FORMATTER,
    PACKET,
    Sneaky,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)

SPECIAL = ["", "anna", 'a"b', "a\\b", "a b", "a=b", "'", "\n", "\x85", "é", "\0", "%s"]
TEXTS = st.text(max_size=9) | st.sampled_from(SPECIAL)
SCALARS = TEXTS | st.integers(-9, 2000) | st.floats() | st.booleans() | st.none()


def records_with(value):
    """Records with a value as a whole value of a pair, and as a part of a text."""
    return [
        make("done", (), {"first": 0, "data": value}),
        make("saw %s %s", (0, value)),
        make("saw %r %s", (value, 0)),
        make("at=%s user=%s", (0, value)),
        make("user=%s-%s", (0, value)),
        make("at=%s user=%r", (0, value)),
    ]


@settings(max_examples=300)
@given(st.dictionaries(TEXTS, SCALARS, min_size=1, max_size=4))
@example({"a": math.inf, "b": -math.inf, "c": math.nan})
def test_a_dict_is_kept_by_its_values_and_written_as_the_formatter_writes_it(value):
    for record in records_with(value):
        codec = codec_that_knows(record)
        entry, is_light = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert is_light
        kept = {id(one) for one in entry}
        assert all(id(one) in kept for one in value.values())
        assert frames(codec, entry) == formatted(record)
        assert codec._rendered_slowly(PACKET, entry) == formatted(record)


def test_a_callable_pair_may_return_such_a_dict():
    formatter = KeyValueFormatter(static={"user": lambda: {"id": 5, "name": "anna b"}})
    record = make("done %s", (1,))
    codec = codec_that_knows(record, formatter=formatter)
    entry, _ = codec.entry(record, formatter)
    assert entry[3:] == (5, "anna b")
    assert frames(codec, entry) == formatted(record, formatter)


def test_a_second_call_site_takes_dicts_with_any_keys():
    """So a dict whose keys are data, such as ids, does not cost a call site for each."""
    known = [make("done", (), {"data": {key: 1}}) for key in ("a", "b")]
    codec = codec_that_knows(*known)
    for data in ({"a": 2}, {"b": 2}, {"c": 2}, {"a": 1, "b": 2}, {}, {"a": None}, {"a": [1]}):
        record = make("done", (), {"data": data})
        entry = known_entry(codec, record, FORMATTER) or codec.entry(record, FORMATTER)[0]
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record)
    assert len(codec._compiled.by_number) == 2


@pytest.mark.parametrize(
    "value",
    [
        {},
        {5: 5},
        {"a": [5]},
        {"a": Sneaky("b")},
        {Sneaky("b"): "a"},
        dict.fromkeys(map(str, range(17)), 5),
        {"k" * 501: 5},
        type("Mine", (dict,), {})(a=5),
    ],
    ids=str,
)
def test_other_dicts_are_written_in_the_callers_thread(value):
    for record in records_with(value):
        codec = codec_that_knows(record)
        entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert all(one is not inner for one in entry for inner in value.values() if inner != 5)
        assert frames(codec, entry) == formatted(record)


class Hiding(str):
    def __str__(self):
        return "hidden"

    __repr__ = __str__


@pytest.mark.parametrize("key", [Hiding("token"), Sneaky("token")], ids=["equal", "to all"])
def test_a_key_of_a_subclass_is_written_by_its_own_methods(key):
    """Although it equals the key of the records before."""
    pairs = zip(records_with({"token": 1}), records_with({key: 1}), strict=True)
    for known, record in [*pairs, (make({"token": 1}), make({key: 1}))]:
        codec = codec_that_knows(known)
        entry = known_entry(codec, record, FORMATTER) or codec.entry(record, FORMATTER)[0]
        assert not is_compiled(entry)
        assert frames(codec, entry) == formatted(record)


def test_equal_keys_need_not_be_the_same_objects():
    other = "".join(["a", "b"])
    pairs = zip(records_with({"ab": 1}), records_with({other: 2}), strict=True)
    for known, record in [*pairs, (make({"ab": 1}), make({other: 2}))]:
        codec = codec_that_knows(known)
        entry = codec.entry(record, FORMATTER)[0]
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record)


def test_a_record_with_many_values_in_its_dicts_has_an_entry_of_few():
    record = make("done", (), {name: dict.fromkeys("abcdefgh", 5) for name in "abcde"})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert len(entry) == 2 + 1 + 5
    assert frames(codec, entry) == formatted(record)


def test_the_methods_of_an_object_in_the_place_of_a_dict_are_not_called():
    class Query:
        def values(self):
            raise AssertionError

        __iter__ = __len__ = values

        def __str__(self):
            return "a query"

    codec = codec_that_knows(make("done", (), {"data": {"a": 1}}))
    record = make("done", (), {"data": Query()})
    assert known_entry(codec, record, FORMATTER) is None
    assert (
        codec.entry(record, FORMATTER)[0][-1] == formatted(record)[0].decode().split("- - ")[1][:-1]
    )


def test_a_container_of_texts_and_numbers_in_a_message_runs_no_code(monkeypatch):
    """The code of other values may log, which takes precautions."""
    called = []
    monkeypatch.setitem(
        value_kinds.NAMES, "nested", lambda call, one: called.append(one) or call(one)
    )
    for value in (["ann\né", 5], ("anna",), (), [None, True, 2.5], {}):
        for template in ("saw %s %s", "saw %r %s"):
            record = make(template, (value, 0))
            codec = codec_that_knows(record)
            entry, _ = codec.entry(record, FORMATTER)
            assert frames(codec, entry) == formatted(record)
    assert not called
    record = make("saw %s %s", ([Sneaky("x")], 0))
    codec = codec_that_knows(record)
    assert frames(codec, codec.entry(record, FORMATTER)[0]) == formatted(record)
    assert called


@pytest.mark.parametrize("text", ["SELECT * FROM a", "a\nb \x85" * 9, "anna", "x=y", "'a", ""])
def test_a_text_that_a_record_has_in_several_places_is_escaped_once(text, monkeypatch):
    escaped = []

    def escape(one):
        escaped.append(one)
        return grammar.escape(one)

    monkeypatch.setitem(value_kinds.NAMES, "escape", escape)
    places = "%s in %s", (text, 5), {"sql": text, "all": {"sql": text, "b": "x-y"}}
    record = make(*places)
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)
    assert escaped == ([text] if not text.isalnum() else []) + ["x-y"]
    # Others of the call site may differ.
    other = make("%s in %s", (text, 5), {"sql": "a b", "all": {"sql": 'c"d', "b": text}})
    entry, _ = codec.entry(other, FORMATTER)
    assert frames(codec, entry) == formatted(other)
    equal = make("%s in %s", (text, 5), {"sql": (text + "-")[:-1], "all": {"sql": "", "b": text}})
    entry, _ = codec.entry(equal, FORMATTER)
    assert frames(codec, entry) == formatted(equal)


def test_call_sites_that_take_turns_share_the_time_but_not_the_rest():
    """Neither their priorities nor the streams that the packets are for."""
    records = [
        make("got %s", (i,), level=level, name=name, created=1e9 + 0.25 + i / 1e4)
        for i in range(30)
        for level, name in ((20, "shop"), (20, "cart"), (40, "shop"))
    ]
    codec = codec_that_knows(*records[:3])
    entries = [codec.entry(record, FORMATTER)[0] for record in records]
    assert all(map(is_compiled, entries))
    own = [*flattened(codec.render(entries, DESTINATION))]
    assert own == [frame for record in records for frame in formatted(record)]
    other = Destination("http://127.0.0.1/logs", "token", "t.0", hostname="acme")
    for _ in range(2):
        for_other = [*flattened(codec.render(entries, other))]
        assert for_other == [codec.readdress(frame, DESTINATION, other) for frame in own]
        assert [*flattened(codec.render(entries, DESTINATION))] == own


@pytest.mark.parametrize("hostname", ["a", "a" * 255])
def test_a_text_has_the_room_that_the_streams_own_hostname_leaves(hostname):
    """The text is weighed before that is known, and no packet may be too long."""
    destination = Destination("http://127.0.0.1/logs", "token", "t.0", hostname=hostname)
    codec = Codec(PACKET, FORMATTER)
    form = dataclasses.replace(PACKET, hostname=hostname)
    around = len(FORMATTER.format(make("x"))) - 1
    for length in range(min(form.room, PACKET.room) - 2, max(form.room, PACKET.room) + 2):
        record = make("x" * (length - around))
        entry, _ = codec.entry(record, FORMATTER)
        (found,) = codec.render([entry], destination)
        text = FORMATTER.format(record)
        assert [*found] == form.frames(record.created, record.levelno, text, parts)
        assert all(len(frame.split(b" ", 1)[1]) <= PACKET.max_packet_bytes for frame in found)
