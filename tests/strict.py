"""Readers of the wire that share nothing with the package: a second opinion on what it writes.

They are written from the documents alone, with no import from the package and by other means than
its own reader has: without regular expressions, and packets also through a library from PyPI. They
read megabytes in a run of the tests, so they look at sets of characters, not at each of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

try:
    from syslog_rfc5424_parser import ParseError, SyslogMessage
except ModuleNotFoundError:
    # The library below it needs `sre_parse`, which Python 3.15 does not have.
    SyslogMessage = None

MAX_PACKET_BYTES = 10_240
_DIGITS = "0123456789"
_PRIORITIES = frozenset(map(str, range(24 * 8)))


class Wrong(AssertionError):
    """The text breaks a rule of the documents."""


def _require(condition: object, rule: str) -> None:
    if not condition:
        raise Wrong(rule)


def frames(body: bytes) -> list[bytes]:
    """The packets of a body: `LEN SP packet` again and again, without a byte between them."""
    found = []
    position = 0
    while position < len(body):
        space = body.find(b" ", position, position + 6)
        _require(space > position, f"byte {position}: no length of up to five digits and a space")
        digits = body[position:space]
        _require(all(byte in b"0123456789" for byte in digits), f"byte {position}: no digits")
        _require(digits[:1] != b"0", f"byte {position}: a leading zero")
        end = space + 1 + int(digits)
        _require(end <= len(body), f"byte {position}: the length reaches beyond the body")
        found.append(body[space + 1 : end])
        position = end
    return found


@dataclass(frozen=True)
class Packet:
    """One packet; `text` is without the newline that ends it."""

    facility: int
    severity: int
    time: str
    hostname: str
    appname: str
    procid: str
    text: str


# The same packet is often read again: in several forms, or by several tests of one value.
@lru_cache(1000)
def packet(frame: bytes) -> Packet:
    """The parts of a packet in the one form that all receivers read."""
    _require(len(frame) <= MAX_PACKET_BYTES, "longer than 10,240 bytes")
    _require(frame.endswith(b"\n"), "no newline at the end")
    try:
        text = frame.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise Wrong(f"byte {error.start}: not UTF-8") from None
    text = text[:-1]
    found = {one for one in set(text) if one != "\t" and unicodedata.category(one) == "Cc"}
    _require(not found, f"controls: {sorted(map(ascii, found))}")
    fields = text.split(" ", 7)
    _require(len(fields) == 8, "fewer than eight parts")
    priority, time, hostname, appname, procid, msgid, data, msg = fields
    _require(priority[:1] == "<" and priority[-2:] == ">1", "the priority's form")
    _require(priority[1:-2] in _PRIORITIES, "the priority")
    facility, severity = divmod(int(priority[1:-2]), 8)
    _require((msgid, data) == ("-", "-"), "msgid and structured data are not '-'")
    _check_time(time)
    for name, value, longest in (
        ("hostname", hostname, 255),
        ("appname", appname, 48),
        ("procid", procid, 128),
    ):
        _require(0 < len(value) <= longest, f"{name}: its length")
        _require(all("!" <= character <= "~" for character in value), f"{name}: its characters")
    _require(procid not in ("router", "logplex"), "procid: a name of Heroku's own")
    _require(not msg.startswith("\ufeff"), "a byte order mark")
    read = Packet(facility, severity, time, hostname, appname, procid, msg)
    if SyslogMessage is not None:
        _require(_of_the_library(text) == read, "the library reads another packet")
    return read


def _of_the_library(text: str) -> Packet:
    try:
        read = SyslogMessage.parse(text)
    except ParseError as error:
        raise Wrong(f"not RFC 5424: {error.description}") from None
    names = (read.timestamp, read.hostname, read.appname, str(read.procid))
    return Packet(int(read.facility), int(read.severity), *names, read.msg or "")


def _check_time(text: str) -> None:
    _require(len(text) == len("2026-11-20T12:34:56.123456+00:00"), "the time's length")
    _require(text.endswith("+00:00"), "the time does not end with +00:00")
    _require(text[10] == "T" and text[19] == ".", "the time's form")
    _require(all(character in _DIGITS for character in text[20:26]), "the time's six digits")
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        raise Wrong("the time is none of the calendar") from None
    _require(offset == timedelta(0), "the time is not UTC")


_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_HEX = "0123456789abcdefABCDEF"


_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
_NOT_IN_KEYS = _CONTROLS | set(' "')
_NOT_WITHOUT_QUOTES = _CONTROLS | set('="\\')


def pairs(line: str) -> list[tuple[str, str]]:
    """The pairs of a line in order, one space apart, with the escapes of their values undone."""
    found = []
    position = 0
    while position < len(line):
        key, position = _read_key(line, position)
        if line[position : position + 1] == '"':
            value, position = _read_quoted(line, position + 1)
        else:
            value, position = _read_bare(line, position)
        found.append((key, value))
        if position < len(line):
            _require(line[position] == " ", f"character {position}: no space behind a pair")
            position += 1
            _require(position < len(line), "a space at the end")
    return found


def _read_key(line: str, start: int) -> tuple[str, int]:
    end = line.find("=", start)
    _require(end >= 0, f"character {start}: a key without =")
    _require(end > start, f"character {start}: an empty key")
    key = line[start:end]
    _require(_NOT_IN_KEYS.isdisjoint(key), f"character {start}: not for a key")
    return key, end + 1


def _read_bare(line: str, start: int) -> tuple[str, int]:
    end = line.find(" ", start)
    if end < 0:
        end = len(line)
    value = line[start:end]
    _require(_NOT_WITHOUT_QUOTES.isdisjoint(value), f"character {start}: not without quotes")
    _require(value, f"character {start}: an empty value without quotes")
    _require(value[0] != "'", f"character {start}: an apostrophe that some take for a quote")
    return value, end


def _read_quoted(line: str, position: int) -> tuple[str, int]:
    value: list[str] = []
    quote = line.find('"', position)
    while quote >= 0:
        escape = line.find("\\", position, quote)
        text = line[position : quote if escape < 0 else escape]
        _require(_CONTROLS.isdisjoint(text), f"character {position}: a raw control")
        value.append(text)
        if escape < 0:
            return "".join(value), quote + 1
        kind = line[escape + 1]
        position = escape + 2
        if kind == "u":
            digits = line[position : position + 4]
            _require(
                len(digits) == 4 and digits[:2] == "00" and all(digit in _HEX for digit in digits),
                f"character {position}: an escape other than \\u00XX",
            )
            value.append(chr(int(digits, 16)))
            position += 4
        else:
            _require(kind in _ESCAPES, f"character {escape}: an unknown escape")
            value.append(_ESCAPES[kind])
        if quote < position:
            quote = line.find('"', position)
    raise Wrong("a quote that does not end")


def lines(
    texts: Iterable[str], check: Callable[[list[tuple[str, str]]], object] = list
) -> list[list[tuple[str, str]]]:
    """The pairs of each line, whose packets have these texts: parts of a line, such as `part=2/3`,
    are put together, and a value that was cut is whole again. `check` gets those of each packet."""
    found: list[list[tuple[str, str]]] = []
    before = head = due = ""
    for text in texts:
        read = pairs(text)
        check(read)
        places = [index for index, (key, _) in enumerate(read) if key == "part"]
        _require(len(places) <= 1, "several parts in one packet")
        if not places:
            _require(not due, "a part is missing")
            found.append(read)
            continue
        (place,) = places
        number, _, total = read[place][1].partition("/")
        start = text.split(f"part={number}/{total} ", 1)
        _require(int(total) > 1, "a line of one part")
        rest = read[place + 1 :]
        if number == "1":
            _require(not due, "a part is missing")
            found.append(read[:place] + rest)
        else:
            _require((due, head) == (f"{number}/{total}", start[0]), "a part of another line")
            key, value = rest[0]
            line = found[-1]
            if line[-1][0] == key and before.endswith('"') and start[1].startswith(f'{key}="'):
                line[-1] = (key, line[-1][1] + value)
                del rest[0]
            line += rest
        before, head = text, start[0]
        due = "" if number == total else f"{int(number) + 1}/{total}"
    _require(not due, "a part is missing")
    return found


@dataclass(frozen=True)
class Metric:
    """One metric as l2met takes it from a line."""

    kind: str
    name: str
    value: float
    unit: str
    source: str


def metrics(line: Iterable[tuple[str, str]]) -> list[Metric]:
    """What l2met makes of a line's pairs, its misreadings included.

    It reads digits and one point as far as they go, so `1e3ms` is 1 of the unit `e3ms` and `1,000`
    is 1 of `,`; a value that does not begin with one of these is dropped without a word; an empty
    one is 1. The first source counts, wherever it stands.
    """
    line = list(line)
    sources = [value for key, value in line if key == "source"]
    found = []
    for key, value in line:
        kind, hash_sign, name = key.partition("#")
        if kind not in ("measure", "sample", "count") or not hash_sign:
            continue
        digits = ""
        number = value or "1"
        for character in number:
            point = character == "." and "." not in digits
            if not point and character not in _DIGITS:
                break
            digits += character
        if digits in ("", "."):
            continue
        unit = number.strip(_DIGITS + ".")
        found.append(Metric(kind, name, float(digits), unit, sources[0] if sources else ""))
    return found
