"""Call sites with metrics, mappings, long texts, and values that are not built in."""

import datetime
import decimal
import gc
import sys
import tracemalloc
import uuid
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter, count, measure, sample
from logplex_handler._formatting import call_sites
from logplex_handler._formatting.call_site import NO_ENTRY
from logplex_handler._formatting.call_sites import _RECORDS_BEFORE_COMPILING
from logplex_handler._formatting.codec import Codec
from logplex_handler._wire.entry import HEAVY, LIGHT, weight
from tests.formatting.call_sites import (
    DESTINATION,
    FORMATTER,
    PACKET,
    VALUES,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)
from tests.logs import RESERVED

NUMBERS = st.one_of(st.integers(0, 10**6), st.floats(0, 1e300), st.decimals(0, 10**6))
METRICS = st.lists(
    st.one_of(
        st.builds(measure, st.sampled_from(["web.latency", "a%s", "é"]), NUMBERS),
        st.builds(sample, st.just("db_size"), NUMBERS, st.sampled_from(["", "MB"])),
        st.builds(count, st.sampled_from(["orders", "x" * 150]), NUMBERS),
    ),
    max_size=4,
)
KEYS = st.text(max_size=6).filter(lambda key: key not in {*RESERVED, "logplex_source"})
PAIRS = st.dictionaries(KEYS, st.sampled_from(VALUES), max_size=3)
MESSAGES = st.one_of(
    st.sampled_from(["", " ", "served", 'msg=""', "a=b", "5", "count#orders=1", "%"]),
    st.text(max_size=8),
)
FORMATTERS = [FORMATTER, KeyValueFormatter(), KeyValueFormatter(static={"\ufeffteam": "é"})]


def joined(parts):
    return {key: value for part in parts for key, value in part.items()}


def sent(codec, entries):
    return [frame for rendered in codec.render(entries, DESTINATION) for frame in rendered]


def check(learned, given_record, formatter):
    """The record's frames are the formatter's, in a codec that knows the other one's call site."""
    codec = codec_that_knows(learned, formatter=formatter)
    for record in (learned, given_record):
        entry, is_light = codec.entry(record, formatter)
        assert sent(codec, [entry]) == formatted(record, formatter)
        size, packets = codec.weigh(entry)
        assert not is_light or (size <= 2048 and packets == 1)


@given(
    METRICS,
    METRICS,
    st.tuples(PAIRS, PAIRS),
    st.tuples(MESSAGES, MESSAGES),
    st.booleans(),
    st.sampled_from(FORMATTERS),
)
def test_lines_with_metrics_are_those_of_the_formatter(
    usual, other, extras, messages, comes_first, formatter
):
    """Alone, behind extras, beside any message, and whatever the call site was compiled for."""
    records = [
        make(message, (), (joined(metrics) | extra) if comes_first else (extra | joined(metrics)))
        for message, metrics, extra in zip(messages, (usual, other), extras, strict=True)
    ]
    check(*records, formatter)


@given(METRICS, METRICS, st.sampled_from(["%s", "%s%s", "n %s", "a=%s", "msg=%s", "count#a=%s"]))
def test_templates_beside_metrics_are_as_the_formatter_writes_them(usual, other, template):
    """Also a template that makes no text, or one that looks like a metric."""
    for values in [("x", ""), ("", "x"), ("", "")]:
        records = [
            make(template, (value,) * template.count("%s"), joined(metrics))
            for value, metrics in zip(values, (usual, other), strict=True)
        ]
        check(*records, FORMATTER)


@given(METRICS, METRICS, METRICS, st.tuples(PAIRS, PAIRS), st.booleans())
def test_mappings_are_written_as_the_formatter_does(usual, other, extra, pairs, comes_first):
    """With metrics in the mapping, among the extras, or in both."""
    records = [
        make(
            (joined(metrics) | more) if comes_first else (more | joined(metrics)),
            (),
            joined(extra),
        )
        for metrics, more in zip((usual, other), pairs, strict=True)
    ]
    check(*records, FORMATTER)


class Atoms(dict[str, object]):
    """Arguments as gunicorn's: what is missing is `-`."""

    def __getitem__(self, name):
        return super().__getitem__(name) if name in self else "-"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["%(a)s", "%(b)s", "%(c)d", "%(a)r", "%%", "%(none)s", "k=%(b)s", "%s"]
            ),
            st.sampled_from(["", " ", " x ", '"', "=", "\\u0025(a)s", "(a)"]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)),
    st.sampled_from([dict, Atoms]),
)
def test_named_arguments_are_written_as_the_formatter_does(parts, values, kind):
    """In any place, also one that is missing, or that another mapping lacks."""
    template = "".join([conversion + text for conversion, text in parts])
    records = [make(template, (kind(a=value, b="x y", c=5),)) for value in values]
    records += [make(template, (other(a=1),)) for other in (dict, Atoms)]
    records += [make(template, (1, 2, 3)), make(template, ("a",))]
    for record in records[1:]:
        check(records[0], record, FORMATTER)


