"""Records whose formatting is left to the sender: the same lines, where nothing can change."""

import dataclasses
import decimal
import enum
import gc
import itertools
import logging
import re
import threading
import uuid
import weakref
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler import Destination, KeyValueFormatter, count
from logplex_handler._formatting.call_sites import _TIMES_WORTH_A_SHAPE
from logplex_handler._formatting.codec import Codec
from logplex_handler._wire.frames import Run, singles
from logplex_handler._wire.packet import PacketForm
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to

PACKET = PacketForm("host", "app", "web.1", 23, True, 10_000)
DESTINATION = Destination("http://127.0.0.1/logs", "token", "t.0")
FORMATTER = KeyValueFormatter(source="us-east", static={"team": "a%b"})
# One that is longer is formatted at once.
INTEGERS = st.integers(-(2**119), 2**119)
TYPICAL = logging.LogRecord("", 0, "", 0, "", (), None)


def make(message, args=(), extra=None, *, name="shop", level=logging.INFO, created=1e9 + 0.25):
    """A record as a logger makes it."""
    record = logging.getLogger(name).makeRecord(
        name, level, "here.py", 1, message, args, None, extra=extra
    )
    record.created = created
    return record


def entries_that_know(*records, formatter=FORMATTER):
    """Codec that have seen each of the records often enough."""
    entries = Codec(PACKET, FORMATTER)
    for record in records:
        for _ in range(_TIMES_WORTH_A_SHAPE):
            entries.entry(record, formatter)
    return entries


def frames(entries, entry):
    (rendered,) = entries.render([entry], DESTINATION)
    return rendered


def formatted(record, formatter=FORMATTER):
    return PACKET.frames(record.created, record.levelno, formatter.format(record))


def has_shape(entry):
    return entry[0] > 0


class Colour(enum.Enum):
    RED = 1


class Sneaky(str):
    def __str__(self):
        return 'x" y=1\nz'

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Odd:
    def __str__(self):
        return 'odd "one"\n'


VALUES = [
    "berlin",
    "",
    "new york",
    'a "quoted" \\ one',
    "line\nbreak\r\ttab\x00\x1b[31m",
    "a=b c=d",
    "ünïcödé",
    "\u2028\x85\xa0",
    "\ufeffbom",
    "surrogate \ud800",
    "emoji 🎉",
    "x" * 5000,
    "100%",
    "%s",
    "{x}",
    0,
    -1,
    7,
    2**70,
    2**200,
    -(2**200),
    1.5,
    -0.0,
    1e300,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    Colour.RED,
    uuid.UUID(int=5),
    decimal.Decimal("1.50"),
    Fraction(1, 3),
    b"bytes",
    [1, "two"],
    {"a": 1},
    Sneaky("sneaky"),
    Odd(),
    10**4000,
]
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


@pytest.mark.parametrize("template", TEMPLATES)
def test_lines_with_arguments_are_those_of_the_formatter(template):
    """For every kind of value, whether the shape was made for it or for another one."""
    for typical in VALUES:
        entries = entries_that_know(make(template, (typical,)))
        for value in VALUES:
            record = make(template, (value,))
            entry, _ = entries.entry(record, FORMATTER)
            assert frames(entries, entry) == formatted(record)


def test_numbers_are_written_as_the_formatter_does_whether_they_are_the_same_or_not():
    """Some digits are not made anew: those of small numbers, and of one that was just written."""

    def record(*numbers):
        return make("%s of %d", numbers[:2], {"a": numbers[2], "b": numbers[3]})

    numbers = [0, 7, 999, 1000, 1001, 2**30 - 1, 2**30, 2**31, -1, -1000, -(2**40), 2**119]
    for learned in [(7, 7, 7, 7), (7, 8, 7, 8), (7, 8, 9, 10)]:
        entries = entries_that_know(record(*learned))
        for first, second in itertools.product(numbers, repeat=2):
            for values in [(first, second, first, second), (first, first, second, int(f"{first}"))]:
                entry, _ = entries.entry(record(*values), FORMATTER)
                assert has_shape(entry)
                assert frames(entries, entry) == formatted(record(*values))


@pytest.mark.parametrize("typical", VALUES, ids=lambda value: repr(value)[:20])
def test_lines_with_extras_are_those_of_the_formatter(typical):
    """For every kind of value, beside arguments or alone."""
    for message, args in (("shipped", ()), ("order %s shipped", (5,)), ("ok=%s", ("no",))):
        entries = entries_that_know(make(message, args, {"a b": typical, "count#x": 1, "é%": "x"}))
        for value in VALUES:
            record = make(message, args, {"a b": value, "count#x": 1, "é%": "x"})
            entry, _ = entries.entry(record, FORMATTER)
            assert frames(entries, entry) == formatted(record)


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
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert has_shape(entry)
    assert frames(entries, entry) == formatted(record)


