"""A strict parser of a line's text: key=value pairs and metrics.

All functions are pure, and raise the same error as those of `wire_parser`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from decimal import Decimal

from logplex_handler.testing.wire_parser import Malformed


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `kind` is measure, sample or count; `unit` consists of letters or is empty.

    `source` is the source of the line that holds the metric; empty if the line has none.
    """

    kind: str
    name: str
    value: Decimal
    unit: str
    source: str = ""


_KEY = r'[^\x00-\x20="\x7f]+'
_PLAIN = r'[^"\\\x00-\x1f\x7f]*'
_ESCAPE = r'\\(?:["\\nrt]|u00[0-9a-fA-F]{2})'
_QUOTED = rf"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*"
_BARE = r"(?!')[^\x00-\x20=\"\\\x7f]+"
PAIR = re.compile(rf'({_KEY})=(?:"({_QUOTED})"|({_BARE}))(?= |\Z)')
# A whole text of pairs.
_ONE = rf'{_KEY}=(?:"{_QUOTED}"|{_BARE})'
_PAIRS = re.compile(f"{_ONE}(?: {_ONE})*")
_ESCAPED = re.compile(_ESCAPE)
_MEANING = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def parse_pairs(text: str) -> list[tuple[str, str]]:
    r"""Return the key=value pairs of a text in order, unescaped; an empty text has none.

    Pairs are one space apart. A value may be quoted, with the escapes `\"`, `\\`, `\n`, `\r`, `\t`
    and `\u00XX` only. Raises Malformed, with the offset in characters.
    """
    if not are_pairs(text):
        position = 0
        while (match := PAIR.match(text, position)) is not None:
            position = match.end() + 1
        raise Malformed(*_pair_fault(text, position))
    return [(key, bare or _unescaped(quoted)) for key, quoted, bare in PAIR.findall(text)]


def are_pairs(text: str) -> bool:
    """Return whether `parse_pairs` can parse a text."""
    return not text or _PAIRS.fullmatch(text) is not None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    escape = match.group()
    return _MEANING.get(escape) or chr(int(escape[2:], 16))


def _pair_fault(text: str, position: int) -> tuple[str, str]:
    key = re.compile(rf"({_KEY})=").match(text, position)
    if key is None:
        return f"character {position}: a pair must begin with a key and =", "pair.key"
    start = key.end()
    if text[start : start + 1] != '"':
        message = (
            f"character {start}: a bare value must not be empty, begin with an apostrophe, or hold "
            "what needs quotes"
        )
        return message, "pair.bare"
    good = re.compile(rf"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*").match(text, start + 1)
    stop = good.end() if good else start + 1
    if stop == len(text):
        return f"character {start}: a quoted value must end with a quote", "pair.unterminated"
    if text[stop] == "\\":
        return f"character {stop}: a quoted value holds an unknown escape", "pair.escape"
    if text[stop] == '"':
        message = f"character {stop + 1}: one space or the end must follow a quoted value"
        return message, "pair.after-quote"
    return f"character {stop}: a quoted value must not hold a raw control character", "pair.control"


_METRIC_KEY = re.compile(rf"(measure|sample|count)#({_KEY})")
_LARGEST = Decimal(sys.float_info.max)
# A number that is larger has more digits than this.
_LONG_NUMBER = sys.float_info.max_10_exp
_METRIC_VALUE = re.compile(r"([0-9]+(?:\.[0-9]{1,6})?)([a-zA-Z]*)")


def parse_metric(key: str, value: str, source: str = "") -> Metric:
    """Return the metric that a pair represents, as l2met reads it, with the line's source.

    The number must be at least 0, in fixed point, with at most six decimals; the unit consists of
    letters and follows without a space. Raises Malformed.
    """
    metric = readable_metric(key, value, source)
    if metric is not None:
        return metric
    if _METRIC_KEY.fullmatch(key) is None:
        raise Malformed(
            "character 0: the key must be measure#NAME, sample#NAME or count#NAME", "metric.name"
        )
    if _METRIC_VALUE.fullmatch(value) is None:
        raise Malformed(
            "character 0: the value must be digits, at most six decimals and a unit of letters",
            next(rule for rule, form in _MISREAD if form.match(value)),
        )
    raise Malformed("character 0: the value must be at most 1.8e308", "metric.large")


def readable_metric(key: str, value: str, source: str) -> Metric | None:
    """Return the same as `parse_metric`, or None if that raises an error, in less time."""
    name, number = _METRIC_KEY.fullmatch(key), _METRIC_VALUE.fullmatch(value)
    if name is None or number is None:
        return None
    amount = Decimal(number[1])
    if len(value) > _LONG_NUMBER and amount > _LARGEST:
        return None
    return Metric(name[1], name[2], amount, number[2], source)


# Why l2met cannot read a value as a number: the first form that matches gives the rule.
_MISREAD = (
    ("metric.sign", re.compile(r"[+-]")),
    ("metric.hex", re.compile(r"0[xX]")),
    ("metric.exponent", re.compile(r"[0-9.]+[eE][+-]?[0-9]")),
    ("metric.separator", re.compile(r"[0-9]+,")),
    ("metric.decimals", re.compile(r"[0-9]*\.[0-9]*[a-zA-Z]*\Z")),
    ("metric.unit", re.compile(r"[0-9]")),
    ("metric.number", re.compile(r"")),
)
