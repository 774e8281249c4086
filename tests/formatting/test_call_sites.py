"""Entries that a worker renders become the same lines that the formatter writes."""

import dataclasses
import gc
import itertools
import logging
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler import count
from logplex_handler._formatting.call_sites import _RECORDS_BEFORE_COMPILING
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.long_lines import parts
from logplex_handler._wire.frames import Run, flattened
from logplex_handler.metrics.metric_pairs import MetricSource
from tests.formatting.call_sites import (
    DESTINATION,
    FORMATTER,
    PACKET,
    VALUES,
    Odd,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)

TYPICAL = logging.LogRecord("", 0, "", 0, "", (), None)


TEMPLATES = [
    "%s",
    "done: %s",
    "got %s",
    "%d parcels",
    "%5.1f seconds",
    "%x in hex",
    "%c it is",
    "%r shown",
    "%a shown",
    "%-10s|",
    "100%% of %s",
    "=%s=",
    'with "quotes" and \\ %s',
    "line\n%s",
    "status=%s",
    "status=ok order=%s",
    'path="/a b" order=%s-x',
    "order=%d",
    "order=%5.2f at=now",
    "ratio=100%% of=%s",
    "ünï=%s",
    "é %s",
    "%s%s",
    "%(name)s",
    "no conversion",
    "stray % sign %s",
    "%*d",
    "",
]


def check_all(records):
    """Each line is the formatter's, whichever of the records the call site was compiled for."""
    lines = [*map(formatted, records)]
    # A codec formats what no call site takes: alike, whatever it has compiled.
    codec = Codec(PACKET, FORMATTER)
    for record, line in zip(records, lines, strict=True):
        entry, _ = codec.entry(record, FORMATTER)
        assert frames(codec, entry) == line
    for typical in records:
        codec = codec_that_knows(typical)
        for record, line in zip(records, lines, strict=True):
            taken = codec.call_sites.entry(record)
            assert taken is None or frames(codec, taken[0]) == line


@pytest.mark.parametrize("template", TEMPLATES)
def test_lines_with_arguments_are_those_of_the_formatter(template):
    """For every type of value, whether the call site was compiled for it or for another type."""
    check_all([make(template, (value,)) for value in VALUES])


def test_numbers_are_written_as_the_formatter_does():
    """Numbers below 1,000, whose digits are looked up, and others, alone and side by side."""

    def record(*numbers):
        return make("%s of %d", numbers[:2], {"a": numbers[2], "b": numbers[3]})

    numbers = [0, 7, 999, 1000, 1001, 2**30 - 1, 2**30, 2**31, -1, -1000, -(2**40), 2**119]
    for learned in [(7, 7, 7, 7), (7, 8, 7, 8), (7, 8, 9, 10)]:
        codec = codec_that_knows(record(*learned))
        for first, second in itertools.product(numbers, repeat=2):
            for values in [(first, second, first, second), (first, first, second, int(f"{first}"))]:
                entry, _ = codec.entry(record(*values), FORMATTER)
                assert is_compiled(entry)
                assert frames(codec, entry) == formatted(record(*values))


@pytest.mark.parametrize(
    ("message", "args"), [("shipped", ()), ("order %s shipped", (5,)), ("ok=%s", ("no",))]
)
def test_lines_with_extras_are_those_of_the_formatter(message, args):
    """For every type of value, with arguments and without."""

    def record(value):
        return make(message, args, {"a b": value, "count#x": 1, "é%": "x"})

    check_all([*map(record, VALUES)])


@given(
    message=st.text(max_size=40),
    level=st.integers(-5, 70),
    name=st.text(max_size=10),
    extras=st.dictionaries(
        st.text(max_size=6).filter(lambda key: key not in {"message", *TYPICAL.__dict__}),
        st.one_of(
            st.text(max_size=20),
            st.integers(-(2**119), 2**119),
            st.floats(),
            st.booleans(),
            st.none(),
        ),
        max_size=4,
    ),
    created=st.floats(0, 4e9),
)
def test_any_plain_message_is_as_the_formatter_writes_it(message, level, name, extras, created):
    """With any name, level, time and extras."""
    record = make(message, (), extras, name=name, level=level, created=created)
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(record)


