"""Reading takes time in proportion to the length of the input."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import logplex_handler
from logplex_handler import LogplexHandler
from logplex_handler._formatting import long_lines
from logplex_handler._transport.answer import retry_after
from logplex_handler._wire import packet
from logplex_handler.metrics import metric_pairs
from logplex_handler.receiver.query import Query
from logplex_handler.testing import _text_parser, _verdict, wire_parser
from logplex_handler.testing._text_parser import parse_pairs
from logplex_handler.testing._verdict import as_shown
from logplex_handler.testing.wire_parser import Malformed
from tests.formatting.shared import line

PACKAGE = Path(logplex_handler.__file__).parent


def seconds(call, n, enough=0.0, times=3):
    """The seconds of this thread that the call works for so long an input, at best.

    It is called so many times, and no more once it has been as fast as is enough.
    """
    fastest = float("inf")
    for _ in range(times):
        started = time.thread_time()
        with suppress(Malformed):
            call(n)
        fastest = min(fastest, time.thread_time() - started)
        if fastest < enough:
            break
    return fastest


def is_linear(call):
    """Whether what is sixteen times as long takes about sixteen times as long."""
    n = 100
    while (short := seconds(call, n)) < 0.0002 and n < 64_000:
        n *= 2
    # Once more, because a busy moment makes what is short look long.
    short = min(short, seconds(call, n, times=20))
    # What grows with the square takes 256 times as long. On a busy machine, most calls with much
    # memory may be slow.
    enough = 100 * max(short, 0.0002)
    return seconds(call, 16 * n, enough, times=10) < enough


def test_what_grows_with_the_square_is_found():
    """The check itself, on a pattern that reads many zeros in two ways."""
    assert not is_linear(lambda n: re.search(r"%[#0]*\d*!", "%" + "0" * n))
    assert not is_linear(lambda n: re.findall("a+=", "a" * n))
    assert is_linear(lambda n: re.findall("a=", "a" * n))


def _refused(**options):
    with suppress(ValueError):
        LogplexHandler(**{"url": "http://token:t@127.0.0.1:1", **options})


LONG = {
    "pairs": lambda n: parse_pairs('a="' + "\\" * n),
    "keys": lambda n: parse_pairs("a" * n),
    "escapes": lambda n: parse_pairs('a="' + "\\n" * n),
    "a packet": lambda n: as_shown(b"<1>1 " + b"a [" * n, "t"),
    "structured data": lambda n: as_shown(b"<1>1 a b c d e [" + b"]" * n, "t"),
    "spaces": lambda n: as_shown(b"<1>" + b" " * n, "t"),
    "a query": lambda n: Query('""' * n),
    "Retry-After": lambda n: retry_after("," * n, 0),
    "Retry-After in digits": lambda n: retry_after("9" * n, 0),
    "a header option": lambda n: _refused(headers={"X": "a " * n + "\n"}),
    "a URL": lambda n: _refused(url="https://token:t@" + "a." * n),
    "a user": lambda n: _refused(url="https://" + "%41" * n + "\x00:t@host"),
    "a message of almost-pairs": lambda n: line("a=1 " * n + "!"),
    "a message with a quoted value": lambda n: line('a="' + "x" * n + '" b=1'),
    "a message with escapes": lambda n: line('a="' + "\\n" * n + '"'),
    "a message with quotes": lambda n: line('a="' + '\\"' * n + '"'),
    "a message with an open quote": lambda n: line('a="' + "\\\\" * n),
    "a template with zeros": lambda n: line("user=%" + "0" * n + "! tries=%d", 3),
    "a template with names": lambda n: line("%(a" * n + "000", {"a": 1}),
    "a template with names in names": lambda n: line("%(" * n + ")" * n + "000", {"a": 1}),
    "a template with many arguments": lambda n: line("a=%s " * n, *["b=c"] * n),
    "an extra that looks like pairs": lambda n: line("hello", extra={"a": '" a="1\\' * n}),
    "a long line of pairs": lambda n: long_lines.parts([b'a="\\n" ' * n], 2000),
    "a long line with one long value": lambda n: long_lines.parts(
        [b'a="' + b"\\n" * n + b'"'], 2000
    ),
    "a long line with one long key": lambda n: long_lines.parts([b"a" * n + b"=1"], 2000),
    "a long text": lambda n: long_lines.parts([b"a" * n], 2000),
    "a long text behind a pair": lambda n: long_lines.parts([b"a=1 " + b"a" * n], 2000),
    "a long text with open quotes": lambda n: long_lines.parts([b'a="' + b"\\" * n], 2000),
    "pieces of a text": lambda n: packet.pieces("é".encode() * n, 2000),
}


@pytest.mark.parametrize("name", LONG)
def test_time_is_in_proportion_to_the_length(name):
    """Of whatever another one may have written: texts, templates, packets, headers, URLs."""
    assert is_linear(LONG[name])


# Regular expressions.

# What any of them is given in turn: what repeats what a pattern may repeat, and then does not go on
# as the pattern does. Some patterns have inputs of their own besides, in the table below.
_TEXTS = ["a", "0", "9", " ", '"', "\\", "=", "%", "(", "[", "{", "#", ".", "-", ",", "/", ":"]
_TEXTS += ["\x00", "é", "a=", "a=1 ", 'a="', '\\"', "%(a)s", "count#", "count#a=", "level=", "1 "]
ENDINGS = ["", "!", "\n"]

# Each pattern of the package, how it is applied, and its own worst inputs; the others are above.
PATTERNS: dict[str, tuple[str, list[Callable[[int], str]]]] = {
    "_formatting/fitting._PRECISION": (
        "search",
        [lambda n: "%" + "0" * n, lambda n: "%." + "9" * n, lambda n: "%." * n],
    ),
    "_formatting/fitting._WIDE": ("search", []),
    "_formatting/fitting._WIDE_FIELD": ("search", []),
    "_formatting/fitting._WIDE_CONVERSION": (
        "search",
        [
            lambda n: "%" + "0 " * n,
            lambda n: "%" + "9" * n,
            lambda n: "%(" * n,
            lambda n: "%(a)" * n + "%",
            lambda n: "%(" + "%" * n,
        ],
    ),
    "_formatting/fitting._FIELD": (
        "match",
        [lambda n: "0" * n + "9" * n, lambda n: "." + "9" * n],
    ),
    "_formatting/fitting._PARENTHESIS": ("search", []),
    "_formatting/grammar._LATE_CONTROL": ("sub", [lambda n: "\x85" * n]),
    "_formatting/grammar._NOT_IN_KEYS": ("sub", []),
    "_formatting/grammar._METRIC_KEY": ("sub", []),
    "_formatting/grammar._ESCAPED": ("sub", [lambda n: "\\u00" * n]),
    "_formatting/long_lines._HEAD": (
        "match",
        [lambda n: "a=1 " * n, lambda n: "logger=" * n, lambda n: "logger=" + "a" * n],
    ),
    "_formatting/long_lines._START": (
        "match",
        [lambda n: 'a="' + "\\n" * n, lambda n: "a=" + n * "b"],
    ),
    "_formatting/long_lines._METRIC_KEY": ("match", []),
    "_formatting/message_template._START": ("match", [lambda n: "a=b" * n]),
    "_formatting/message_template._KEPT_PAIR": (
        "match",
        [lambda n: "a=" + "b" * n, lambda n: 'a="' + "b" * n, lambda n: 'a="' + "b =" * n],
    ),
    "_formatting/message_template._CONTROL": ("search", []),
    "_formatting/message_template._CONVERSION": (
        "sub",
        [
            lambda n: "%" + "0" * n + "!",
            lambda n: "%" + "0-+#" * n + "9" * n,
            lambda n: "%9." + "9" * n,
            lambda n: "%(" + "a" * n,
            lambda n: "%(a" * n,
        ],
    ),
    "_formatting/message_template._WHOLE": ("fullmatch", [lambda n: "%(" + "a" * n + ")"]),
    "_relay/reading._FRAME_ID": ("fullmatch", []),
    "_relay/reading._WHOLE": ("fullmatch", []),
    "_relay/server._CODE": ("fullmatch", []),
    "_spool/chunk._FRAME_ID": ("fullmatch", []),
    "_spool/chunk._FRAME": (
        "findall",
        [lambda n: "9 <1>1 " + "2" * 32 + " a b c - " * n, lambda n: "9 <1>1 " * n],
    ),
    "_transport/connection._NO_CONTENT": (
        "fullmatch",
        [
            lambda n: "HTTP/1.1 204" + "x" * n,
            lambda n: "HTTP/1.1 204 No Content\r\n" + "a:" * n,
            lambda n: "HTTP/1.1 204 No Content\r\n" + "a:b\r\n" * n + "a",
        ],
    ),
    "_wire/destination._NOT_IN_URLS": ("search", []),
    "_wire/destination._NOT_UTF_8": ("search", [lambda n: "\udc80" * n]),
    "_wire/destination._NOT_IN_CREDENTIALS": ("search", []),
    "_wire/destination._PLAIN": (
        "fullmatch",
        [lambda n: f"https://{'a' * n}", lambda n: f"https://a:{'b' * n}@{'c' * n}@"],
    ),
    "_wire/packet._NEEDS_CARE": ("sub", [lambda n: "\ud800" * n]),
    "handler/arguments._HEADER_NAME": ("fullmatch", []),
    "handler/arguments._HEADER_VALUE": (
        "fullmatch",
        [lambda n: "a \t" * n, lambda n: "a" + " " * n],
    ),
    "heroku/_look_up._ID": ("fullmatch", []),
    "heroku/_provision._NOT_IN_TEXTS": ("search", []),
    "metrics/bridge._NOT_IN_NAMES": ("sub", []),
    "metrics/bridge._ANNOTATION": ("sub", [lambda n: "{" + "a" * n, lambda n: "{a" * n]),
    "metrics/bridge._LETTERS": ("fullmatch", []),
    "metrics/metric_pairs._KEY": ("fullmatch", [lambda n: "measure#" + "a" * n + "="]),
    "metrics/metric_pairs._UNIT": ("fullmatch", []),
    "metrics/metric_pairs._SOURCE": ("fullmatch", []),
    "receiver/_events.NUMBER": ("fullmatch", []),
    "receiver/_api._FILE_NAME": ("fullmatch", []),
    "receiver/_dissection._BYTE": ("search", [lambda n: "byte " * n, lambda n: "byte " + "1" * n]),
    "receiver/_bundle._IMPORT": ("sub", []),
    "receiver/_bundle._EXPORT": ("sub", []),
    "receiver/_bundle._EXPORT_LATER": ("sub", []),
    "receiver/_bundle._LEFT": ("search", []),
    "receiver/_regexp._PIECE": ("findall", [lambda n: "[\\]" * n]),
    "receiver/_regexp._BOUNDS": ("match", [lambda n: "{" + "1" * n]),
    "receiver/_regexp._ANYTHING_FIRST": ("match", [lambda n: ".*" * n, lambda n: ".*?" * n]),
    "receiver/query._KEY": ("match", []),
    "receiver/query._QUOTED": ("match", [lambda n: '"' + "\\a" * n]),
    "receiver/query._REGEXP": ("match", [lambda n: "/" + "\\/" * n]),
    "receiver/query._WORD": ("match", []),
    "receiver/query._START": ("search", []),
    "receiver/query._ALTERNATIVE": ("match", []),
    "receiver/query._NUMBER": ("fullmatch", [lambda n: "1" * n + "." + "a" * n]),
    "receiver/query._TOKEN": (
        "findall",
        [lambda n: 'a="' + "\\" * n, lambda n: "a=" * n, lambda n: 'a="b"' * n],
    ),
    "receiver/query._ESCAPE": ("sub", [lambda n: "\\u00" * n]),
    "receiver/query._ESCAPE_IN_QUERY": ("sub", []),
    "receiver/style._CONTROL": ("sub", []),
    "receiver/terminal._HOSTNAME": ("search", [lambda n: "<1>1 a " * n]),
    "receiver/terminal._LEVEL": ("sub", [lambda n: "level=" + "a" * n, lambda n: "level= " * n]),
    "testing/_http_connection._CHUNK_SIZE": ("fullmatch", []),
    "testing/_line._PLACE": ("fullmatch", []),
    "testing/_text_parser.PAIR": (
        "match",
        [lambda n: 'a="' + "\\n" * n, lambda n: 'a="' + "b" * n],
    ),
    "testing/_text_parser._PAIRS": (
        "fullmatch",
        [lambda n: 'a="' + "\\n" * n, lambda n: "a=1 " * n + "!", lambda n: "a=" + "b" * n + "="],
    ),
    "testing/_text_parser._ESCAPED": ("sub", [lambda n: "\\u00" * n]),
    "testing/_text_parser._METRIC_KEY": ("fullmatch", [lambda n: "count#" + "a" * n + "="]),
    "testing/_text_parser._METRIC_VALUE": ("fullmatch", [lambda n: "1" * n + "." + "m" * n]),
    "testing/_text_parser._MISREAD": ("match", [lambda n: "1" * n + "." + "2" * n + "a" * n + "!"]),
    "testing/_verdict._COUNT": ("fullmatch", []),
    "testing/_verdict._LENIENT_PACKET": (
        "fullmatch",
        [lambda n: "<1>1 a b c d e [" + "]" * n, lambda n: "<1>" + "a " * n],
    ),
    "testing/conventions._FIELD": ("match", []),
    "testing/conventions._BEGINS_WITH_PAIR": ("match", []),
    "testing/conventions._KIND": ("match", []),
    "testing/conventions._KIND_IN_TEXT": ("search", [lambda n: "count#" + "a" * n]),
    "testing/conventions._METRIC_IN_TEXT": ("findall", [lambda n: "count#" + "a" * n]),
    "testing/conventions._PLAIN_METRIC": (
        "findall",
        [lambda n: "count#" + "a" * n, lambda n: "count#a=" * n, lambda n: "count#a=1 " * n + "!"],
    ),
    "testing/conventions._CARD": ("search", [lambda n: "1" * 19 + "2" * n, lambda n: "1 " * n]),
    "testing/request_body._INCOMPLETE": ("match", []),
    "testing/request_body._PADDING": ("match", []),
    "testing/request_body._HEADER": ("search", [lambda n: "1 <" * n, lambda n: "99999 <190>1" * n]),
    "testing/request_body._ZERO": ("match", []),
    "testing/request_body._COUNT": ("match", []),
    "testing/wire_parser._FRAME": ("match", []),
    "testing/wire_parser._DIGITS": ("match", []),
    "testing/wire_parser._CONTROL": ("search", []),
    "testing/wire_parser._PACKET": (
        "fullmatch",
        [lambda n: "<190>1 2013-03-27T20:02:24.000000+00:00 h a p - - " + "x" * n],
    ),
    "testing/wire_parser._DECODED": (
        "fullmatch",
        [lambda n: "<190>1 2013-03-27T20:02:24.000000+00:00 h a p - - " + "x" * n],
    ),
}

# The functions that make a pattern or use one in place, each with its worst input.
FUNCTIONS = {
    "_formatting/extract.extract_source": None,  # A program's own source text, when it is imported.
    "_wire/packet.field": lambda n: packet.field("é" * n, 48),
    "cli/_completion.similar_option": None,  # The command's own help.
    "handler/options._checked_token": lambda n: _refused(
        url="https://token:" + "t" * n + "%0A@host", token_as_appname=True
    ),
    "receiver/_regexp.__init__": None,  # What a person types to search their own lines.
    "metrics/metric_pairs._check": lambda n: _raises(metric_pairs.check, "count", "a" * n + "="),
    "testing/_text_parser._pair_fault": lambda n: _text_parser._pair_fault('a="' + "\\n" * n, 0),
    "testing/_verdict._path": lambda n: _verdict._path("/" + "a/" * n + "?#" * n),
    "testing/wire_parser._fault": lambda n: wire_parser._fault(b"<190>1 " + b"0" * n),
}


def _raises(call, *arguments):
    with suppress(ValueError):
        call(*arguments)


def _places():
    """Where the package calls a function of `re`: the module, and the name or function it is in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            name = ""
            if isinstance(statement, ast.Assign):
                name = ast.unparse(statement.targets[0])
            for where in _names_of_calls(statement, name):
                yield f"{module}.{where}"


