"""Lines that are too long for a packet: each packet is a line of key=value by itself."""

from __future__ import annotations

import logging
import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter, count, measure
from logplex_handler._formatting import long_lines
from logplex_handler._formatting.codec import Codec
from logplex_handler._wire.packet import PacketForm
from tests import strict
from tests.formatting.call_sites import DESTINATION, codec_that_knows, is_compiled
from tests.formatting.shared import FORGERIES, failure, record
from tests.logs import RESERVED

FORGED = " level=critical logger=auth measure#revenue=1000000 x"
HEAD = ("source", "level", "logger")
SMALL = PacketForm("host", "app", "web.1", 23, True, 2048)
LONGEST_HEADER = PacketForm("h" * 255, "a" * 48, "p" * 128, 23, True, 2048)


def packets_of(codec, entry, form=SMALL):
    """The texts of an entry's packets, strictly read."""
    texts = []
    for rendered in codec.render([entry], DESTINATION):
        for frame in rendered:
            (packet,) = strict.frames(frame)
            assert len(packet) <= form.max_packet_bytes
            texts.append(strict.packet(packet).text)
    return texts


def sent(given, formatter=None, form=SMALL):
    """The texts of a record's packets."""
    formatter = formatter or KeyValueFormatter()
    codec = Codec(form, formatter)
    entry, _ = codec.entry(given, formatter)
    return packets_of(codec, entry, form)


def lines_of(texts):
    """The parts of each line: what stands before `part`, and what stands behind it."""
    lines = []
    for text in texts:
        pairs = strict.pairs(text)
        keys = [key for key, _ in pairs]
        if "part" not in keys:
            lines.append([([], pairs)])
            continue
        assert keys.count("part") == 1
        place = keys.index("part")
        number, total = map(int, pairs[place][1].split("/"))
        if number == 1:
            lines.append([])
        lines[-1].append((pairs[:place], pairs[place + 1 :]))
        assert len(lines[-1]) == number <= total
        assert total > 1
    return lines


def joined(parts):
    """The values of each key, joined over the parts of a line."""
    values = {key: [value] for key, value in parts[0][0]}
    for head, pairs in parts:
        assert head == parts[0][0]
        for key, value in pairs:
            values.setdefault(key, []).append(value)
    return {key: "".join(pieces) for key, pieces in values.items()}


def whole(logged):
    """The values of each key of a line, joined."""
    values: dict[str, list[str]] = {}
    for key, value in logged:
        values.setdefault(key, []).append(value)
    return {key: "".join(pieces) for key, pieces in values.items()}


def as_sent(text):
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def check(given, formatter=None, form=SMALL):
    """Each packet is a line by itself with nothing that was not logged; returns their texts."""
    formatter = formatter or KeyValueFormatter()
    lines = as_sent(formatter.format(given)).split("\n")
    texts = sent(given, formatter, form)
    found = lines_of(texts)
    assert len(found) == len(lines)
    metrics = []
    for line, parts in zip(lines, found, strict=True):
        logged = strict.pairs(line)
        metrics += strict.metrics(logged)
        assert joined(parts) == whole(logged)
        for part in parts:
            pairs = [*part[0], *part[1]]
            assert {key for key, _ in pairs} <= {key for key, _ in logged}
            assert [pair for pair in pairs if pair[0] in HEAD] == [
                pair for pair in logged if pair[0] in HEAD
            ]
    sent_pairs = [[*head, *pairs] for parts in found for head, pairs in parts]
    assert [metric for pairs in sent_pairs for metric in strict.metrics(pairs)] == metrics
    return texts


