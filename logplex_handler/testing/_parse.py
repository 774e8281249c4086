"""A strict reader of the wire: frames, RFC 5424 packets, key=value pairs and metrics.

Pure functions. They accept only what every known reader of such lines understands, so what passes
here is safe to send. Errors tell the place and the rule and never quote what was read, because
that may hold credentials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

MAX_PACKET_BYTES = 10_240
"""The largest packet that Logplex reads, in bytes without its length prefix."""


class Malformed(ValueError):
    """What was read breaks a rule; the message names the offset, counted from 0, and the rule.

    `rule` is the rule's name, by which it is explained.
    """

    def __init__(self, message: str, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Packet:
    """One RFC 5424 packet; `text` is without the newline that ends it."""

    priority: int
    timestamp: str
    hostname: str
    appname: str
    procid: str
    msgid: str
    structured_data: str
    text: str

    @property
    def facility(self) -> int:
        """The syslog facility, 0 to 23; local7 is 23."""
        return self.priority >> 3

    @property
    def severity(self) -> int:
        """The syslog severity, 0 (emergency) to 7 (debug)."""
        return self.priority & 7


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `kind` is measure, sample or count; `unit` is letters or empty.

    `source` is that of the line that holds it, and empty where there is none.
    """

    kind: str
    name: str
    value: Decimal
    unit: str
    source: str = ""


_LENGTH = re.compile(rb"([0-9]*)( ?)")


def split_frames(body: bytes) -> list[bytes]:
    """The packets of a body of octet-counted frames; an empty body has none.

    Raises Malformed for anything but `LEN SP packet` repeated without a gap.
    """
    frames: list[bytes] = []
    position = 0
    end = len(body)
    while position < end:
        match = _LENGTH.match(body, position)
        digits, space = match.groups() if match else (b"", b"")
        if not digits:
            raise Malformed(
                f"byte {position}: a frame must begin with its length in digits", "frame.length"
            )
        if digits.startswith(b"0"):
            raise Malformed(
                f"byte {position}: a frame length must not begin with a zero", "frame.zero"
            )
        if not space:
            raise Malformed(
                f"byte {position + len(digits)}: one space must follow a frame length",
                "frame.length",
            )
        # Six digits are too many in any case, and int() is slow or fails on very long ones.
        length = int(digits) if len(digits) < 6 else MAX_PACKET_BYTES + 1
        if length > MAX_PACKET_BYTES:
            raise Malformed(
                f"byte {position}: a packet is longer than {MAX_PACKET_BYTES} bytes",
                "frame.too-long",
            )
        start = position + len(digits) + 1
        position = start + length
        if position > end:
            raise Malformed(
                f"byte {start}: the frame length is {length}, but only {end - start} bytes follow",
                "frame.count",
            )
        frames.append(body[start:position])
    return frames