@pytest.mark.parametrize("name", ["c d", 'c"d', "c\td", "c=d", "c\x85d", ""])
@pytest.mark.parametrize("template", ["a=%(NAME)s", "a=%(b)s e=%(NAME).3s", 'a="%(NAME)s"'])
def test_a_name_that_ends_a_pair_makes_the_message_no_other_one(template, name):
    """Without the name, free text would be pairs."""
    record = make(template.replace("NAME", name), ({"b": 1, name: "x y"},))
    check(record, record, FORMATTER)


def test_a_template_with_named_arguments_is_compiled():
    """As the access lines of gunicorn and the lines of Celery are."""
    atoms = Atoms(h="10.1.2.3", r="GET / HTTP/1.1", s="200", D=1234)
    record = make('%(h)s %(l)s "%(r)s" %(s)s %(D)d', (atoms,))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert entry[2:] == ("10.1.2.3", "-", "GET / HTTP/1.1", "200", 1234)
    assert frames(codec, entry) == formatted(record)


@given(st.sampled_from(["[%s] %r", "%r", "p=%r", "%r%%", 'q="%r, %r"', "%5r %r"]), st.data())
def test_representations_are_texts_at_once(template, data):
    """Of values that may change; others wait as they are."""
    records = [
        make(template, tuple([data.draw(st.sampled_from(VALUES)) for _ in range(number)]))
        for number in [template.replace("%%", "").count("%")] * 2
    ]
    check(*records, FORMATTER)


def test_a_representation_that_may_change_is_compiled():
    """As the parameters that SQLAlchemy logs."""
    parameters = ["münchen", 1.5]
    record = make("[%s] %r", ("generated in 0.1s", parameters))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    expected = formatted(record)
    parameters.append("later")
    assert entry[-1] == "['münchen', 1.5]"
    assert frames(codec, entry) == expected


@pytest.mark.parametrize("template", ["got %s", "%r", "headers=%s", 'a=1 b="<%r>"', "%s%%"])
@pytest.mark.parametrize("kind", [dict, Atoms])
def test_a_mapping_for_one_conversion_is_compiled(template, kind):
    """As headers are logged: `logging` takes the only argument for all if it is a mapping."""
    headers = kind(server="nginx", age=5, tags=["a b"])
    record = make(template, (headers,))
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    expected = formatted(record)
    headers["age"] = 6
    assert is_compiled(entry)
    assert sent(codec, [entry]) == codec._rendered_slowly(PACKET, entry) == expected
    check(record, make(template, ({"long": "x" * 70_000},)), FORMATTER)


def test_a_text_that_repeats_the_metrics_is_no_message():
    """As the lines of `Metrics` are: other formatters need the text."""
    records = [
        make(f"measure#a={n} count#b={n}", (), measure("a", n) | count("b", n)) for n in (1, 22)
    ]
    codec = codec_that_knows(records[0])
    entry, _ = codec.entry(records[1], FORMATTER)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(records[1])


@pytest.mark.parametrize("places", [1, 900, 990, 1000, 1010])
def test_metrics_of_a_line_that_is_too_long_move_to_lines_of_their_own(places):
    """The entry is rendered step by step then."""
    short = make("served", (), {"a": "x"} | measure("m", 5))
    codec = codec_that_knows(short, make("served", (), {"a": "x" * 600} | measure("m", 5)))
    for length in range(places - 3, places + 3):
        record = make("served", (), {"a": "x" * max(0, length - 60)} | measure("m", 5))
        entry, _ = codec.entry(record, FORMATTER)
        assert sent(codec, [entry]) == formatted(record)


@pytest.mark.parametrize(
    "value",
    [
        uuid.UUID(int=5),
        decimal.Decimal("1.50"),
        decimal.Decimal("NaN"),
        decimal.Decimal(10) ** 50 + 1,
        datetime.datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - without a time zone on purpose
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc),
    ],
    ids=repr,
)
def test_values_that_cannot_change_wait_as_they_are(value):
    """The worker makes their text. What the garbage collector might track does not wait."""
    record = make("at %s", (value,), {"value": value})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    kept = str(value) if type(value) is decimal.Decimal else getattr(value, "int", value)
    assert type(entry[-1]) is type(kept)
    assert entry[-1] == kept
    assert not gc.is_tracked(entry[-1])
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("1" * 500),
        datetime.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC")),
        2**200,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_too_large_or_may_change_are_texts_at_once(value):
    """The call site is compiled for them as such, and none that cannot take them."""
    record = make("at", (), {"value": value})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert type(entry[-1]) is str
    assert frames(codec, entry) == formatted(record)
    assert len(codec._compiled.by_number) == 1