def _names_of_calls(node, name):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        name = node.name
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
        yield name
    for child in ast.iter_child_nodes(node):
        yield from _names_of_calls(child, name)


def _patterns(place):
    module, _, name = place.rpartition(".")
    found = getattr(importlib.import_module(f"logplex_handler.{module.replace('/', '.')}"), name)
    if isinstance(found, re.Pattern):
        return [found]
    return [one for row in found for one in row if isinstance(one, re.Pattern)]


def test_every_pattern_of_the_package_is_in_a_table():
    """One that is added needs the text that takes it longest."""
    assert set(_places()) == PATTERNS.keys() | FUNCTIONS.keys()


@pytest.mark.parametrize("place", PATTERNS)
def test_no_text_takes_a_pattern_longer_than_its_length_says(place):
    """Whatever repeats, and however it ends."""
    method, worst = PATTERNS[place]
    texts = [*worst, *(lambda n, text=text: text * n for text in _TEXTS)]
    for pattern in _patterns(place):
        for text, ending in itertools.product(texts, ENDINGS):

            def apply(n, pattern=pattern, text=text, ending=ending):
                given = text(n) + ending
                empty = ""
                if isinstance(pattern.pattern, bytes):
                    given, empty = given.encode("utf-8", "surrogatepass"), b""
                getattr(pattern, method)(*([empty] if method == "sub" else []), given)

            # Most take a millisecond for that, and need no closer look.
            fast = seconds(apply, 16_000, enough=0.005) < 0.005
            assert fast or is_linear(apply), (text(2), ending)