LONG = [
    "x" * 5000,
    "é" * 3000,
    "日本" * 1500,
    "🎉" * 1500,
    '"' * 3000,
    "\\" * 3000,
    "\n" * 3000,
    "\x1b[2J" * 1000,
    "\x85" * 1000,
    "\ufeff" * 1000,
    "\ud800" * 1000,
    "x" * 2000 + FORGED,
    ("x" * 97 + FORGED) * 30,
    ("a=b count#x=5\n" + '" level=critical "') * 200,
    *[character * 2000 + FORGED for character in ("a", '"', "\\", "\x00", "é", "🎉")],
]


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize(
    ("message", "as_arguments", "as_extras"),
    [
        ("hello %s!", True, False),
        ("%s", True, False),
        ("user=%s done=%d", True, False),
        ("hello", False, True),
    ],
)
def test_no_value_forges_a_line(text, message, as_arguments, as_extras):
    """Neither as an argument of free text, nor of a pair, nor as an extra."""
    arguments = (text, 1)[: message.count("%")] if as_arguments else ()
    extra = {"ua": text, "n": 1} if as_extras else {"n": 1}
    assert len(check(record(message, *arguments, extra=extra))) > 1


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_neither_does_an_exception_or_its_traceback(text, exceptions):
    """In both forms of tracebacks."""
    formatter = KeyValueFormatter(source="us-east", exceptions=exceptions)
    check(record("failed", exc_info=failure(ValueError(text[:4000]))), formatter)


@pytest.mark.parametrize("text", LONG)
def test_neither_does_a_message_a_mapping_or_a_static_pair(text):
    """Whatever kind of value it is, and however many there are."""
    check(record(text))
    check(record({"ua": text, "path": text, "n": 1} | count("orders")))
    formatter = KeyValueFormatter(static={"team": "a b", "long": text, "request": lambda: text})
    check(record("hello %s", text, extra={"a": text} | measure("x", 1, "ms")), formatter)


def test_a_message_that_is_key_value_by_itself_is_cut_in_its_values():
    """As an f-string makes it."""
    texts = check(record("user=bob path=/" + "x" * 5000 + " status=200"))
    assert texts[0].startswith("level=info logger=shop part=1/3 user=bob path=")
    assert texts[-1].endswith('" status=200')


def test_a_value_is_cut_only_if_it_does_not_fit_in_a_packet():
    """Other pairs stay whole."""
    extra = {"a": "x" * 1000, "b": "y" * 1000, "c": 3}
    first, second = check(record("hello", extra=extra))
    assert first == f"level=info logger=shop part=1/2 msg=hello a={'x' * 1000}"
    assert second == f"level=info logger=shop part=2/2 b={'y' * 1000} c=3"


def test_each_part_repeats_the_head_and_goes_on_with_the_value():
    """The value is quoted in each part, under its own key."""
    formatter = KeyValueFormatter(source="us-east", static={"team": "a b"})
    first, second = check(record("hello", extra={"ua": "x" * 2500, "n": 1}), formatter)
    head = 'source=us-east team="a b" level=info logger=shop part='
    assert first.startswith(f'{head}1/2 msg=hello ua="xxx')
    assert second.startswith(f'{head}2/2 ua="xxx')
    assert second.endswith('xxx" n=1')


def test_a_callable_pair_is_repeated_like_the_other_static_pairs():
    """So that all parts of a request's line are found by its id."""
    formatter = KeyValueFormatter(
        static={"team": "a", "request": lambda: "r-1", "no": lambda: None}
    )
    codec = Codec(SMALL, formatter, own_formatter=lambda: formatter)
    entry, _ = codec.entry(record("hello", extra={"ua": "x" * 5000, "request": "y"}), formatter)
    texts = packets_of(codec, entry)
    head = "team=a level=info logger=shop request=r-1 part="
    assert len(texts) == 3
    assert all(text.startswith(head) for text in texts)
    assert texts[-1].endswith('xxx" request=y')


def test_thousands_of_short_pairs_stay_whole():
    """Parts are counted with as many digits as they need."""
    extra = {f"key{number}": number for number in range(5000)}
    texts = check(record("hello", extra=extra))
    assert len(texts) > 9
    assert sum(text.count(" key") for text in texts) == 5000


@pytest.mark.parametrize("parts", [9, 10, 99, 100])
def test_the_number_of_parts_is_right_where_it_gets_another_digit(parts):
    """It is part of each packet, so its digits take room."""
    room = len(sent(record("y" * 5000))[1]) - len('level=info logger=shop part=2/4 msg=""')
    for more in (-1, 0, 1, 2):
        texts = check(record("x" * (parts * room + more)))
        assert texts[0].startswith(f"level=info logger=shop part=1/{len(texts)} ")


