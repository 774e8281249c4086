"""How a text becomes packets and frames: exact bytes, sizes, cuts, header fields."""

from __future__ import annotations

import itertools
import re
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler._wire import packet
from logplex_handler._wire.packet import PacketForm
from tests import strict

# 2013-03-27T20:02:24+00:00, the time in the documents' examples.
CREATED = 1_364_414_544
INFO = 20
BOM = "\ufeff"
APP_ID = "01234567-89ab-cdef-0123-456789abcdef"


def form(*, hostname="h", appname="app", procid="p", facility=23, data=True, most=10_000):
    """A form with short fields."""
    return PacketForm(hostname, appname, procid, facility, data, most)


def texts(made, text, *, level=INFO):
    """The texts of a text's packets, read strictly."""
    body = b"".join(made.frames(CREATED, level, text))
    packets = strict.frames(body)
    assert all(len(packet) <= made.max_packet_bytes for packet in packets)
    return [strict.packet(packet).text for packet in packets]


# The bytes. Lengths counted by hand: 7 for "<190>1 ", 33 for the time and its space, then each
# field with its space, 4 for "- - ", the text, 1 for the newline.


def test_the_form_of_2024():
    """The app's id and the word `app`: 7 + 33 + 37 + 4 + 7 + 4 + 3 + 1 = 96."""
    made = form(hostname=APP_ID, procid="procid")
    assert made.frames(CREATED, INFO, "foo") == [
        b"96 <190>1 2013-03-27T20:02:24.000000+00:00 "
        b"01234567-89ab-cdef-0123-456789abcdef app procid - - foo\n"
    ]


def test_the_length_in_the_document_of_2024_counts_the_newline():
    """Its 89 is right for its packet and the newline; the six digits and their point make 96."""
    made = form(hostname=APP_ID, procid="procid")
    (frame,) = made.frames(CREATED, INFO, "foo")
    documented = (
        b"<190>1 2013-03-27T20:02:24+00:00 01234567-89ab-cdef-0123-456789abcdef app procid - - foo"
    )
    assert len(documented) == 88
    assert frame == b"96 " + documented.replace(b"24+", b"24.000000+") + b"\n"
    assert 89 == 96 - len(".000000") == len(documented) + 1


def test_the_form_of_2013():
    """The service's name and the token: 7 + 33 + 11 + 39 + 6 + 4 + 3 + 1 = 104."""
    made = form(hostname="postgresql", appname=f"t.{APP_ID}", procid="web.1")
    assert made.frames(CREATED, INFO, "foo") == [
        b"104 <190>1 2013-03-27T20:02:24.000000+00:00 postgresql "
        b"t.01234567-89ab-cdef-0123-456789abcdef web.1 - - foo\n"
    ]


def test_lengths_are_counted_in_bytes():
    """2 + 3 + 4 bytes of three characters: 7 + 33 + 2 + 4 + 2 + 4 + 9 + 1 = 62."""
    assert form().frames(CREATED, INFO, "é€🎉") == [
        b"62 <190>1 2013-03-27T20:02:24.000000+00:00 h app p - - "
        b"\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x89\n"
    ]


def test_without_structured_data_its_dash_is_left_out():
    """For drains' receivers that show it: 7 + 33 + 2 + 4 + 2 + 2 + 3 + 1 = 54."""
    assert form(data=False).frames(CREATED, INFO, "foo") == [
        b"54 <190>1 2013-03-27T20:02:24.000000+00:00 h app p - foo\n"
    ]


def test_an_empty_text_is_a_packet():
    """7 + 33 + 2 + 4 + 2 + 4 + 0 + 1 = 53, with the space that ends the header."""
    assert form().frames(CREATED, INFO, "") == [
        b"53 <190>1 2013-03-27T20:02:24.000000+00:00 h app p - - \n"
    ]


