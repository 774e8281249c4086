"""A strict reader of the wire: frames and RFC 5424 packets.

Pure functions. They accept only what every known reader of such lines understands, so what passes
here is safe to send. Errors tell the place and the rule and never quote what was read, because
that may hold credentials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

MAX_PACKET_BYTES = 10_240
"""The largest packet that Logplex reads, in bytes without its length prefix."""

MAX_FRAMES = 200_000
"""The most frames that are read of one body: more than 8,000,000 bytes of good ones hold."""


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


_LENGTH = re.compile(rb"([0-9]*)( ?)")


def split_frames(body: bytes) -> list[bytes]:
    """The packets of a body of octet-counted frames; an empty body has none.

    Raises Malformed for anything but `LEN SP packet` repeated without a gap.
    """
    frames: list[bytes] = []
    position = 0
    end = len(body)
    while position < end:
        if len(frames) == MAX_FRAMES:
            told = f"byte {position}: there are more than {MAX_FRAMES:,} frames"
            raise Malformed(told, "http.too-large")
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
