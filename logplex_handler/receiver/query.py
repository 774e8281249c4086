"""The query of the page's box, of `--grep` and of the API: which lines it matches.

    status=5* -path=/health /time.?out/ "no answer" level>=error stream=acme

`tests/receiver/queries.json` has the grammar with examples. The page has it in JavaScript.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from logplex_handler.receiver._regexp import Regexp


class _Packet(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def procid(self) -> str: ...
    @property
    def severity(self) -> int: ...


class _Line(Protocol):
    @property
    def packet(self) -> _Packet: ...


class Queried(Protocol):
    """What a query looks at; a `ReceivedLine` has it."""

    @property
    def line(self) -> _Line: ...
    @property
    def stream(self) -> str: ...
    @property
    def violations(self) -> tuple[object, ...]: ...


_Test: TypeAlias = Callable[[Queried], bool]

_LEVELS = {
    "debug": 7,
    "info": 6,
    "notice": 5,
    "warning": 4,
    "warn": 4,
    "error": 3,
    "err": 3,
    "critical": 2,
    "crit": 2,
    "alert": 1,
    "emergency": 0,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_KEY = re.compile(r'([^ \t"=<>/:@]+)(=|>=?|<=?)')
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)', re.DOTALL)
# It ends at the first slash that has no backslash before it.
_REGEXP = re.compile(r"/((?:[^/\\]|\\.)+)/(?=[ \t]|\Z)", re.DOTALL)
_WORD = re.compile(r"[^ \t]+")
_START = re.compile(r"[^ \t]{1,2}")
_ALTERNATIVE = re.compile(r"[^ \t,]*")
_NUMBER = re.compile(r"(-?[0-9]{1,300}(?:\.[0-9]{1,300})?)([a-z]*|%)")
# A pair of a line's text, or what stands between pairs.
_TOKEN = re.compile(
    r'(?:([^ \t"=]+)=)?(?:"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)[^ \t]*|([^ \t]+|(?<==)))', re.DOTALL
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPE_IN_QUERY = re.compile(r'\\(["\\])')
_MEANING = {"n": "\n", "r": "\r", "t": "\t"}


class Query:
    """Terms that all must match; an empty query matches every line."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for a level that does not exist, and as `Regexp` does."""
        self._tests = tuple(_terms(text))

    def matches(self, line: Queried) -> bool:
        for test in self._tests:  # noqa: SIM110 - All lines pass here, and `all` takes longer.
            if not test(line):
                return False
        return True


def _terms(text: str) -> Iterator[_Test]:
    position = 0
    while (start := _START.search(text, position)) is not None:
        position = start.start()
        is_negated = start[0] != "-" and start[0][0] == "-"
        test, position = _term(text, position + is_negated)
        yield _negated(test) if is_negated else test


def _negated(test: _Test) -> _Test:
    return lambda line: not test(line)


def _term(text: str, position: int) -> tuple[_Test, int]:
    """Return the test of the term at a position, and where the term ends."""
    if (quoted := _QUOTED.match(text, position)) is not None:
        return _contains(_ESCAPE_IN_QUERY.sub(r"\1", quoted[1])), quoted.end()
    if (regexp := _REGEXP.match(text, position)) is not None:
        return _finds(regexp[1]), regexp.end()
    if (key := _KEY.match(text, position)) is not None:
        if key[2] == "=":
            alternatives, end = _alternatives(text, key.end())
            return _equals(key[1].lower(), alternatives), end
        value = _WORD.match(text, key.end())
        test = _compares(key[1].lower(), key[2], value[0].lower() if value else "")
        if test is not None:
            return test, value.end() if value else key.end()
    word = _WORD.match(text, position)
    return (_contains(word[0]), word.end()) if word else (lambda line: True, len(text))


def _contains(word: str) -> _Test:
    sought = word.lower()
    return lambda line: sought in line.line.packet.text.lower()


def _finds(source: str) -> _Test:
    is_in = Regexp(source).is_in
    return lambda line: is_in(line.line.packet.text)


def _alternatives(text: str, position: int) -> tuple[list[str | _Pattern], int]:
    """Return the values behind a `=`, which commas separate; a value with `*` as a pattern."""
    found: list[str | _Pattern] = []
    while True:
        quoted = _QUOTED.match(text, position)
        if quoted is not None:
            found.append(_ESCAPE_IN_QUERY.sub(r"\1", quoted[1]).lower())
            rest = _ALTERNATIVE.match(text, quoted.end())
            position = rest.end() if rest else quoted.end()
        elif bare := _ALTERNATIVE.match(text, position):
            value, position = bare[0].lower(), bare.end()
            found.append(_Pattern(*value.split("*")) if "*" in value else value)
        if text[position : position + 1] != ",":
            return found, position
        position += 1


class _Pattern:
    """A value with `*`, which stands for any text; its time is in proportion to the value."""

    def __init__(self, first: str, *middle_and_last: str) -> None:
        *self._middle, self._last = middle_and_last
        self._first = first

    def fits(self, value: str) -> bool:
        if not (value.startswith(self._first) and value.endswith(self._last)):
            return False
        position = len(self._first)
        for part in self._middle:
            found = value.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        return position <= len(value) - len(self._last)


def _equals(key: str, alternatives: list[str | _Pattern]) -> _Test:
    exact = {value for value in alternatives if isinstance(value, str)}
    patterns = [value for value in alternatives if not isinstance(value, str)]

    def is_one(value: str) -> bool:
        return value in exact or any(pattern.fits(value) for pattern in patterns)

    if key == "level":
        severities = {_LEVELS[name] for name in exact if name in _LEVELS}
        exact -= _LEVELS.keys()
        return lambda line: (
            line.line.packet.severity in severities or any(map(is_one, _values(line, key)))
        )
    return lambda line: any(map(is_one, _values(line, key)))


def _compares(key: str, sign: str, value: str) -> _Test | None:
    """Return the test of a comparison, or None if there is no number behind the sign."""
    compare = _COMPARE[sign]
    if key == "level":
        if value not in _LEVELS:
            raise ValueError(f"no level: {value} (one of {', '.join(_LEVELS)})")
        # The most severe level has the lowest number.
        return lambda line: compare(-line.line.packet.severity, -_LEVELS[value])
    number = _NUMBER.fullmatch(value)
    if number is None:
        return None
    limit, unit = float(number[1]), number[2]

    def fits(found: str) -> bool:
        match = _NUMBER.fullmatch(found)
        return match is not None and unit in ("", match[2]) and compare(float(match[1]), limit)

    return lambda line: any(map(fits, _values(line, key)))


def _values(line: Queried, key: str) -> Iterator[str]:
    """Yield the values of a line's field, or of the pairs with this key, in lower case."""
    if key == "stream":
        yield line.stream.lower()
    elif key == "process":
        yield line.line.packet.procid.lower()
    elif key == "violations":
        yield str(len(line.violations))
    else:
        text = line.line.packet.text
        if f"{key}=" in text.lower():
            for found, value, _ in tokens(text):
                if found.lower() == key:
                    yield value.lower()


def tokens(text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """Yield key, value and place of each pair; what stands between pairs has an empty key."""
    for match in _TOKEN.finditer(text):
        bare = match[3]
        yield match[1] or "", _unescaped(match[2]) if bare is None else bare, match


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_meaning, text) if "\\" in text else text


def _meaning(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _MEANING.get(match[2], match[2])
