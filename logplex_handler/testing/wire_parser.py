"""A strict parser of the wire format: frames and RFC 5424 packets.

All functions are pure. They accept only what every known reader of this format understands, so
anything that passes here is safe to send. Errors name the offset and the rule; they never quote the
input, which may contain credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache, partial
from itertools import islice
from typing import NamedTuple

MAX_PACKET_BYTES = 10_240
"""The largest packet that Logplex reads, in bytes, without its octet count."""

MAX_FRAMES = 200_000
"""The most frames read from one body; 8,000,000 bytes of valid frames hold fewer."""


class Malformed(ValueError):
    """The input breaks a rule; the message names the offset, from 0, and the rule.

    `rule` is the rule's key in the table of explanations.
    """

    def __init__(self, message: str, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class Packet(NamedTuple):
    """One RFC 5424 packet; `text` is without its final newline."""

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


# A packet from a tuple of its elements, in half the time of a call of `Packet`.
_new_packet = partial(tuple.__new__, Packet)

_FRAME = re.compile(rb"([1-9][0-9]{0,4}) ")
_DIGITS = re.compile(rb"[0-9]*")


def split_frames(body: bytes) -> list[bytes]:
    """Split a body into the packets of its octet-counted frames; an empty body has none.

    Raises Malformed unless the body consists of `LEN SP packet`, repeated without gaps.
    """
    frames, position = frames_from(body, 0)
    if position < len(body):
        raise Malformed(*_framing_fault(body, position, len(frames)))
    return frames


def frames_from(body: bytes, position: int) -> tuple[list[bytes], int]:
    """Return the packets of the frames at `position`, at most `MAX_FRAMES`, and where they end."""
    spans = list(islice(frame_spans(body, position), MAX_FRAMES))
    return [body[start:end] for _, start, end in spans], spans[-1][2] if spans else position


def frame_spans(body: bytes, position: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield the offset of each frame from `position` on, those of its packet, and of its end."""
    while length := _FRAME.match(body, position):
        start = length.end()
        end = start + int(length.group(1))
        if end > len(body) or end - start > MAX_PACKET_BYTES:
            break
        yield position, start, end
        position = end


def _framing_fault(body: bytes, position: int, count: int) -> tuple[str, str]:
    """Return why no frame begins at `position` after `count` frames, and the broken rule."""
    digits = _DIGITS.match(body, position)
    start = digits.end() if digits else position
    if count == MAX_FRAMES:
        return f"byte {position}: there are more than {MAX_FRAMES:,} frames", "http.too-large"
    if start == position:
        return f"byte {position}: a frame must begin with its length in digits", "frame.length"
    if body[position : position + 1] == b"0":
        return f"byte {position}: a frame length must not begin with a zero", "frame.zero"
    if body[start : start + 1] != b" ":
        return f"byte {start}: one space must follow a frame length", "frame.length"
    # Six digits are too many in any case, and int() is slow or fails on very long numbers.
    if start - position > 5 or int(body[position:start]) > MAX_PACKET_BYTES:
        message = f"byte {position}: a packet is longer than {MAX_PACKET_BYTES} bytes"
        return message, "frame.too-long"
    left = len(body) - start - 1
    message = f"the frame length is {int(body[position:start])}, but only {left} bytes follow"
    return f"byte {start + 1}: {message}", "frame.count"


# One row for each element, in order: name, form, rule. The pattern of a packet and the messages of
# errors are both built from these rows, so they cannot disagree.
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
_BOM = "\ufeff"


_PACKET = re.compile(b"".join(form for _, form, _ in _ELEMENTS))
# The same for a packet that is decoded, which is faster than to decode each element.
_DECODED = re.compile(_PACKET.pattern.decode("ascii"))


@lru_cache(maxsize=64)
def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_packet(packet: bytes) -> Packet:
    """Parse one packet: the part of a frame after its octet count and the space.

    Raises Malformed.
    """
    try:
        match = _DECODED.fullmatch(packet.decode("utf-8"))
    except UnicodeDecodeError as error:
        if _PACKET.fullmatch(packet) is None:
            raise Malformed(*_fault(packet)) from None
        # All elements but the text are ASCII.
        message = f"byte {error.start}: text must be UTF-8"
        raise Malformed(message, "packet.utf-8") from None
    if match is None:
        raise Malformed(*_fault(packet))
    priority, timestamp, hostname, appname, procid, msgid, data, text = match.groups()
    if not _is_date(timestamp[:10]):
        raise Malformed(
            f"byte {match.start(2)}: time must be a date of the calendar", "packet.calendar"
        )
    if text[:1] == _BOM:
        raise Malformed(
            f"byte {match.start(8)}: text must not begin with a byte order mark", "packet.bom"
        )
    return _new_packet((int(priority), timestamp, hostname, appname, procid, msgid, data, text))


def _fault(packet: bytes) -> tuple[str, str]:
    """Return a description of a packet's first fault, and the rule that it breaks."""
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
            message = f"byte {control.start()}: text must not hold the control 0x{code:02x}"
            return message, "packet.control"
        else:
            return f"byte {position}: {name} {rule}", f"packet.{name.replace(' ', '-')}"
    return f"byte {position - 1}: text must end with the only newline", "packet.newline"