def test_frames_follow_each_other_without_a_gap():
    """Two lines are two frames, each with the whole header and one newline."""
    assert b"".join(form().frames(CREATED, 50, "a\nbc")) == (
        b"54 <186>1 2013-03-27T20:02:24.000000+00:00 h app p - - a\n"
        b"55 <186>1 2013-03-27T20:02:24.000000+00:00 h app p - - bc\n"
    )


# Priorities


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        *[(-100, 7), (0, 7), (5, 7), (9, 7), (10, 7), (15, 7), (19, 7)],
        *[(20, 6), (21, 6), (25, 6), (29, 6), (30, 4), (35, 4), (39, 4)],
        *[(40, 3), (45, 3), (49, 3), (50, 2), (51, 2), (60, 2), (10**9, 2)],
    ],
)
def test_a_level_has_the_severity_of_the_named_one_below(level, severity):
    """DEBUG 7, INFO 6, WARNING 4, ERROR 3, CRITICAL 2, and 7 below DEBUG too."""
    assert packet.severity(level) == severity


@pytest.mark.parametrize("facility", range(24))
def test_the_priority_is_facility_and_severity(facility):
    """Eight times the one and the other."""
    (frame,) = form(facility=facility).frames(CREATED, 30, "x")
    read = strict.packet(strict.frames(frame)[0])
    assert (read.facility, read.severity) == (facility, 4)


# Times


@pytest.mark.parametrize(
    ("created", "text"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (CREATED, "2013-03-27T20:02:24.000000+00:00"),
        (CREATED + 0.5, "2013-03-27T20:02:24.500000+00:00"),
        (CREATED + 0.000001, "2013-03-27T20:02:24.000001+00:00"),
        (CREATED + 0.123456, "2013-03-27T20:02:24.123456+00:00"),
        (CREATED + 0.1234564, "2013-03-27T20:02:24.123456+00:00"),
        (CREATED + 0.1234567, "2013-03-27T20:02:24.123457+00:00"),
        (CREATED + 0.9999992, "2013-03-27T20:02:24.999999+00:00"),
        (CREATED + 0.9999997, "2013-03-27T20:02:25.000000+00:00"),
        (1_388_534_399.9999997, "2014-01-01T00:00:00.000000+00:00"),
        (1_709_164_799.9999997, "2024-02-29T00:00:00.000000+00:00"),
        (1_709_251_199.5, "2024-02-29T23:59:59.500000+00:00"),
        (253_402_300_799, "9999-12-31T23:59:59.000000+00:00"),
    ],
)
def test_times_are_utc_with_six_digits(created, text):
    """Rounded to the microsecond, across a second, a day and a year too; `+00:00` is literal."""
    assert packet.timestamp(created) == text


def test_times_do_not_depend_on_the_local_zone(monkeypatch):
    """The machine may stand anywhere."""
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    time.tzset()
    try:
        assert packet.timestamp(CREATED + 86_400) == "2013-03-28T20:02:24.000000+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@settings(max_examples=500)
@given(st.floats(0, 4e9))
def test_no_time_is_off_by_more_than_half_a_microsecond(created):
    """Except for a rounding error of at most a quarter."""
    text = packet.timestamp(created)
    (only,) = strict.frames(form().frames(created, INFO, "")[0])
    assert strict.packet(only).time == text
    seconds = packet.timestamp(int(created))[:19]
    whole = int(created) + (text[:19] != seconds)
    shown = whole + Decimal(text[19:26])
    assert abs(shown - Decimal(created)) <= Decimal("0.00000075")


# Fields