@given(data=st.data())
def test_any_template_is_as_the_formatter_writes_it(data):
    """Whatever text surrounds its conversions, and whatever they are."""
    values = data.draw(
        st.lists(st.one_of(st.text(max_size=9), st.integers(), st.floats(), st.none()), max_size=4)
    )
    template = data.draw(st.text(max_size=9))
    for _ in values:
        template += data.draw(st.sampled_from(["%s", "%d", "%r", "k=%s", "%.2f", "%%%s"]))
        template += data.draw(st.text(' =%"\\abcé\n', max_size=9))
    record = make(template, tuple(values))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_what_is_left_to_the_sender_is_a_tuple_of_values():
    """An entry keeps only the record's time, its arguments and the values of its extras."""
    record = make("order %s shipped to %s", (5, "berlin"), {"order_id": 5, "region": "eu"})
    codec = codec_that_knows(record)
    codec.entry(record, FORMATTER)
    entry = known_entry(codec, record, FORMATTER)
    assert entry[1:] == (record.created, 5, "berlin", 5, "eu")
    assert all(type(value) in (int, float, str) for value in entry)


def test_an_extra_that_may_change_is_written_at_once():
    """So is an argument of `%s`; a later change of the value does not show."""
    parcels = ["one"]
    record = make("order %s shipped", (parcels,), {"parcels": parcels})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    expected = formatted(record)
    parcels.append("two")
    assert is_compiled(entry)
    assert frames(codec, entry) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda record: setattr(record, "exc_info", (ValueError, ValueError("x"), None)),
        lambda record: setattr(record, "exc_text", "Traceback"),
        lambda record: setattr(record, "stack_info", "Stack"),
        lambda record: setattr(record, "args", None),
        lambda record: setattr(record, "args", {"a": 1}),
        lambda record: setattr(record, "msg", {"a": 1}),
        lambda record: setattr(record, "msg", Odd()),
        lambda record: setattr(record, "levelname", "NOTICE"),
        lambda record: setattr(record, "name", "other"),
        lambda record: setattr(record, "levelno", 30),
        lambda record: setattr(record, "order_id", 7),
        lambda record: delattr(record, "lineno"),
        lambda record: record.__dict__.update(count("orders")),
    ],
)
def test_a_record_that_differs_from_the_others_is_written_as_it_is(change):
    """An exception, other attributes, or another value of an attribute that all records share."""
    codec = codec_that_knows(make("order %s shipped", (5,)))
    record = make("order %s shipped", (5,))
    change(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_a_level_that_only_equals_that_of_the_others_is_refused_as_without_them():
    """And one that is no object of Python's own is compiled."""
    level = int("100000")
    codec = codec_that_knows(make("order %s shipped", (5,), level=level))
    record = make("order %s shipped", (5,), level=int("100000"))
    assert record.levelno is not level
    assert is_compiled(codec.entry(record, FORMATTER)[0])
    record.levelno = 1000.0
    with pytest.raises(TypeError):
        codec.entry(record, FORMATTER)


def test_a_record_class_of_its_own_decides_what_its_message_is():
    """Its records are formatted in the caller's thread."""

    class Record(logging.LogRecord):
        def getMessage(self):
            return "another message"

    codec = codec_that_knows(make("order %s shipped", (5,)))
    record = Record("shop", logging.INFO, "here.py", 1, "order %s shipped", (5,), None)
    entry, _ = codec.entry(record, FORMATTER)
    assert b'msg="another message"' in frames(codec, entry)[0]


@pytest.mark.parametrize("extras", [("a", "b"), ("a", "b", "c")])
def test_extras_are_written_in_the_order_given(extras):
    """Also if most records have them in another order."""
    usual = make("shipped", (), dict.fromkeys(extras, 1))
    codec = codec_that_knows(usual)
    for given_extras in (extras, extras[::-1]):
        record = make("shipped", (), dict.fromkeys(given_extras, 1))
        entry, _ = codec.entry(record, FORMATTER)
        assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("status=sent", ()),
        ("at=%s:%d took=%.1f", ("here", 5, 0.25)),
        ("a=%s b=%s", ("x y", None)),
        ("order %s, %d %%", ("é", True)),
        ("%s", ("one",)),
        ("%x=%s", (255, "b")),
    ],
)
def test_templates_of_all_kinds_are_compiled(template, arguments):
    """Also pairs with several arguments in one value."""
    record = make(template, arguments, {"x": 2**31})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize("tenths", range(-25, 26))