@pytest.mark.parametrize("form", [SMALL, LONGEST_HEADER])
@pytest.mark.parametrize("length", [100, 700, 800, 1000, 1500, 3000, 30_000])
def test_a_head_that_is_too_long_is_not_repeated(form, length):
    """The pair that takes too much is written once, and cut if it does not fit."""
    formatter = KeyValueFormatter(source="us-east", static={"team": "t" * length, "a": 1})
    texts = sent(record("hello", extra={"ua": "x" * 5000}), formatter, form)
    found = [strict.pairs(text) for text in texts]
    assert "".join(value for pairs in found for key, value in pairs if key == "ua") == "x" * 5000
    for pairs in found:
        keys = [key for key, _ in pairs]
        assert [key for key in keys if key in HEAD] == [*HEAD]
        assert "a" in keys
    named = sent(record("hello " + "x" * 5000, name="n" * length), form=form)
    assert all(strict.pairs(text)[0] == ("level", "info") for text in named)
    leveled = record("hello " + "x" * 5000)
    leveled.levelname = "l" * length
    assert all(("logger", "shop") in strict.pairs(text) for text in sent(leveled, form=form))


def test_a_key_that_is_too_long_is_shortened():
    """It ends with an ellipsis, so that it is no key that anyone looks for."""
    key = "k" * 9000
    texts = sent(record("hello", extra={key: "x" * 3000, "é" * 3000: "", "n": 1}))
    read = [pair for text in texts for pair in strict.pairs(text)]
    values = {}
    for name, value in read:
        values[name] = values.get(name, "") + value
    (long,) = [name for name in values if name.startswith("kk")]
    assert long.endswith("k…")
    assert values[long] == "x" * 3000
    assert any(name.startswith("éé") and name.endswith("é…") for name in values)
    assert ("n", "1") in read


class Shouting(KeyValueFormatter):
    """A formatter of the application."""

    def format(self, record):
        return super().format(record).upper()


class Other(KeyValueFormatter):
    """A formatter whose text is no line of pairs."""

    def format(self, record):
        return f"note: {super().format(record)}"


def test_a_formatter_of_the_application_that_writes_pairs_is_cut_in_their_values():
    """It may have replaced something in the text."""
    texts = sent(record("hello", extra={"ua": "x" * 3000 + FORGED}), Shouting())
    assert all(strict.metrics(strict.pairs(text)) == [] for text in texts)


@pytest.mark.parametrize("formatter", [Other(), logging.Formatter("%(message)s")])
def test_other_text_is_cut_as_it_is(formatter):
    """As Heroku does with an app's own lines."""
    given = record("a=" + "é" * 3000)
    texts = sent(given, formatter)
    assert "".join(texts) == formatter.format(given)
    assert len(texts) > 1


def test_a_metric_that_does_not_fit_is_no_metric():
    """Consumers would count each piece; only a formatter of the application can write it."""
    line = b"level=info logger=shop measure#x=" + b"9" * 5000
    read = [strict.pairs(part.decode()) for part in map(b"".join, long_lines.parts([line], 1500))]
    assert all(strict.metrics(pairs) == [] for pairs in read)
    assert all(pairs[-1][0] == "measure_x" for pairs in read)


def test_a_record_of_a_compiled_call_site_is_cut_alike():
    """Escapes make a short value long."""
    text = "\x00" * 180
    extra = {"a": text + FORGED}
    given = record("%s and %s", text, "x", extra=extra)
    formatter = KeyValueFormatter()
    compiled = codec_that_knows(given, formatter=formatter, packet=SMALL)
    entry, _ = compiled.entry(given, formatter)
    plain = Codec(SMALL, formatter, may_compile=lambda: False)
    formatted, _ = plain.entry(given, formatter)
    assert is_compiled(entry)
    assert not is_compiled(formatted)
    texts = packets_of(compiled, entry)
    assert texts == packets_of(plain, formatted) == check(given)
    assert len(texts) == 2