@pytest.mark.parametrize(
    ("text", "dashes", "field"),
    [
        ("web.1", True, "web.1"),
        ("Web.1", True, "web.1"),
        ("heroku-postgres", True, "heroku-postgres"),
        ("heroku-postgres", False, "heroku.postgres"),
        ("my_app", True, "my-app"),
        ("my_app", False, "my.app"),
        ("a b\tc\nd", True, "a-b-c-d"),
        ("x]: forged", True, "x---forged"),
        ("größe", True, "gr--e"),
        ("日本x", True, "--x"),
        ("x\x00\x1b\x7f\x85", True, "x----"),
        ("x\ud800", True, "x-"),
        ("", True, ""),
        ("-", True, ""),
        ("...", True, ""),
        ("日本", True, ""),
        ("日本", False, ""),
    ],
)
def test_fields_are_made_safe(text, dashes, field):
    """Lower-case letters, digits, points and dashes; empty if nothing is usable."""
    assert packet.field(text, 15, dashes=dashes) == field


@pytest.mark.parametrize(
    ("text", "field"), [("abcdef", "abcde"), ("abcd", "abcd"), ("-----x", ""), ("İİİİİİ", "i-i-i")]
)
def test_fields_are_cut_to_size(text, field):
    """After unusable characters are replaced, and before it is checked whether any are left."""
    assert packet.field(text, 5) == field


@settings(max_examples=300)
@given(st.text(), st.integers(1, 50), st.booleans())
def test_no_field_is_more_than_readers_take(text, longest, dashes):
    """Only characters remain that every reader accepts, and never only dashes and points."""
    field = packet.field(text, longest, dashes=dashes)
    assert len(field) <= longest
    assert re.fullmatch(r"[a-z0-9.-]*" if dashes else r"[a-z0-9.]*", field)
    assert not field or field.strip("-.")


def test_a_form_shows_nothing_of_itself():
    """Its appname may be the token."""
    made = form(appname="t.secret", hostname="h.secret")
    assert "secret" not in f"{made!r}{made}"


# What a packet must not hold


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\rb", r"a\rb"),
        ("a\r\nb", r"a\r\nb"),
        ("a\tb", "a\tb"),
        ("a\x00b", r"a\u0000b"),
        ("\x1b[31mred\x1b[0m", r"\u001b[31mred\u001b[0m"),
        ("a\x7fb", r"a\u007fb"),
        ("a\x85b", r"a\u0085b"),
        ("a\x9fb", r"a\u009fb"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        (BOM, r"\ufeff"),
        (f"{BOM}a{BOM}", rf"\ufeffa{BOM}"),
        (f"a{BOM}", f"a{BOM}"),
        ("naïve 日本 🎉 \u2028\u202e\xa0", "naïve 日本 🎉 \u2028\u202e\xa0"),
        ("", ""),
    ],
)
def test_one_line_makes_visible_what_a_packet_must_not_hold(text, shown):
    """Controls but tab, lone surrogates, and a byte order mark where it comes first."""
    assert packet.one_line(text) == shown


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_no_character_makes_a_packet_malformed(code):
    """Each of them, first, last and alone, is in packets that a strict reader reads."""
    for text in (chr(code), f"{chr(code)}x", f"x{chr(code)}", f"x{chr(code)}y"):
        assert len(texts(form(), text)) == (2 if chr(code) == "\n" else 1)


@settings(max_examples=500)
@given(st.text())
def test_no_text_makes_a_packet_malformed(text):
    """Any text: one packet for each of its lines."""
    assert len(texts(form(), text)) == text.count("\n") + 1


# Cuts


def test_a_text_that_just_fits_is_one_packet():
    """The largest packet has exactly the bytes allowed."""
    made = form(most=2048)
    (frame,) = made.frames(CREATED, INFO, "x" * made.room)
    assert len(strict.frames(frame)[0]) == 2048
    assert [len(text) for text in texts(made, "x" * (made.room + 1))] == [made.room, 1]


@pytest.mark.parametrize("data", [True, False])
def test_room_is_what_the_longest_header_leaves(data):
    """With fields of the longest sizes the smallest packet has room for a line of metrics."""
    made = form(hostname="h" * 255, appname="a" * 48, procid="p" * 128, data=data, most=2048)
    (frame,) = made.frames(CREATED, 0, "x" * made.room)
    assert len(frame) == len("2048 ") + 2048
    assert made.room >= 1000


