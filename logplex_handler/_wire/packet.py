"""A text becomes RFC 5424 packets, and each packet an octet-counted frame.

All functions here are pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from typing import TypeAlias

# Logplex silently drops the whole request if one packet is longer than this.
MAX_PACKET_BYTES = 10_240
# Logplex answers a body over this with an error or a reset connection.
MAX_BODY_BYTES = 8_000_000
# RFC 5424, 6.1: receivers should accept 2,048 octets. With the longest header (480 bytes), that
# leaves room for any line of metrics.
MIN_PACKET_BYTES = 2_048

# RFC 5424, 6: the maximum length of each field.
MAX_HOSTNAME = 255
MAX_APPNAME = 48
MAX_PROCID = 128

# The last second of the year 9999, since the year of a timestamp has four digits.
_LAST_SECOND = 253_402_300_799.0

_UTC = "+00:00"
_NEEDS_CARE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_HARMLESS = bytes([0x09, *range(0x20, 0x7F)])
_BOM = "\ufeff"
_BOM_BYTES = _BOM.encode()
_REPLACEMENT = "\ufffd".encode()
_NAMED_ESCAPES = {"\n": "\\n", "\r": "\\r"}


def field(text: str, longest: int, *, dashes: bool = True) -> str:
    """Return the text as a header field that all readers accept: `[a-z0-9.-]`, cut to length.

    Letters become lower-case; other characters become `-`, or `.` without `dashes`. The field is
    empty if no character of the text can be used.
    """
    other = "-" if dashes else "."
    kept = r"[^a-z0-9.-]" if dashes else r"[^a-z0-9.]"
    safe = re.sub(kept, other, text.lower())[:longest]
    return safe if safe.strip("-.") else ""


def lines(text: str) -> list[str]:
    """Return the lines of a text. Most texts have one, which is found thirty times as fast."""
    return text.split("\n") if "\n" in text else [text]


def one_line(text: str) -> str:
    """Return the text with escapes (`\\n`, `\\u001b`) for characters not allowed in packets.

    Tabs stay. A lone surrogate, which UTF-8 cannot encode, becomes U+FFFD. A byte order mark is
    escaped only at the beginning; elsewhere it does no harm.
    """
    if text.isascii():
        # This takes one nanosecond per character instead of five.
        if text.encode().translate(None, _HARMLESS):
            text = _NEEDS_CARE.sub(_visible, text)
        return text
    if _NEEDS_CARE.search(text):
        text = _NEEDS_CARE.sub(_visible, text)
    return "\\ufeff" + text[1:] if text.startswith(_BOM) else text


def _encoded(line: str) -> bytes:
    """Return the line in UTF-8, without a search for characters not allowed in packets."""
    try:
        body = line.encode()
    except UnicodeEncodeError:
        return one_line(line).encode()
    return one_line(line).encode() if body.startswith(_BOM_BYTES) else body


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _NAMED_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def severity(level: int) -> int:
    """Return the syslog severity of a logging level, rounded down to the nearest named level."""
    if level >= 50:
        return 2
    if level >= 40:
        return 3
    if level >= 30:
        return 4
    return 6 if level >= 20 else 7


def in_calendar(created: float) -> float:
    """Return the time, or the nearest one that a packet's timestamp can express (1970 to 9999).

    A wrong clock is no reason to lose a record. NaN stays NaN.
    """
    return created if 0.0 <= created <= _LAST_SECOND else min(max(created, 0.0), _LAST_SECOND)


def timestamp(created: float) -> str:
    """Return seconds since the epoch as UTC with microseconds, as all readers accept them."""
    second, microsecond = rounded(in_calendar(created))
    return f"{_date(second)}.{microsecond:06d}{_UTC}"


def rounded(created: float) -> tuple[int, int]:
    """Return the second and the microsecond in which a time falls, after rounding to the latter."""
    second = math.floor(created)
    microsecond = int((created - second) * 1e6 + 0.5)
    return (second, microsecond) if microsecond < 1_000_000 else (second + 1, 0)


def millisecond(created: float) -> tuple[float, float, str]:
    """Return the second of a time, the first microsecond of its millisecond, and both as text."""
    second, microsecond = rounded(created)
    number = microsecond // 1000
    return float(second), number * 1000.0, f"{_date(second)}.{number:03d}"


@lru_cache(maxsize=8)
def _date(start: int) -> str:
    return datetime.fromtimestamp(start, timezone.utc).replace(tzinfo=None).isoformat()


# The text of a packet as fragments to be joined, because each copy of a long text takes time.
Fragments: TypeAlias = list[bytes | memoryview]
# Cuts a line in UTF-8 into the texts of several packets, of at most so many bytes each. The line is
# in fragments: each second one is a value that was made safe by itself, or the text between a
# value's quotes.
Cut: TypeAlias = Callable[[Sequence[bytes], int], list[Fragments]]


@dataclass(frozen=True, repr=False)
class PacketForm:
    """The form of all packets of one sender.

    The header fields were made safe by `field`. The appname may be a token, so there is no repr.

    Attributes:
        facility: The number of the syslog facility, 0 to 23.
        structured_data: Whether packets carry the `-` of RFC 5424 for "no structured data".
    """

    hostname: str
    appname: str
    procid: str
    facility: int
    structured_data: bool
    max_packet_bytes: int

    @cached_property
    def _fields(self) -> str:
        fields = f"{self.hostname} {self.appname} {self.procid} -"
        return f" {fields} - " if self.structured_data else f" {fields} "

    @cached_property
    def after_time(self) -> str:
        """The part of a packet between the microseconds and the text."""
        return f"{_UTC}{self._fields}"

    @cached_property
    def room(self) -> int:
        """Bytes of text that fit into one packet of any severity."""
        before_zone = len("<191>1 1970-01-01T00:00:00.000000")
        return self.max_packet_bytes - before_zone - len(self.after_time) - len("\n")

    def priority(self, level: int) -> str:
        return f"<{self.facility * 8 + severity(level)}>1 "

    def count(self, text: str) -> int:
        """Return the number of frames of a text; an estimate if the text is long."""
        if len(text) * 4 <= self.room and "\n" not in text:
            return 1
        return sum([len(line) // self.room + 1 for line in lines(text)])

    def frames(
        self,
        created: float,
        level: int,
        text: str,
        cut: Cut | None = None,
        *,
        is_clean: bool = False,
    ) -> list[bytes]:
        """Return the frames of a text: one for each line, or several if a line is too long for one.

        Every packet ends with the one newline that line-based readers need. Every frame begins with
        the length of its packet in bytes.

        Args:
            cut: Cuts a line that is too long. Default: `pieces`.
            is_clean: Whether `one_line` would return each line of the text unchanged, except for
                lone surrogates and a byte order mark.
        """
        header = f"{self.priority(level)}{timestamp(created)}{self._fields}".encode()
        frames = []
        for line in lines(text):
            body = _encoded(line) if is_clean else one_line(line).encode()
            frames += self._frames_of_line(header, body, cut)
        return frames

    def frame(self, created: float, level: int, text: str) -> bytes:
        """Return the frame of a clean ASCII text that is known to fit into one packet."""
        header = f"{self.priority(level)}{timestamp(created)}{self._fields}"
        packet = f"{header}{text}\n".encode()
        return b"%d %b" % (len(packet), packet)

    def frames_of_packet(self, packet: Sequence[bytes], header: int, cut: Cut) -> list[bytes]:
        """Return the frames of a packet of one line that is too long.

        Args:
            packet: Its fragments, as `Cut` takes those of a line.
            header: The length of the part before the line.
        """
        line = [packet[0][header:], *packet[1:]]
        line[-1] = line[-1][:-1]
        return _framed(packet[0][:header], cut(line, self.room))

    def _frames_of_line(self, header: bytes, line: bytes, cut: Cut | None) -> list[bytes]:
        if len(line) <= self.room:
            return [b"%d %b%b\n" % (len(header) + len(line) + 1, header, line)]
        return _framed(header, cut([line], self.room) if cut else pieces(line, self.room))


def _framed(header: bytes, texts: Iterable[Fragments]) -> list[bytes]:
    size = len(header) + len(b"\n")
    return [
        b"".join((b"%d " % (sum(map(len, text), size)), header, *text, b"\n")) for text in texts
    ]


def readdressed(frame: bytes, old: PacketForm, new: PacketForm) -> bytes:
    """Return the frame with another form's hostname and appname, or unchanged if it got too long.

    A field that both forms share is left alone, even if the frame has another value there because
    another process made it.
    """
    parts = frame.split(b" ", 5)
    if len(parts) < 6:
        return frame
    if new.hostname != old.hostname:
        parts[3] = new.hostname.encode()
    if new.appname != old.appname:
        parts[4] = new.appname.encode()
    packet = b" ".join(parts[1:])
    return frame if len(packet) > MAX_PACKET_BYTES else b"%d %b" % (len(packet), packet)


def pieces(body: bytes, room: int) -> list[Fragments]:
    """Return the UTF-8 text, cut between characters into pieces of at most `room` bytes."""
    found = []
    start = 0
    while len(body) - start > room:
        end = _cut(body, start, start + room)
        found.append(body[start:end])
        start = end
    found.append(body[start:])
    # A piece begins with a byte order mark only if the text around the cut is nothing but marks.
    return [
        [_REPLACEMENT, piece.removeprefix(_BOM_BYTES)] if piece.startswith(_BOM_BYTES) else [piece]
        for piece in found
    ]


def _cut(body: bytes, start: int, end: int) -> int:
    """Return the last index up to `end` at which the text of another packet may begin."""
    # The text of a packet must not begin with a byte order mark.
    last = end
    while last > start:
        while body[last] & 0xC0 == 0x80:
            last -= 1
        if last > start and not body.startswith(_BOM_BYTES, last):
            return last
        last -= 1
    while body[end] & 0xC0 == 0x80:
        end -= 1
    return end