@given(data=st.data())
def test_any_template_is_as_the_formatter_writes_it(data):
    """Whatever stands around and in its conversions."""
    values = data.draw(
        st.lists(st.one_of(st.text(max_size=9), st.integers(), st.floats(), st.none()), max_size=4)
    )
    template = data.draw(st.text(max_size=9))
    for _ in values:
        template += data.draw(st.sampled_from(["%s", "%d", "%r", "k=%s", "%.2f", "%%%s"]))
        template += data.draw(st.text(' =%"\\abcé\n', max_size=9))
    record = make(template, tuple(values))
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


def test_what_is_left_to_the_sender_is_a_tuple_of_values():
    """Nothing of the record is kept but its time, its arguments and what its extras are."""
    record = make("order %s shipped to %s", (5, "berlin"), {"order_id": 5, "region": "eu"})
    entries = entries_that_know(record)
    entries.entry(record, FORMATTER)
    entry = entries.call_sites.light_entry(record, FORMATTER)
    assert entry[1:] == (record.created, 5, "berlin", 5, "eu")
    assert all(type(value) in (int, float, str) for value in entry)


def test_an_extra_that_may_change_is_written_at_once():
    """So is an argument of `%s`; what changes afterwards does not show."""
    parcels = ["one"]
    record = make("order %s shipped", (parcels,), {"parcels": parcels})
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    expected = formatted(record)
    parcels.append("two")
    assert has_shape(entry)
    assert frames(entries, entry) == expected


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
def test_a_record_that_is_not_of_the_shape_is_written_as_it_is(change):
    """What it has beside its values, and what is not like the others."""
    entries = entries_that_know(make("order %s shipped", (5,)))
    record = make("order %s shipped", (5,))
    change(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


def test_a_record_class_of_its_own_decides_what_its_message_is():
    """It is formatted at once."""

    class Record(logging.LogRecord):
        def getMessage(self):
            return "another message"

    entries = entries_that_know(make("order %s shipped", (5,)))
    record = Record("shop", logging.INFO, "here.py", 1, "order %s shipped", (5,), None)
    entry, _ = entries.entry(record, FORMATTER)
    assert b'msg="another message"' in frames(entries, entry)[0]


@pytest.mark.parametrize("extras", [("a", "b"), ("a", "b", "c")])
def test_extras_are_written_in_the_order_given(extras):
    """Also where most come in another one."""
    usual = make("shipped", (), dict.fromkeys(extras, 1))
    entries = entries_that_know(usual)
    for given_extras in (extras, extras[::-1]):
        record = make("shipped", (), dict.fromkeys(given_extras, 1))
        entry, _ = entries.entry(record, FORMATTER)
        assert frames(entries, entry) == formatted(record)


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
def test_templates_of_all_kinds_have_shapes(template, arguments):
    """Pairs with several arguments in one value, too."""
    record = make(template, arguments, {"x": 2**31})
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert has_shape(entry)
    assert frames(entries, entry) == formatted(record)


@pytest.mark.parametrize("tenths", range(-25, 26))
@pytest.mark.parametrize("second", [0, 1_700_000_000])
def test_a_time_near_a_second_is_written_as_the_nearest_microsecond(second, tenths):
    """Also one before it that is rounded up to it, behind a record that is in it."""
    known, near = make("shipped"), make("shipped", created=second + tenths * 1e-7)
    known.created = second + 0.000_5
    entries = entries_that_know(known)
    waiting = [entries.entry(record, FORMATTER)[0] for record in (known, near)]
    assert all(map(has_shape, waiting))
    expected = formatted(known) + formatted(near)
    assert [*singles(entries.render(waiting, DESTINATION))] == expected


def test_frames_of_ascii_are_one_run_and_others_stand_in_their_place():
    """Each other one apart, as it may be several."""
    records = [make("shipped", (), {"who": who}) for who in ("a", "b", "\xe9", "c", "d")]
    entries = entries_that_know(records[0])
    waiting = [entries.entry(record, FORMATTER)[0] for record in records]
    waiting.append(entries.entry(make("one\ntwo"), FORMATTER)[0])
    first, accented, second, lines = entries.render(waiting, DESTINATION)
    expected = [formatted(record) for record in records]
    assert type(first) is type(second) is Run
    assert first == expected[0] + expected[1]
    assert accented == expected[2]
    assert second == expected[3] + expected[4]
    assert len(lines) == 1


@given(st.lists(st.tuples(st.integers(-3000, 3000), st.booleans()), min_size=2, max_size=20))
def test_times_in_any_order_are_written_each_by_itself(steps):
    """Back and forth across milliseconds and seconds, between records of two shapes."""
    one, other = make("order %s", (1,)), make("shipped", (), {"a": 1})
    entries = entries_that_know(one, other)
    waiting, expected = [], []
    created = 1_700_000_000.0
    for microseconds, is_one in steps:
        created += microseconds * 1e-6
        record = one if is_one else other
        record.created = created
        waiting.append(entries.entry(record, FORMATTER)[0])
        expected += formatted(record)
    assert all(map(has_shape, waiting))
    assert [*singles(entries.render(waiting, DESTINATION))] == expected


def test_what_other_handlers_leave_in_a_record_is_no_extra():
    """A formatter before this handler sets `message` and `asctime`."""
    record = make("shipped", (), {"a": 1, "b": 2})
    logging.Formatter("%(asctime)s %(message)s").format(record)
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert has_shape(entry)
    assert frames(entries, entry) == formatted(record)


@pytest.mark.parametrize("learned", [{}, {"a": 1}, {"a": 1, "b": 2}])
@pytest.mark.parametrize("attribute", ["message", "asctime", "logplex_stream"])
def test_what_others_leave_in_some_records_hides_no_extra_of_another(learned, attribute):
    """As many attributes as usual, with an extra in the place of that one."""
    usual = make("shipped", (), learned)
    usual.__dict__[attribute] = "theirs"
    entries = entries_that_know(usual)
    record = make("shipped", (), {**learned, "x": 1})
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)
    record = make("shipped", (), {"x": 1, **learned})
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