@pytest.mark.parametrize("second", [0, 1_700_000_000])
def test_a_time_near_a_second_is_written_as_the_nearest_microsecond(second, tenths):
    """Also a time that is rounded up to the second, after a record in that second."""
    known, near = make("shipped"), make("shipped", created=second + tenths * 1e-7)
    known.created = second + 0.000_5
    codec = codec_that_knows(known)
    waiting = [codec.entry(record, FORMATTER)[0] for record in (known, near)]
    assert all(map(is_compiled, waiting))
    expected = formatted(known) + formatted(near)
    assert [*flattened(codec.render(waiting, DESTINATION))] == expected


def test_frames_of_one_packet_are_one_run_and_others_stand_in_their_place():
    """Each of the others is a list, as it may be several frames; so is one that UTF-8 lacks."""
    records = [make("shipped", (), {"who": who}) for who in ("a", "\xe9", "\ud800", "c", "d")]
    codec = codec_that_knows(records[0])
    waiting = [codec.entry(record, FORMATTER)[0] for record in records]
    texts = [make("one\ntwo"), make("é"), make("three")]
    waiting += [codec.entry(record, FORMATTER)[0] for record in texts]
    waiting.append(codec.entry(records[4], FORMATTER)[0])
    first, surrogate, second, accented, third = codec.render(waiting, DESTINATION)
    expected = [formatted(record) for record in records]
    assert type(first) is type(second) is Run
    assert first == expected[0] + expected[1]
    assert surrogate == expected[2]
    assert second == expected[3] + expected[4] + formatted(texts[0])
    assert accented == formatted(texts[1])
    assert third == formatted(texts[2]) + expected[4]
    assert type(third) is Run


class Instant(float):
    def __sub__(self, other):
        raise TypeError

    __rsub__ = __sub__


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (1, 1.0),
        (True, 1.0),
        (Decimal("1.5"), 1.5),
        (Fraction(-1, 2), 0.0),
        (Instant(1.5), 1.5),
        (10**400, 253_402_300_799.0),
    ],
    ids=["int", "bool", "Decimal", "Fraction", "float", "huge"],
)
def test_the_time_of_every_entry_is_a_float(created, shown, learned):
    """The time is the one that a packet can name, whatever its type is."""
    codec = codec_that_knows(*[make("order %s", (5,))] * learned)
    assert is_compiled(codec.entry(make("order %s", (5,)), FORMATTER)[0]) == learned
    record = make("order %s", (5,), created=created)
    assert known_entry(codec, record, FORMATTER) is None
    entry, _ = codec.entry(record, FORMATTER)
    assert type(entry[1]) is float
    assert frames(codec, entry) == formatted(make("order %s", (5,), created=shown))


@given(st.lists(st.tuples(st.integers(-3000, 3000), st.booleans()), min_size=2, max_size=20))
def test_times_in_any_order_are_written_each_by_itself(steps):
    """Back and forth across milliseconds and seconds, between records of two call sites."""
    one, other = make("order %s", (1,)), make("shipped", (), {"a": 1})
    codec = codec_that_knows(one, other)
    waiting, expected = [], []
    created = 1_700_000_000.0
    for microseconds, is_one in steps:
        created += microseconds * 1e-6
        record = one if is_one else other
        record.created = created
        waiting.append(codec.entry(record, FORMATTER)[0])
        expected += formatted(record)
    assert all(map(is_compiled, waiting))
    assert [*flattened(codec.render(waiting, DESTINATION))] == expected


