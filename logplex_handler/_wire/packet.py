"""A text becomes RFC 5424 packets, and each packet an octet-counted frame.

Everything here is a pure function of its arguments.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property, lru_cache

# Logplex loses the whole request, in silence, for one packet longer than this.
MAX_PACKET_BYTES = 10_240
# RFC 5424, 6.1: receivers should take 2,048 octets. With the longest header (480 bytes) that
# leaves room for any line of metrics.
MIN_PACKET_BYTES = 2_048

# RFC 5424, 6: the longest that each field may be.
MAX_HOSTNAME = 255
MAX_APPNAME = 48
MAX_PROCID = 128

# The last second that a time stamp with a year of four digits can name.
_LAST_SECOND = 253_402_300_799.0

_UTC = "+00:00"
_NEEDS_CARE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_BOM = "\ufeff"
_BOM_BYTES = _BOM.encode()
_REPLACEMENT = "\ufffd".encode()
_NAMED_ESCAPES = {"\n": "\\n", "\r": "\\r"}


def field(text: str, longest: int, *, dashes: bool = True) -> str:
    """The text as a header field that every reader takes: lower-case `[a-z0-9.-]`, cut to size.

    Other characters become `-`, or `.` where dashes are not wanted. Without any usable character
    it is empty.
    """
    other = "-" if dashes else "."
    kept = r"[^a-z0-9.-]" if dashes else r"[^a-z0-9.]"
    safe = re.sub(kept, other, text.lower())[:longest]
    return safe if safe.strip("-.") else ""


def one_line(text: str) -> str:
    """The text with what a packet must not hold made visible: `\\n`, `\\u001b`.

    Tabs stay. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD. A byte order mark stays
    where it does no harm, behind the first character.
    """
    if _NEEDS_CARE.search(text):
        text = _NEEDS_CARE.sub(_visible, text)
    return "\\ufeff" + text[1:] if text.startswith(_BOM) else text


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _NAMED_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def severity(level: int) -> int:
    """The syslog severity of a logging level; one between two has that of the one below."""
    if level >= 50:
        return 2
    if level >= 40:
        return 3
    if level >= 30:
        return 4
    return 6 if level >= 20 else 7


def in_calendar(created: float) -> float:
    """The time, or the nearest that a time stamp of a packet can name: 1970 to 9999.

    A clock may be off; that is no reason to lose the record. NaN stays as it is.
    """
    return min(max(created, 0.0), _LAST_SECOND)


def timestamp(created: float) -> str:
    """Seconds since the epoch as UTC with microseconds, in the one form that all readers take."""
    created = in_calendar(created)
    start, date = second(created)
    return f"{date}.{microsecond(created - start):06d}{_UTC}"


def second(created: float) -> tuple[int, str]:
    """The second that a time is in, rounded to microseconds, and its date."""
    start = math.floor(created)
    start += microsecond(created - start) == 1_000_000
    return start, _date(start)


def millisecond(created: float) -> tuple[float, float, str]:
    """The second that a time is in, the first microsecond of its millisecond, and these as text."""
    start, date = second(created)
    number = microsecond(created - start) // 1000
    return float(start), number * 1000.0, f"{date}.{number:03d}"


def microsecond(offset: float) -> int:
    """Seconds after the start of one as microseconds."""
    return max(0, int(offset * 1e6 + 0.5))


@lru_cache(maxsize=8)
def _date(start: int) -> str:
    return datetime.fromtimestamp(start, timezone.utc).replace(tzinfo=None).isoformat()


@dataclass(frozen=True, repr=False)
class PacketForm:
    """What all packets of one sender share.

    Args:
        hostname, appname, procid: Header fields that are safe already. The appname may be a
            token, so this object has no repr.
        facility: 0 to 23.
        structured_data: Whether the `-` of RFC 5424 for "no structured data" is written.
        max_packet_bytes: The longest packet; a longer text goes in several.
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

    @property
    def after_time(self) -> str:
        """What a packet has between its microseconds and its text."""
        return f"{_UTC}{self._fields}"

    @cached_property
    def room(self) -> int:
        """How many bytes of text fit one packet, whatever its severity."""
        return self.max_packet_bytes - len(f"<191>1 {timestamp(0)}{self._fields}\n")

    def priority(self, level: int) -> str:
        """What a packet of a level begins with."""
        return f"<{self.facility * 8 + severity(level)}>1 "

    def count(self, text: str) -> int:
        """How many frames a text makes, or an estimate of it where the text is long."""
        if len(text) * 4 <= self.room and "\n" not in text:
            return 1
        return sum([len(line) // self.room + 1 for line in text.split("\n")])

    def frames(self, created: float, level: int, text: str) -> list[bytes]:
        """The frames of a text: one for each of its lines, or more where a line is too long.

        Every packet ends with the one newline that line-based readers need, and each frame begins
        with its packet's length in bytes.
        """
        header = f"{self.priority(level)}{timestamp(created)}{self._fields}".encode()
        frames = []
        for line in text.split("\n"):
            body = one_line(line).encode()
            for piece in [body] if len(body) <= self.room else _pieces(body, self.room):
                packet = b"%b%b\n" % (header, piece)
                frames.append(b"%d %b" % (len(packet), packet))
        return frames


def readdressed(frame: bytes, old: PacketForm, new: PacketForm) -> bytes:
    """The frame with another hostname and appname; as it was if it would be too long so.

    What is the same in both forms stays, also where the frame is another process's and it is not
    the same there.
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


def _pieces(body: bytes, room: int) -> list[bytes]:
    """The UTF-8 text in pieces of at most `room` bytes, cut between characters."""
    pieces = []
    start = 0
    while len(body) - start > room:
        end = _cut(body, start, start + room)
        pieces.append(body[start:end])
        start = end
    pieces.append(body[start:])
    # Only a run of nothing but marks is cut before one.
    return [
        _REPLACEMENT + piece.removeprefix(_BOM_BYTES) if piece.startswith(_BOM_BYTES) else piece
        for piece in pieces
    ]


def _cut(body: bytes, start: int, end: int) -> int:
    """The last place at or before `end` where a new packet's text may begin."""
    # A byte order mark must not come first in a packet.
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