# Bytes of memory that a pattern may take for each character: the pieces of its result, for example.
_MOST_BYTES = 64
# Those that take more: of an option, which a program's author gives, and of the receiver for tests.
_TAKE_MORE = {
    "handler/arguments._HEADER_VALUE",
    "receiver/_regexp._ANYTHING_FIRST",
    "receiver/_regexp._PIECE",
    "receiver/query._QUOTED",
    "receiver/query._REGEXP",
    "receiver/query._TOKEN",
    "testing/_text_parser.PAIR",
    "testing/_text_parser._PAIRS",
}


def peak_memory(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("place", [place for place in PATTERNS if place not in _TAKE_MORE])
def test_no_text_takes_more_memory_in_a_pattern_than_its_length_says(place):
    """A group that is repeated, and may be left, is remembered for each time: 160 bytes."""
    method, worst = PATTERNS[place]
    for pattern in _patterns(place):
        for text in [*worst, *(lambda n, text=text: text * n for text in _TEXTS)]:
            given, empty = text(4000), ""
            if isinstance(pattern.pattern, bytes):
                given, empty = given.encode("utf-8", "surrogatepass"), b""
            call = partial(getattr(pattern, method), *([empty] if method == "sub" else []), given)
            most = _MOST_BYTES * len(given)
            # What other threads allocate is counted, too, but not each time.
            assert any(peak_memory(call) < most for _ in range(5)), text(2)


@pytest.mark.parametrize("place", [place for place, call in FUNCTIONS.items() if call])
def test_no_text_takes_a_function_longer_than_its_length_says(place):
    """As for patterns that have a name."""
    assert is_linear(FUNCTIONS[place])
