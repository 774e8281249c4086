"""Reading takes time in proportion to the length of the input."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from logplex_handler import LogplexHandler
from logplex_handler._formatting import grammar, message_template
from logplex_handler._transport.answer import retry_after
from logplex_handler.testing._text_parser import parse_pairs
from logplex_handler.testing._verdict import as_shown
from logplex_handler.testing.wire_parser import Malformed

# Time: what is sixteen times as long takes about sixteen times as long.

_LONG = {
    "pairs": lambda n: parse_pairs('a="' + "\\" * n),
    "keys": lambda n: parse_pairs("a" * n),
    "escapes": lambda n: parse_pairs('a="' + "\\n" * n),
    "a packet": lambda n: as_shown(b"<1>1 " + b"a [" * n, "t"),
    "structured data": lambda n: as_shown(b"<1>1 a b c d e [" + b"]" * n, "t"),
    "spaces": lambda n: as_shown(b"<1>" + b" " * n, "t"),
    "Retry-After": lambda n: retry_after("," * n, 0),
    "Retry-After in digits": lambda n: retry_after("9" * n, 0),
    "a header option": lambda n: _refused(headers={"X": "a " * n + "\n"}),
    "a URL": lambda n: _refused(url="https://token:t@" + "a." * n),
    "a conversion": lambda n: message_template.plan("user=%" + "0" * n + "! tries=%d", frozenset()),
    "conversions": lambda n: message_template.parts("%(" + "%0" * n),
    "names of conversions": lambda n: message_template.parts("%(a" * n),
    "a key": lambda n: message_template.plan("a" * n + " b", frozenset()),
    "keys of a message": lambda n: message_template.written_pairs("a=b-" * n, frozenset()),
    "quotes in a message": lambda n: message_template.written_pairs('a="' + "\\" * n, frozenset()),
    "pairs of a message": lambda n: message_template.written_pairs("a=b " * n, frozenset()),
    "controls": lambda n: grammar.quote("\n\x00\x9f" * n),
    "backslashes": lambda n: grammar.unescape("\\" * n),
    "a key of an extra": lambda n: grammar.key("count#" + "=" * n),
    "a user": lambda n: _refused(url="https://" + "%41" * n + "\x00:t@host"),
}


def _refused(**options):
    try:
        LogplexHandler(**{"url": "http://token:t@127.0.0.1:1", **options})
    except ValueError:
        return


@pytest.mark.parametrize("name", _LONG)
def test_time_is_in_proportion_to_the_length(name):
    """Including regular expressions with their worst input."""

    def seconds(n):
        fastest = float("inf")
        for _ in range(3):
            started = time.process_time()
            with suppress(Malformed):
                _LONG[name](n)
            fastest = min(fastest, time.process_time() - started)
        return fastest

    n = 1_000
    while seconds(n) < 0.001 and n < 200_000:
        n *= 2
    # What grows with the square would be at 256.
    assert seconds(16 * n) < 100 * max(seconds(n), 0.001)