def test_what_other_handlers_leave_in_a_record_is_no_extra():
    """A formatter before this handler sets `message` and `asctime`."""
    record = make("shipped", (), {"a": 1, "b": 2})
    logging.Formatter("%(asctime)s %(message)s").format(record)
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize("learned", [{}, {"a": 1}, {"a": 1, "b": 2}])
@pytest.mark.parametrize("attribute", ["message", "asctime", "logplex_stream"])
def test_what_others_leave_in_some_records_hides_no_extra_of_another(learned, attribute):
    """As many attributes as usual, with an extra in the place of that one."""
    usual = make("shipped", (), learned)
    usual.__dict__[attribute] = "theirs"
    codec = codec_that_knows(usual)
    record = make("shipped", (), {**learned, "x": 1})
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)
    record = make("shipped", (), {"x": 1, **learned})
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_an_attribute_that_a_filter_takes_away_hides_no_extra():
    """As many attributes as usual, but not the same ones."""
    codec = codec_that_knows(make("shipped", (), {"a": 1}))
    record = make("shipped", (), {"b": 2, "a": 1})
    record.__dict__.pop("taskName", None)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_no_text_of_the_application_gets_into_the_source():
    """Neither a template nor an extra's name becomes part of it, whatever its text is."""
    hostile = "'''; raise SystemExit #{v0}\n\\N{BELL} %s \"\"\" {c0}"
    record = make(hostile, ("x",), {hostile: 1, "d['args']": 2, "}": 3})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize("form", [PACKET, dataclasses.replace(PACKET, max_packet_bytes=2048)])
def test_a_packet_that_escapes_make_long_is_written_as_the_formatter_does(form):
    """However many packets its line makes."""
    codec = Codec(form, FORMATTER)
    long = make("%s and %s", ("\x01" * 400, "\x02" * 400))
    for _ in range(_RECORDS_BEFORE_COMPILING):
        codec.entry(make("%s and %s", ("a", "b")), FORMATTER)
    entry, _ = codec.entry(long, FORMATTER)
    assert is_compiled(entry)
    expected = form.frames(long.created, long.levelno, FORMATTER.format(long), parts)
    assert sum(map(len, expected)) > 4800
    assert frames(codec, entry) == expected


def test_an_escape_that_makes_a_conversion_is_written_as_the_formatter_does():
    """The escaped conversion takes an argument, although the template does not show it."""
    record = make('a="\\u0025s" b=%s', ("x",), {"k": "v"})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("order %(id)d shipped", ({"id": "x"},)),
        ("order=%(id)d", ({"id": float("inf")},)),
        ("%d %r", ("x", [1])),
        ("%d shipped", ("x",)),
    ],
)
def test_a_template_that_its_arguments_do_not_fit_is_shown_as_it_was_logged(template, arguments):
    """The compiled functions have arguments by position, and texts in place of objects."""
    record = make(template, arguments)
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    # Python 3.15 names the argument, by its place or by its key.
    written, expected = (
        re.sub(rb"\A\d+ |format argument (1|'id'): ", b"", b"".join(of))
        for of in (frames(codec, entry), formatted(record))
    )
    assert written == expected


def test_an_exception_that_is_false_is_one():
    """Its traceback is written like any other."""

    class Empty(Exception):
        def __len__(self):
            return 0

    codec = codec_that_knows(make("failed"))
    record = make("failed")
    record.exc_info = (Empty, Empty(), None)
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)
    record.exc_info = Empty()
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)


def test_a_call_site_stays_while_an_entry_waits():
    """Also if other forms of it were tried before, which are collected later."""
    gc.disable()
    try:
        codec = codec_that_knows(make("note %s", ("x" * 5_000,)))
        entry, _ = codec.entry(make("note %s", ("y" * 5_000,)), FORMATTER)
    finally:
        gc.enable()
    assert is_compiled(entry)
    gc.collect()
    codec.call_sites.retire()
    for _ in range(3):
        codec._compiled.retire([])
    assert frames(codec, entry) == formatted(make("note %s", ("y" * 5_000,)))
    del entry
    codec._compiled.retire([])
    assert not codec._compiled.by_number


@pytest.mark.parametrize("first", [None, "", "eu"])
def test_a_source_of_its_own_that_comes_after_an_extra_of_that_name(first):
    codec = codec_that_knows(make("order %s", (5,), {"logplex_source": first}))
    record = make("order %s", (5,), {"logplex_source": MetricSource("eu")})
    entry, _ = codec.entry(record, FORMATTER)
    assert frames(codec, entry) == formatted(record)