@pytest.mark.parametrize("character", ["x", "é", "€", "🎉"])
@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("filler", ["x", "é", "€", "🎉"])
def test_a_text_is_cut_between_characters(character, before, filler):
    """At every offset: no character is torn, no packet has room left for the next one."""
    made = form(most=2048)
    count = (made.room - before) // len(filler.encode())
    text = filler * count + character * 5 + "abc"
    found = texts(made, text)
    assert "".join(found) == text
    assert len(found) == -(-len(text.encode()) // made.room)
    for piece, following in itertools.pairwise(found):
        assert len((piece + following[0]).encode()) > made.room


@pytest.mark.parametrize("most", [2048, 8192, 10_000, 10_240])
def test_a_long_text_goes_in_many_packets_with_the_whole_header(most):
    """Their texts join to the whole, in order."""
    made = form(most=most)
    text = "".join(f"{number} é€🎉 " for number in range(10_000))
    found = texts(made, text)
    assert "".join(found) == text
    assert len(found) > len(text) // most


@pytest.mark.parametrize("before", range(13))
@pytest.mark.parametrize("marks", [1, 2, 3, 100])
@pytest.mark.parametrize("filler", ["x", "é", "€", "🎉"])
def test_a_byte_order_mark_is_never_first(before, marks, filler):
    """A cut that would put one first is made before the character before it."""
    made = form(most=2048)
    text = filler * ((made.room - before) // len(filler.encode())) + BOM * marks + "y" * 20
    found = texts(made, text)
    assert "".join(found) == text


@pytest.mark.parametrize("first", ["x", "é", "€", "🎉"])
@pytest.mark.parametrize("before", [0, 5000])
def test_more_byte_order_marks_than_a_packet_holds_come_to_an_end(first, before):
    """Every cut makes progress, and where one must stand before a mark, U+FFFD takes its place."""
    made = form(most=2048)
    text = "x" * before + first + BOM * 3000 + "y"
    frames = made.frames(CREATED, INFO, text)
    header = made.frames(CREATED, INFO, "")[0].split(b" ", 1)[1][:-1]
    pieces = [frame.split(b" ", 1)[1][len(header) : -1] for frame in frames]
    assert not any(piece.startswith(BOM.encode()) for piece in pieces)
    whole = "".join(piece.decode() for piece in pieces)
    assert whole.replace("\ufffd", BOM) == text
    assert whole.count("\ufffd") < len(pieces)
    assert all(pieces)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*"x\téé€🎉", "\u2028"]), st.integers(1, 30), st.sampled_from([0, 1, 2])
        ),
        max_size=30,
    ),
    st.integers(16, 40),
)
def test_whatever_the_text_its_packets_join_to_it(runs, room):
    """Any mixture of 1 to 4 byte characters and marks, in packets of any size."""
    text = "".join(character * count + BOM * marks for character, count, marks in runs)
    made = form(most=form().max_packet_bytes - form().room + room)
    found = texts(made, text)
    assert "".join(found) == text
    assert len(found) == 1 or all(found)


def test_each_line_of_a_text_is_cut_by_itself():
    """The second line begins in a packet of its own."""
    made = form(most=2048)
    found = texts(made, "a" * (made.room + 3) + "\n" + "b" * 5)
    assert found == ["a" * made.room, "aaa", "bbbbb"]


@pytest.mark.parametrize(
    ("length", "lines", "count"), [(0, 1, 1), (10, 1, 1), (10, 3, 3), (5000, 1, 3), (5000, 2, 6)]
)
def test_the_number_of_packets_is_known_before_they_are_made(length, lines, count):
    """Of ASCII text it is right."""
    made = form(most=2048)
    text = "\n".join(["x" * length] * lines)
    assert made.count(text) == len(made.frames(CREATED, INFO, text)) == count