def test_an_attribute_that_a_filter_takes_away_hides_no_extra():
    """As many attributes as usual, but not the same ones."""
    entries = entries_that_know(make("shipped", (), {"a": 1}))
    record = make("shipped", (), {"b": 2, "a": 1})
    record.__dict__.pop("taskName", None)
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


def test_no_text_of_the_application_gets_into_the_source():
    """Neither a template nor an extra's name, whatever it looks like."""
    hostile = "'''; raise SystemExit #{v0}\n\\N{BELL} %s \"\"\" {c0}"
    record = make(hostile, ("x",), {hostile: 1, "d['args']": 2, "}": 3})
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert has_shape(entry)
    assert frames(entries, entry) == formatted(record)


def test_another_formatter_has_other_shapes():
    """What waits is written as it would have been when it was logged."""
    record = make("order %s shipped", (5,))
    entries = entries_that_know(record)
    before, _ = entries.entry(record, FORMATTER)
    other = KeyValueFormatter(message_key="message")
    after, _ = entries.entry(record, other)
    assert not has_shape(after)
    assert frames(entries, before) == formatted(record)
    assert frames(entries, after) == formatted(record, other)


@pytest.mark.parametrize(
    "formatter",
    [logging.Formatter("%(message)s"), type("Mine", (KeyValueFormatter,), {})()],
    ids=["logging.Formatter", "subclass"],
)
def test_formatters_of_other_classes_are_called_for_every_record(formatter):
    """Nobody knows what they depend on."""
    record = make("order %s shipped", (5,))
    entries = entries_that_know(record, formatter=formatter)
    entry, is_light = entries.entry(record, formatter)
    assert not has_shape(entry)
    assert is_light
    assert not entries.entry(make("order %s shipped", ("x" * 3000,)), formatter)[1]


def test_a_call_that_comes_seldom_has_no_shape():
    """Making one costs as much as it saves on so many records."""
    entries = Codec(PACKET, FORMATTER)
    record = make("order %s shipped", (5,))
    for _ in range(_TIMES_WORTH_A_SHAPE):
        entry, _ = entries.entry(record, FORMATTER)
        assert not has_shape(entry)
    entry, _ = entries.entry(record, FORMATTER)
    assert has_shape(entry)


def test_templates_made_at_run_time_do_not_fill_the_memory():
    """They do not come again, and nothing of them is kept for long."""
    entries = Codec(PACKET, FORMATTER)
    for number in range(5000):
        entries.entry(make(f"order {number} took %s", (5,)), FORMATTER)
    assert len(entries.call_sites._times) <= 1024
    assert not entries._known.by_number
    for _ in range(2 * _TIMES_WORTH_A_SHAPE):
        entries.entry(make("x" * 2000 + "%s", (5,)), FORMATTER)
    assert not entries._known.by_number


