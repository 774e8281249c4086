"""The grammar of a line: quoting, escaping, and characters that are removed."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler._formatting import grammar
from logplex_handler._formatting.value_text import text_of
from tests import strict

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def named(characters):
    """Ids that a terminal can show."""
    return [f"U+{ord(character):04X}" for character in characters]


@pytest.mark.parametrize(
    "text",
    ["bob", "4ms", "/path?x", "a,b;c", "it's", "100%", "é", "日本", "🎉", "\u2028", "\xa0", "a#b"],
)
def test_what_no_reader_stumbles_over_stays_bare(text):
    """A value without spaces, quotes, `=`, backslashes and controls is written as it is."""
    assert grammar.quote(text) == text


def test_an_empty_value_is_a_pair_of_quotes():
    """A bare empty value would be lost, or read as 1 in a metric."""
    assert grammar.quote("") == '""'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a b", '"a b"'),
        ("'", '"\'"'),
        ("'a'", "\"'a'\""),
        ("'" + "é" * 100, "\"'" + "é" * 100 + '"'),
        (" ", '" "'),
        ("a=b", '"a=b"'),
        ('"', r'"\""'),
        ('say "hi"', r'"say \"hi\""'),
        ("\\", r'"\\"'),
        ("C:\\temp\\new", r'"C:\\temp\\new"'),
        ("a\nb", r'"a\nb"'),
        ("a\rb", r'"a\rb"'),
        ("a\tb", r'"a\tb"'),
        ("\x00", r'"\u0000"'),
        ("\x1b[31m", r'"\u001b[31m"'),
        ("\x7f", r'"\u007f"'),
        ("a\x85b", r'"a\u0085b"'),
        ("naïve 日本 🎉", '"naïve 日本 🎉"'),
    ],
)
def test_quotes_and_escapes_are_those_that_all_readers_know(text, written):
    """Inside of double quotes only the named escapes and `\\u00XX` are written."""
    assert grammar.quote(text) == written


@pytest.mark.parametrize("character", CONTROLS, ids=named(CONTROLS))
def test_every_control_character_is_escaped(character):
    """No control character stands raw in a value, and each comes back as itself."""
    written = grammar.quote(f"a{character}b")
    assert not any(unicodedata.category(c) == "Cc" for c in written)
    assert strict.pairs(f"k={written}") == [("k", f"a{character}b")]


@pytest.mark.parametrize("length", [1, 129, 641, 1001, 2001])
def test_a_text_of_any_length_is_written_in_the_same_way(length):
    """Long texts are searched in other ways than short ones, and rendered in bytes."""
    before = "a" * length
    for character in ("", *CONTROLS, '"', "\\", "'", "=", " ", "é", "\xa0", "日", "\\\n"):
        text = before + character
        assert grammar.escape(text) == before + grammar.escape(character)
        is_bare = grammar.quote(character + "a")[0] != '"' or character == "'"
        assert grammar.quote(text) == (text if is_bare else f'"{grammar.escape(text)}"')
        for one in (text, character + before):
            assert grammar.escape_in_bytes(one) == grammar.escape(one).encode()
            assert grammar.quote_in_bytes(one) == grammar.quote(one).encode()
    assert grammar.escape(before + "\ud800") == before + "\ud800"
    with pytest.raises(UnicodeEncodeError):
        grammar.escape_in_bytes(before + "\ud800")


@pytest.mark.parametrize("length", [500, 900, 3000])
@pytest.mark.parametrize("text", ['"a": 1, ', 'said "a"\n', "a\n\n", "\\", '"\b', '\x7f""', '"é" '])
def test_texts_with_many_escapes_are_written_like_those_with_few(text, length):
    """However they are replaced."""
    text *= length // len(text)
    expected = "".join([grammar.escape(character) for character in text])
    assert grammar.escape(text) == expected
    assert grammar.escape_in_bytes(text) == expected.encode()
    assert grammar.quote_in_bytes(text) == f'"{expected}"'.encode()


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("plain", "plain"),
        (r"a\"b", 'a"b'),
        (r"a\\b", "a\\b"),
        (r"a\\nb", "a\\nb"),
        (r"a\nb\rc\td", "a\nb\rc\td"),
        (r"\u001b\u001B", "\x1b\x1b"),
        (r"\u00e9", "é"),
    ],
)
def test_unescape_is_what_quote_escaped(inside, text):
    """Each escape of the grammar becomes its character again."""
    assert grammar.unescape(inside) == text


@pytest.mark.parametrize("inside", [r"\x41", r"\a", r"\e", r"\u0141", r"\u12", r"ok \n \q"])
def test_an_escape_of_another_grammar_is_not_guessed(inside):
    """An unknown escape gives None rather than a guess."""
    assert grammar.unescape(inside) is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("user", "user"),
        ("order.id", "order.id"),
        ("größe", "größe"),
        ("a b", "ab"),
        ("a=b", "ab"),
        ('a"b', "ab"),
        ("a\nb", "ab"),
        ("a\x7fb\x85c", "abc"),
        ("x=1 admin", "x1admin"),
        ("", "_"),
        ('= "', "_"),
        (7, "7"),
        (None, "null"),
        (True, "true"),
    ],
)
def test_keys_lose_what_would_end_them(name, written):
    """A key has no separators, quotes or control characters; it is `_` if nothing is left."""
    assert grammar.key(name) == written


@pytest.mark.parametrize("character", CONTROLS, ids=named(CONTROLS))
def test_no_control_character_stays_in_a_key(character):
    """Each of them is stripped."""
    assert grammar.key(f"a{character}b") == "ab"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("count#x", "count_x"),
        ("measure#web.latency", "measure_web.latency"),
        ("sample#", "sample_"),
        ("co unt#x", "count_x"),
        ("\x00count#x", "count_x"),
        ("count#count#x", "count_count#x"),
        ("recount#x", "recount#x"),
        ("counter#x", "counter#x"),
        ("a#b", "a#b"),
    ],
)
def test_a_key_is_never_a_metric(name, written):
    """A key that a consumer would read as a metric loses its `#`, also after cleaning."""
    assert grammar.key(name) == written


class Unprintable:
    """Something whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


class Text(str):
    """A string that says something else of itself."""

    __slots__ = ()

    def __str__(self):
        return "another"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        ("None", "None"),
        (Decimal("1.10"), "1.10"),
        ([1, "a"], '[1,"a"]'),
        (b"x", "b'x'"),
        (Text("one"), "another"),
        (Unprintable(), "<unprintable Unprintable object>"),
        pytest.param(10**5000, "<unprintable int object>", id="5,000 zeros"),
    ],
)
def test_values_are_their_str_but_for_a_few_types(value, text):
    """None is `null`, bools are lower-case, and a failing `str()` costs only that value."""
    assert text_of(value) == text


def test_a_pair_is_safe_on_both_sides():
    """Key and value are each made safe."""
    assert grammar.pair("a b", "c d") == 'ab="c d"'


@settings(max_examples=500)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_what_is_written_is_what_a_strict_reader_reads(pairs):
    """Any keys and values: as many pairs come back, and every value as it went in."""
    line = " ".join(grammar.pair(name, value) for name, value in pairs)
    read = strict.pairs(line)
    assert [value for _, value in read] == [value for _, value in pairs]
    assert strict.metrics(read) == []


@settings(max_examples=500)
@given(st.text())
def test_unescape_undoes_quote(text):
    """Any text comes back from its quoted form."""
    written = grammar.quote(f" {text}")
    assert grammar.unescape(written[1:-1]) == f" {text}"