@pytest.mark.parametrize(
    "text",
    ["x y " * 500, "é" * 3000, 'a"b\n' * 3000, "x y " * 9000, "\ud800x " * 6000, "\x7f" * 4000],
    ids=lambda t: ascii(t[:1]),
)
def test_a_long_text_has_one_call_site_that_takes_it(text):
    """It waits as it is, and is weighed."""
    record = make("got %s", (text,))
    codec = Codec(PACKET, FORMATTER)
    for _ in range(20 * _RECORDS_BEFORE_COMPILING):
        entry, is_light = codec.entry(record, FORMATTER)
    assert len(codec._compiled.by_number) == 1
    assert is_compiled(entry)
    assert not is_light
    assert codec.weigh(entry)[0] >= weight(entry)
    assert sent(codec, [entry]) == codec._rendered_slowly(PACKET, entry) == formatted(record)


@pytest.mark.parametrize("typical", [40, 2000])
def test_a_number_that_is_kept_as_a_text_is_weighed_as_a_text(typical):
    def record(digits):
        return make("saw %s" + 5 * " %s", ("x" * digits, *[10**digits] * 5))

    codec = codec_that_knows(record(typical))
    kept = 0
    for digits in range(1000):
        entry, is_light = codec.entry(record(digits), FORMATTER)
        if is_compiled(entry):
            kept += 1
            assert weight(entry) <= codec.weigh(entry)[0]
            assert weight(entry) <= LIGHT or not is_light
    assert kept > 100


@pytest.mark.parametrize("text", ["", "x" * 3000])
def test_the_values_of_metrics_are_weighed_with_what_the_garbage_collector_adds(text):
    pairs = joined([measure(f"web.{i}", i + 0.25, "ms") for i in range(12)])
    record = make("done %s", (text,), pairs | {"region": "eu"})
    codec = codec_that_knows(record)
    entry, is_light = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    size, _ = codec.weigh(entry)
    assert size >= sys.getsizeof(entry) + sum(map(sys.getsizeof, entry))
    assert is_light == (size <= LIGHT)


def test_a_long_record_like_the_latest_one_needs_no_search():
    record = make("got %s", ("x y " * 1000,))
    codec = codec_that_knows(record)
    codec.entry(record, FORMATTER)
    entry = codec.call_sites.latest_entry(record, FORMATTER)
    assert entry[0] > HEAVY
    assert sent(codec, [entry]) == formatted(record)
    assert known_entry(codec, record, None) is None
    codec.call_sites.retire()
    assert known_entry(codec, record) is None


def test_short_texts_need_no_search_although_long_ones_come_between_them():
    """A call site of long texts, if it is asked first, would take them, too."""
    short, long = make("got %s", ("x",)), make("got %s", ("x y " * 1000,))
    codec = codec_that_knows(short, long)
    for _ in range(2):
        codec.entry(short, FORMATTER)
        codec.entry(long, FORMATTER)
        entries = [codec.call_sites.latest_entry(short, FORMATTER), known_entry(codec, long)]
        assert entries[0][0] < HEAVY < entries[1][0]
        assert sent(codec, entries) == [*formatted(short), *formatted(long)]


def test_of_call_sites_that_take_turns_the_latest_one_is_asked_first():
    number, text = make("got %s", (5,)), make("got %s", ("five",))
    codec = codec_that_knows(number, text)
    call_sites = codec.call_sites
    for one, other in [(number, text), (text, number)]:
        assert known_entry(codec, one) is not None
        assert call_sites.latest_entry(other, FORMATTER) is NO_ENTRY
        assert call_sites.latest_entry(one, FORMATTER) is not NO_ENTRY


def test_a_message_without_arguments_is_written_once_while_it_stays_the_same():
    records = [make(message) for message in ("", "a b", "a b", "x=1", "a b", "", "é")]
    codec = codec_that_knows(records[0])
    entries = [codec.entry(record, FORMATTER)[0] for record in records]
    assert all(map(is_compiled, entries))
    assert sent(codec, entries) == [frame for record in records for frame in formatted(record)]


def test_call_sites_of_one_shape_share_their_code():
    codec = codec_that_knows(make("%s is %s", (1, "a b")), make("%s has %s", (2, "c" * 90)))
    one, other = codec._compiled.by_number.values()
    assert one.extract.__code__ is other.extract.__code__
    assert one.render.__code__ is other.render.__code__