def test_a_long_text_is_formatted_at_once():
    """What it will hold must be known, to count towards the memory that may be held."""
    short = make("order %s shipped", ("x",))
    entries = entries_that_know(short)
    entry, is_light = entries.entry(make("order %s shipped", ("\x01" * 3000,)), FORMATTER)
    assert not is_light
    assert entries.weigh(entry)[0] > 6 * 3000
    assert entries.entry(short, FORMATTER)[1]


@pytest.mark.parametrize("form", [PACKET, dataclasses.replace(PACKET, max_packet_bytes=2048)])
def test_a_packet_that_escapes_make_long_is_written_as_the_formatter_does(form):
    """However many there are of it."""
    entries = Codec(form, FORMATTER)
    long = make("%s and %s", ("\x01" * 400, "\x02" * 400))
    for _ in range(_TIMES_WORTH_A_SHAPE):
        entries.entry(make("%s and %s", ("a", "b")), FORMATTER)
    entry, _ = entries.entry(long, FORMATTER)
    assert has_shape(entry)
    expected = form.frames(long.created, long.levelno, FORMATTER.format(long))
    assert sum(map(len, expected)) > 4800
    assert frames(entries, entry) == expected


def test_an_escape_that_makes_a_conversion_is_written_as_the_formatter_does():
    """It takes an argument, though the template does not show it."""
    record = make('a="\\u0025s" b=%s', ("x",), {"k": "v"})
    entries = entries_that_know(record)
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


def test_types_that_cannot_be_hashed_are_no_reason_to_fail():
    """Their values are formatted at once."""

    class Meta(type):
        def __eq__(cls, other):
            return cls is other

        __hash__ = None

    class Value(metaclass=Meta):
        pass

    record = make("shipped", (), {"value": Value()})
    entry, _ = entries_that_know(record).entry(record, FORMATTER)
    assert not has_shape(entry)


def test_no_value_of_a_record_is_kept():
    """Not of the one that a shape was made for either."""

    class Connection:
        pass

    argument, extra = Connection(), Connection()
    gone = [weakref.ref(argument), weakref.ref(extra)]
    entries = entries_that_know(make("on %s", (argument,), {"extra": extra}))
    assert entries._known.by_number
    del argument, extra
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_an_exception_that_is_false_is_one():
    """Its traceback is written as of any other."""

    class Empty(Exception):
        def __len__(self):
            return 0

    entries = entries_that_know(make("failed"))
    record = make("failed")
    record.exc_info = (Empty, Empty(), None)
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)
    record.exc_info = Empty()
    entry, _ = entries.entry(record, FORMATTER)
    assert frames(entries, entry) == formatted(record)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_is_light_weighs_no_more_than_is_said(value):
    """It is put without being weighed."""
    record = make("%s and %s", (value, value), {"a": value})
    entries = entries_that_know(record)
    entry, is_light = entries.entry(record, FORMATTER)
    size, packets = entries.weigh(entry)
    assert size <= 2048 or not is_light
    assert packets == 1 or not is_light
    assert entries.weigh(entry) == (size, packets)


def test_a_class_with_an_emit_of_its_own_gets_every_record():
    """As `logging` promises it."""
    seen = []
    with LogplexReceiver() as logplex:
        from logplex_handler import LogplexHandler

        class Mine(LogplexHandler):
            def emit(self, record):
                seen.append(record)
                super().emit(record)

        handler = Mine(logplex.url)
        for number in range(3 * _TIMES_WORTH_A_SHAPE):
            handler.handle(make("order %s shipped", (number,)))
        handler.close()
        assert len(seen) == len(logplex.lines) == 3 * _TIMES_WORTH_A_SHAPE


def test_records_of_many_threads_arrive_once_in_each_thread_s_order():
    """Through shapes, light entries, and several batches."""
    threads, each = 8, 2500
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter()) as (logger, handler),
    ):

        def work(thread):
            for number in range(each):
                logger.info("thread %s logs %s", thread, number, extra={"n": number})

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            assert balanced(handler.stats())
        assert handler.flush(20)
        stats = handler.stats()
    assert stats.delivered == threads * each
    seen = [re.search(r"thread (\d) logs (\d+)", line.text).groups() for line in logplex.lines]
    for thread in range(threads):
        assert [int(n) for t, n in seen if t == str(thread)] == list(range(each))


def test_a_record_of_a_shape_needs_no_other_one_to_leave():
    """The first of them starts the clock."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(), flush_interval=0.05) as (logger, _),
    ):
        for sent, pause in enumerate([0] * 100 + [0.08] * 10, 1):
            logger.info("order %s shipped", sent)
            if pause:
                assert logplex.wait_for(sent, 3)