@pytest.mark.parametrize("unit", ['"', "\\", '\\"', '" a="', 'x"', 'x y\n"', 'é"', "bare"])
def test_texts_that_a_compiled_call_site_has_escaped_are_cut_alike(unit):
    """Their escapes are not looked at again: quotes beside them are, and what follows them."""
    long, other = unit * (6000 // len(unit)), unit * (5000 // len(unit))
    given = record('said "%s" and "%s" \\', long, other, extra={"a": long, "b": other, "c": 'd"'})
    formatter = KeyValueFormatter()
    compiled = codec_that_knows(given, formatter=formatter, packet=SMALL)
    entry, _ = compiled.entry(given, formatter)
    assert is_compiled(entry)
    assert packets_of(compiled, entry) == check(given)


def test_a_drop_notice_is_cut_alike():
    """Its static pairs may be long, and its causes many."""
    formatter = KeyValueFormatter(static={"team": "x" * 3000 + FORGED})
    codec = Codec(SMALL, formatter, own_formatter=lambda: formatter)
    frames = codec.drop_notice(Counter({"buffer_full": 17}), DESTINATION)
    read = [strict.pairs(strict.packet(strict.frames(frame)[0]).text) for frame in frames]
    assert len(read) > 1
    assert [metric.value for pairs in read for metric in strict.metrics(pairs)] == [17]


PIECES = st.sampled_from(
    [*'a é日🎉"\\=\n\x00\x1b\x7f\x85\ufeff\ud800', "\\u00", '\\"', FORGED, *FORGERIES]
) | st.text(max_size=5)
# Pieces and how often each comes: the texts are too long for the report of a failure.
RUNS = st.lists(
    st.tuples(PIECES, st.sampled_from([1, 1, 2, 3, 50, 400, 900])), min_size=1, max_size=5
)


def text_of(runs):
    return "".join(piece * times for piece, times in runs)


KEYS = st.sampled_from(["ua", "path", "order.id", "a", "k" * 100]) | st.text(
    min_size=1, max_size=8
).filter(lambda name: name not in RESERVED | {"ua"})
FORMS = st.builds(
    PacketForm,
    st.sampled_from(["h", "h" * 255]),
    st.sampled_from(["app", "t." + "a" * 46]),
    st.sampled_from(["web.1", "p" * 128]),
    st.just(23),
    st.booleans(),
    st.integers(2048, 10_240),
)
FORMATTERS = st.builds(
    KeyValueFormatter,
    source=st.sampled_from([None, "us-east"]),
    static=st.dictionaries(st.sampled_from(["team", "app"]), st.text(max_size=20), max_size=2),
    exceptions=st.sampled_from(["inline", "lines"]),
)
MESSAGES = st.sampled_from(
    [("hello", 0), ("%s", 1), ("to %s, by %s", 2), ("user=%s", 1), ("a=%s b=<%s> c=x", 2)]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    MESSAGES,
    RUNS,
    st.dictionaries(KEYS, RUNS, max_size=2),
    st.sampled_from([None, measure("web.latency", 4, "ms"), count("a") | count("b", 2)]),
    FORMATTERS,
    FORMS,
    st.booleans(),
)
def test_whatever_is_logged_every_packet_is_a_line_by_itself(
    message, runs, extra, metrics, formatter, form, fails
):
    """With values, keys, formatters and packets of all kinds."""
    text = text_of(runs)
    extra = {name: text_of(value) for name, value in extra.items()}
    template, arguments = message
    given = record(
        template,
        *(text, "x")[:arguments],
        extra=extra | (metrics or {}),
        # Each line of the text would repeat all of the others.
        exc_info=failure(ValueError(text.replace("\n", ""))) if fails else None,
    )
    if form.structured_data:
        check(given, formatter, form)
    else:
        # Without structured data the strict reader reads no packet.
        body = formatter.format(given).encode("utf-8", "replace")
        parts = map(b"".join, long_lines.parts([body], form.room))
        assert all(len(part) <= form.room for part in parts)


@settings(max_examples=150)
@given(RUNS, st.integers(1000, 3000))
def test_a_value_is_never_cut_within_a_character_or_an_escape(runs, room):
    """The pieces are read one by one."""
    text = text_of(runs)
    line = KeyValueFormatter().format(record("x", extra={"v": as_sent(text)}))
    parts = [b"".join(part).decode() for part in long_lines.parts([line.encode()], room)]
    assert all(len(part.encode()) <= room for part in parts)
    values = [value for part in parts for key, value in strict.pairs(part) if key == "v"]
    assert "".join(values) == as_sent(text)