def test_texts_of_a_light_entry_share_its_room():
    """One may be long if the others are short, as in a record that has a query."""
    typical = make("%s took %s", ("SELECT " + "x" * 1000, 5), {"a": "b", "c": 1})
    codec = codec_that_knows(typical)
    for texts in [("x" * 1200, "b"), ("x" * 1000, "b" * 200), ("é" * 200, "é" * 20), ("", "")]:
        record = make("%s took %s", (texts[0], 5), {"a": texts[1], "c": 1})
        entry, is_light = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert is_light
        assert codec.weigh(entry)[0] <= 2048
        assert frames(codec, entry) == formatted(record)
    entry, is_light = codec.entry(
        make("%s took %s", ("x" * 2000, 5), {"a": "b", "c": 1}), FORMATTER
    )
    assert not is_light


@pytest.mark.parametrize("template", ["a %r b", "%r", "a %40s b", "id=%s", "id=%r", "x %.8s %s"])
def test_any_conversion_takes_a_uuid(template):
    """Also step by step. Only its number waits."""
    value = uuid.uuid4()
    record = make(template, (value,) * template.count("%"), {"id": value})
    codec = codec_that_knows(record)
    entry, _ = codec.entry(record, FORMATTER)
    assert set(entry[2:]) == {value.int}
    assert frames(codec, entry) == codec._rendered_slowly(PACKET, entry) == formatted(record)


def test_an_entry_of_many_values_is_light_only_if_they_are_small():
    """A UUID takes more memory than a number."""
    for value, expected in [(5, True), (uuid.UUID(int=5), False)]:
        record = make("shipped", (), {f"k{number}": value for number in range(25)})
        codec = codec_that_knows(record)
        entry, is_light = codec.entry(record, FORMATTER)
        assert is_light is expected
        assert frames(codec, entry) == formatted(record)


def test_frames_of_very_long_texts_are_made_one_after_the_other():
    """A batch may have room for few of them."""
    record = make("got %s", ("x y " * 16_384,))
    codec = codec_that_knows(record)
    waiting = [codec.entry(record, FORMATTER)[0] for _ in range(3)]
    taken = []

    def entries():
        for entry in waiting:
            taken.append(entry)
            yield entry

    rendered = iter(codec.render(entries(), DESTINATION))
    assert next(rendered) == formatted(record)
    assert len(taken) == 1


def test_call_sites_that_are_used_least_are_let_go(monkeypatch):
    """Those in use stay, and entries that wait are rendered."""
    monkeypatch.setattr(call_sites, "_MAX_BYTES", 400_000)
    codec = Codec(PACKET, FORMATTER)

    def learn(number, repeat=_RECORDS_BEFORE_COMPILING + 1):
        record = make(f"made at run time {number}: %s", (number,), created=1e9 + number)
        for _ in range(repeat):
            entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        return record, entry

    kept, first = learn(0)
    records = [kept]
    waiting = [first]
    for number in range(1, 200):
        record, entry = learn(number)
        if number < 100:
            records.append(record)
            waiting.append(entry)
        used = make(kept.msg, kept.args, created=1e9 + number)
        assert sent(codec, [codec.entry(used, FORMATTER)[0]])
    assert is_compiled(codec.entry(kept, FORMATTER)[0])
    expected = [frame for record in records for frame in formatted(record)]
    assert sent(codec, waiting) == expected
    del waiting, first, entry
    for number in range(200, 260):
        learn(number)
    assert len(codec._compiled.by_number) < 60
    assert len(codec.call_sites._latest) < 60


def test_what_becomes_text_at_once_may_be_as_long_as_other_texts():
    """As the data of a task of Celery's."""
    record = make("task %s", ("x",), {"data": {"arguments": "a" * 500}})
    codec = codec_that_knows(record)
    entry, is_light = codec.entry(record, FORMATTER)
    assert is_compiled(entry)
    assert is_light
    assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (["a", 1], ["x" * 50_000] * 400),
        ((), ("x" * 50_000, b"") * 400),
        ({"a": 1}, dict.fromkeys(range(400), "x" * 50_000)),
        ([b""], [b"x" * 50_000] * 400),
        (b"", b"x" * 20_000_000),
        (KeyError("a"), KeyError(*["x" * 50_000] * 400)),
    ],
)
def test_what_says_that_it_is_too_long_is_not_made_a_text(short, long):
    """A container of one text, again and again, takes little memory; its text may take all."""
    for template in ["a=%s b=%d", "a %s %d", "a %r %d"]:
        codec = codec_that_knows(make(template, (short, 1)))
        assert is_compiled(codec.entry(make(template, (short, 1)), FORMATTER)[0])
        tracemalloc.start()
        assert codec.call_sites.entry(make(template, (long, 1))) is None
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000_000
