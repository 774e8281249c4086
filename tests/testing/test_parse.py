"""The strict parser: what it accepts, what it rejects, and its error messages."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler.testing._text_parser import Metric, parse_metric, parse_pairs
from logplex_handler.testing.wire_parser import Malformed, Packet, parse_packet, split_frames

GOOD = b"<190>1 2013-03-27T20:02:24.000000+00:00 host app web.1 - - foo\n"


def test_frames_come_apart_by_their_lengths_in_bytes():
    """A packet of non-ASCII text is counted in bytes, and frames keep their order."""
    euro = "€\n".encode()
    assert split_frames(b"4 " + euro + b"1 x") == [euro, b"x"]


def test_an_empty_body_has_no_frames():
    """Nothing is not malformed."""
    assert split_frames(b"") == []


def test_a_packet_may_have_10240_bytes():
    """The limit itself is allowed."""
    assert split_frames(b"10240 " + b"x" * 10240) == [b"x" * 10240]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"x", "byte 0: a frame must begin with its length"),
        (b"1 x\n", "byte 3: a frame must begin with its length"),
        (b"1 x 1 y", "byte 3: a frame must begin with its length"),
        (b" 1 x", "byte 0: a frame must begin with its length"),
        (b"+1 x", "byte 0: a frame must begin with its length"),
        (b"0 1 x", "byte 0: a frame length must not begin with a zero"),
        (b"1 x01 y", "byte 3: a frame length must not begin with a zero"),
        (b"1", "byte 1: one space must follow"),
        (b"1\tx", "byte 1: one space must follow"),
        (b"10241 " + b"x" * 10241, "byte 0: a packet is longer than 10240"),
        (b"9" * 5000 + b" x", "byte 0: a packet is longer than 10240"),
        (b"1 x3 y", "byte 5: the frame length is 3, but only 1 bytes follow"),
    ],
)
def test_a_framing_fault_is_told_by_offset_and_rule(body, complaint):
    """Each rule of octet counting has its own words and the byte where it is broken."""
    with pytest.raises(Malformed, match=complaint):
        split_frames(body)


@given(st.lists(st.binary(min_size=1, max_size=300)))
def test_any_packets_framed_come_back_as_they_were(packets):
    """Octet counting is transparent to every byte."""
    assert split_frames(b"".join(b"%d %s" % (len(p), p) for p in packets)) == packets


def test_a_packet_comes_apart_into_its_fields():
    """The newline that ends a packet is no part of its text."""
    packet = parse_packet(GOOD)
    assert packet == Packet(
        190, "2013-03-27T20:02:24.000000+00:00", "host", "app", "web.1", "-", "-", "foo"
    )
    assert (packet.facility, packet.severity) == (23, 6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<190>", b"<0>"),
        (b"<190>", b"<191>"),
        (b"2013-03-27", b"2024-02-29"),
        (b"host", b"h" * 255),
        (b"app", b"a" * 48),
        (b"web.1", b"!" + b"~" * 127),
        (b"foo", b""),
        (b"foo", b"a\tb"),
        (b"foo", "grün €".encode()),
    ],
)
def test_the_limits_of_a_packet_are_allowed(old, new):
    """Every field may be as long or as odd as its rule says."""
    given = GOOD.replace(old, new)
    packet = parse_packet(given)
    fields = (packet.timestamp, packet.hostname, packet.appname, packet.procid, packet.msgid)
    rest = f"{packet.structured_data} {packet.text}\n"
    assert f"<{packet.priority}>1 {' '.join(fields)} {rest}".encode() == given


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"<190>", b"<192>", "byte 0: priority must be <0> to <191>"),
        (b"<190>", b"<06>", "byte 0: priority"),
        (b"<190>", b"", "byte 0: priority"),
        (b">1 ", b">2 ", "byte 5: version"),
        (b"+00:00", b"Z", "byte 7: time must have the form"),
        (b"+00:00", b"+0000", "byte 7: time must have the form"),
        (b"+00:00", b"+01:00", "byte 7: time must have the form"),
        (b".000000", b".000", "byte 7: time must have the form"),
        (b".000000", b".000000000", "byte 7: time must have the form"),
        (b"20:02:24", b"24:02:24", "byte 7: time must have the form"),
        (b"20:02:24", b"20:02:60", "byte 7: time must have the form"),
        (b"2013-03-27", b"2013-02-29", "byte 7: time must be a date of the calendar"),
        (b"host", b"h" * 256, "byte 40: hostname"),
        (b"host", b"", "byte 40: hostname"),
        (b"host", "hö".encode(), "byte 40: hostname"),
        (b"app", b"a" * 49, "byte 45: appname"),
        (b"web.1", b"p" * 129, "byte 49: procid"),
        (b"web.1 -", b"web.1 ID47", "byte 55: msgid must be -"),
        (b"- - foo", b"- foo", "byte 57: structured data must be -"),
        (b"- - foo", b'- [a b="c"] foo', "byte 57: structured data must be -"),
        (b"foo\n", b"foo", "byte 62: text must end with the only newline"),
        (b"foo\n", b"foo\n\n", "byte 62: text must end with the only newline"),
        (b"foo", b"fo\no", "byte 61: text must end with the only newline"),
        (b"foo", b"fo\ro", "byte 61: text must not hold the control 0x0d"),
        (b"foo", b"\0", "byte 59: text must not hold the control 0x00"),
        (b"foo", b"a\x1bb", "byte 60: text must not hold the control 0x1b"),
        (b"foo", b"a\x7fb", "byte 60: text must not hold the control 0x7f"),
        (b"foo", b"ab\xff", "byte 61: text must be UTF-8"),
        (b"foo", b"\xed\xa0\x80", "byte 59: text must be UTF-8"),
        (b"foo", b"\xef\xbb\xbffoo", "byte 59: text must not begin with a byte order mark"),
    ],
)
def test_a_fault_in_a_packet_is_told_by_offset_and_rule(old, new, complaint):
    """Each rule of the packet has its own words and the byte where it is broken."""
    with pytest.raises(Malformed, match=complaint):
        parse_packet(GOOD.replace(old, new))


@given(st.binary())
def test_any_bytes_are_a_packet_or_malformed(junk):
    """No input makes the reader fail in another way."""
    for packet in (junk, GOOD[:-4] + junk):
        try:
            text = parse_packet(packet).text
        except Malformed:
            continue
        assert packet.endswith(text.encode() + b"\n")


def test_an_error_does_not_quote_what_was_read():
    """A token in a malformed packet stays out of the message."""
    token = "t.01234567-89ab-cdef-0123-456789abcdef"
    with pytest.raises(Malformed) as caught:
        parse_packet(GOOD.replace(b"app", token.encode() * 2))
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=b", [("a", "b")]),
        ("source=us measure#x=4ms", [("source", "us"), ("measure#x", "4ms")]),
        ('a=""', [("a", "")]),
        ('a="b c=d" e=f', [("a", "b c=d"), ("e", "f")]),
        (r'a="\"\\\n\r\t\u001b\u007F"', [("a", '"\\\n\r\t\x1b\x7f')]),
        (r'a="\\n"', [("a", "\\n")]),
        ("a=1 a=2", [("a", "1"), ("a", "2")]),
        ("grün=€", [("grün", "€")]),
    ],
)
def test_pairs_come_apart_with_escapes_undone(text, pairs):
    """Bare and quoted values, in order, doubles included."""
    assert parse_pairs(text) == pairs


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a", "character 0: a pair must begin with a key and ="),
        ("=b", "character 0: a pair must begin with a key and ="),
        (" a=b", "character 0: a pair must begin with a key and ="),
        ("a=b ", "character 4: a pair must begin with a key and ="),
        ("a=b  c=d", "character 4: a pair must begin with a key and ="),
        ("a=b\nc=d", "character 2: a bare value"),
        ("a\tb=c", "character 0: a pair must begin with a key and ="),
        ("a=", "character 2: a bare value must not be empty"),
        ("a= b=c", "character 2: a bare value must not be empty"),
        ("a='b'", "character 2: a bare value must not be empty, begin with an apostrophe"),
        ("a=b=c", "character 2: a bare value"),
        ('a=b"c', "character 2: a bare value"),
        ("a=b\\c", "character 2: a bare value"),
        ('a="b', "character 2: a quoted value must end with a quote"),
        ('a="' + "b" * 10_000, "character 2: a quoted value must end with a quote"),
        (r'a="\x41"', "character 3: a quoted value holds an unknown escape"),
        (r'a="b\u0141"', "character 4: a quoted value holds an unknown escape"),
        ('a="b\\', "character 4: a quoted value holds an unknown escape"),
        ('a="b\nc"', "character 4: a quoted value must not hold a raw control"),
        ('a="b\tc"', "character 4: a quoted value must not hold a raw control"),
        ('a="b"c=d', "character 5: one space or the end must follow"),
    ],
)
def test_a_fault_in_pairs_is_told_by_offset_and_rule(text, complaint):
    """Each rule of key=value has its own words and the character where it is broken."""
    with pytest.raises(Malformed, match=complaint):
        parse_pairs(text)


def _quoted(value: str) -> str:
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(
        named.get(c) or (f"\\u00{ord(c):02x}" if c < " " or c == "\x7f" else c) for c in value
    )


KEYS = st.text(min_size=1).map(lambda key: "".join(c for c in key if c > " " and c not in '="\x7f'))


@given(st.lists(st.tuples(KEYS.filter(bool), st.text())))
def test_quoted_pairs_come_back_as_they_were(pairs):
    """Whatever a value holds survives quoting and reading."""
    text = " ".join(f'{key}="{_quoted(value)}"' for key, value in pairs)
    assert parse_pairs(text) == pairs


@pytest.mark.parametrize(
    ("key", "value", "metric"),
    [
        ("measure#web.latency", "4ms", Metric("measure", "web.latency", Decimal(4), "ms")),
        ("sample#memory_total", "21.00MB", Metric("sample", "memory_total", Decimal(21), "MB")),
        ("sample#cache-hit-rate", "0.99", Metric("sample", "cache-hit-rate", Decimal("0.99"), "")),
        ("count#x", "0.123456", Metric("count", "x", Decimal("0.123456"), "")),
    ],
)
def test_a_metric_has_kind_name_number_and_unit(key, value, metric):
    """Real lines of Heroku's own services are read."""
    assert parse_metric(key, value) == metric


@pytest.mark.parametrize("key", ["measure", "measure#", "Measure#x", "x.measure#y", "gauge#x", ""])
def test_other_keys_are_no_metrics(key):
    """The kind is one of three, in lower case, at the start, and has a name."""
    with pytest.raises(Malformed, match="the key must be"):
        parse_metric(key, "1")


@pytest.mark.parametrize(
    "value",
    ["", "ms", "-5", "+5", "NaN", "1e3", "1e-05", "1,000", "0x10", "1.", ".5", "0.1234567", "4 ms",
     "4ms2", "4%", "True", "٣"],
)  # fmt: skip
def test_a_number_that_l2met_would_misread_is_malformed(value):
    """Exponents, signs, separators and odd units are refused."""
    with pytest.raises(Malformed, match="the value must be digits"):
        parse_metric("count#x", value)