# One row for each element in its order: name, form, rule. The whole form and the words of an
# error are both made of these rows, so they cannot disagree.
_ELEMENTS = (
    ("priority", rb"<(0|[1-9][0-9]?|1[0-8][0-9]|19[01])>", "must be <0> to <191>"),
    ("version", rb"1 ", "must be 1 and a space"),
    (
        "time",
        rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}\.[0-9]{6}\+00:00) ",
        "must have the form 2026-11-20T12:34:56.123456+00:00",
    ),
    ("hostname", rb"([!-~]{1,255}) ", "must be 1 to 255 printable ASCII characters"),
    ("appname", rb"([!-~]{1,48}) ", "must be 1 to 48 printable ASCII characters"),
    ("procid", rb"([!-~]{1,128}) ", "must be 1 to 128 printable ASCII characters"),
    ("msgid", rb"(-) ", "must be -"),
    ("structured data", rb"(-) ", "must be -"),
    ("text", rb"([^\x00-\x08\x0a-\x1f\x7f]*)\n", "must end with the only newline"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BOM = "\ufeff".encode()


def _whole(*, optional: str = "") -> re.Pattern[bytes]:
    return re.compile(
        b"".join(b"(?:" + form + b")?" if name == optional else form for name, form, _ in _ELEMENTS)
    )


_PACKET = _whole()
_PACKET_OR_BARE = _whole(optional="structured data")


@lru_cache(maxsize=64)
def _is_date(text: bytes) -> bool:
    try:
        date.fromisoformat(text.decode("ascii"))
    except ValueError:
        return False
    return True


def parse_packet(packet: bytes, *, structured_data: bool = True) -> Packet:
    """The parts of one packet, which is what a frame holds after its length and the space.

    With `structured_data=False` a packet that leaves the structured data out is read as well; its
    `structured_data` is then empty. Raises Malformed.
    """
    match = (_PACKET if structured_data else _PACKET_OR_BARE).fullmatch(packet)
    if match is None:
        raise Malformed(*_fault(packet, structured_data))
    priority, timestamp, hostname, appname, procid, msgid, data, text = match.groups()
    if not _is_date(timestamp[:10]):
        raise Malformed(
            f"byte {match.start(2)}: time must be a date of the calendar", "packet.calendar"
        )
    if text.startswith(_BOM):
        raise Malformed(
            f"byte {match.start(8)}: text must not begin with a byte order mark", "packet.bom"
        )
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(
            f"byte {match.start(8) + error.start}: text must be UTF-8", "packet.utf-8"
        ) from None
    return Packet(
        int(priority),
        timestamp.decode("ascii"),
        hostname.decode("ascii"),
        appname.decode("ascii"),
        procid.decode("ascii"),
        msgid.decode("ascii"),
        data.decode("ascii") if data else "",
        decoded,
    )


def _fault(packet: bytes, structured_data: bool) -> tuple[str, str]:
    """The first fault of a packet in words, and the name of the rule that it breaks."""
    position = 0
    for name, form, rule in _ELEMENTS:
        match = re.compile(form).match(packet, position)
        if match is not None:
            position = match.end()
        elif name == "text":
            control = _CONTROL.search(packet, position)
            if control is None:
                return f"byte {len(packet)}: text {rule}", "packet.end"
            code = ord(control.group())
            told = f"byte {control.start()}: text must not hold the control 0x{code:02x}"
            return told, "packet.control"
        elif name != "structured data" or structured_data:
            return f"byte {position}: {name} {rule}", f"packet.{name.replace(' ', '-')}"
    return f"byte {position - 1}: text must end with the only newline", "packet.newline"


_KEY = r'[^\x00-\x20="\x7f]+'
_PLAIN = r'[^"\\\x00-\x1f\x7f]*'
_ESCAPE = r'\\(?:["\\nrt]|u00[0-9a-fA-F]{2})'
_PAIR = re.compile(
    rf'({_KEY})=(?:"({_PLAIN}(?:{_ESCAPE}{_PLAIN})*)"|([^\x00-\x20="\\\x7f]+))(?= |\Z)'
)
_ESCAPED = re.compile(_ESCAPE)
_MEANING = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def parse_pairs(text: str) -> list[tuple[str, str]]:
    r"""The key=value pairs of a text in order, with escapes undone; an empty text has none.

    Pairs stand one space apart. A value may be quoted, with the escapes `\"`, `\\`, `\n`, `\r`,
    `\t` and `\u00XX` only. Raises Malformed, with the offset in characters.
    """
    pairs: list[tuple[str, str]] = []
    position = 0
    while text:
        match = _PAIR.match(text, position)
        if match is None:
            raise Malformed(*_pair_fault(text, position))
        key, quoted, bare = match.groups()
        pairs.append((key, bare if quoted is None else _ESCAPED.sub(_unescaped, quoted)))
        position = match.end()
        if position == len(text):
            break
        position += 1
    return pairs


def _unescaped(match: re.Match[str]) -> str:
    escape = match.group()
    return _MEANING.get(escape) or chr(int(escape[2:], 16))


def _pair_fault(text: str, position: int) -> tuple[str, str]:
    key = re.compile(rf"({_KEY})=").match(text, position)
    if key is None:
        return f"character {position}: a pair must begin with a key and =", "pair.key"
    start = key.end()
    if text[start : start + 1] != '"':
        told = f"character {start}: a bare value must not be empty or hold what needs quotes"
        return told, "pair.bare"
    good = re.compile(rf"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*").match(text, start + 1)
    stop = good.end() if good else start + 1
    if stop == len(text):
        return f"character {start}: a quoted value must end with a quote", "pair.unterminated"
    if text[stop] == "\\":
        return f"character {stop}: a quoted value holds an unknown escape", "pair.escape"
    if text[stop] == '"':
        told = f"character {stop + 1}: one space or the end must follow a quoted value"
        return told, "pair.after-quote"
    return f"character {stop}: a quoted value must not hold a raw control character", "pair.control"


_METRIC_KEY = re.compile(rf"(measure|sample|count)#({_KEY})")
_METRIC_VALUE = re.compile(r"([0-9]+(?:\.[0-9]{1,6})?)([a-zA-Z]*)")


def is_metric(key: str) -> bool:
    """Whether a key names a metric: `measure#NAME`, `sample#NAME` or `count#NAME`."""
    return _METRIC_KEY.fullmatch(key) is not None


def parse_metric(key: str, value: str) -> Metric:
    """The metric that a pair stands for, as l2met reads it.

    The number is not negative, fixed point, with at most six decimals; the unit is letters glued
    to it. Raises Malformed.
    """
    name = _METRIC_KEY.fullmatch(key)
    if name is None:
        raise Malformed(
            "character 0: the key must be measure#NAME, sample#NAME or count#NAME", "metric.name"
        )
    number = _METRIC_VALUE.fullmatch(value)
    if number is None:
        raise Malformed(
            "character 0: the value must be digits, at most six decimals and a unit of letters",
            next(rule for rule, form in _MISREAD if form.match(value)),
        )
    return Metric(name.group(1), name.group(2), Decimal(number.group(1)), number.group(2))


# What a value is that is no number for l2met, by the first form that fits.
_MISREAD = (
    ("metric.sign", re.compile(r"[+-]")),
    ("metric.hex", re.compile(r"0[xX]")),
    ("metric.exponent", re.compile(r"[0-9.]+[eE][+-]?[0-9]")),
    ("metric.separator", re.compile(r"[0-9]+,")),
    ("metric.decimals", re.compile(r"[0-9]*\.[0-9]*[a-zA-Z]*\Z")),
    ("metric.unit", re.compile(r"[0-9]")),
    ("metric.number", re.compile(r"")),
)
