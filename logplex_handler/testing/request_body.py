"""Reads a request's body as Logplex does: the content encoding, then the frames.

Pure functions. The two framings, octet counted and ended by a newline, are Logplex's own.
"""

from __future__ import annotations

import re
import zlib

from logplex_handler.testing._http_connection import HttpRequest
from logplex_handler.testing.conventions import Violation
from logplex_handler.testing.wire_parser import (
    MAX_FRAMES,
    MAX_PACKET_BYTES,
    Malformed,
    frames_from,
    split_frames,
)

# The most bytes of a decompressed body, twice as many as another body may have. A few kilobytes of
# gzip may become gigabytes.
_MAX_DECOMPRESSED = 16 * 1024 * 1024
# zlib's sign for a member of gzip, and the bytes that are decompressed at a time: those behind a
# member are copied, and a member may have 20 bytes.
_GZIP = 31
_PIECE = 1024
_PADDING = re.compile(rb"\0*")


def decode(request: HttpRequest) -> tuple[bytes | None, Violation | None]:
    """Return the body as Logplex reads it, or None if it cannot, and why its lines are lost."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding == "gzip":
        body = decompress(request.body)
        if body is None:
            message = "the body is not what Content-Encoding: gzip says"
            return None, Violation(message, "http.gzip")
        if len(body) > _MAX_DECOMPRESSED:
            message = f"the body is over {_MAX_DECOMPRESSED} bytes when it is decompressed"
            return None, Violation(message, "http.too-large")
        return body, None
    if not any(name in request.headers for name in ("Content-Length", "Transfer-Encoding")):
        message = "lines lost: neither Content-Length nor chunks, so the body was not read"
        return b"", Violation(message, "http.no-length")
    if request.body[:1].isdigit():
        return request.body, None
    if encoding.lower() not in ("", "identity"):
        message = "lines lost: the body has another Content-Encoding than gzip"
        return request.body, Violation(message, "http.encoding")
    if request.body.startswith(b"\x1f\x8b"):
        message = "lines lost: the body is gzip, but Content-Encoding does not say so"
        return request.body, Violation(message, "http.gzip-unnamed")
    return request.body, None


def decompress(body: bytes) -> bytes | None:
    """Return a decompressed gzip body, cut one byte above the limit, or None if it is not gzip."""
    text = bytearray()
    position = 0
    try:
        while position < len(body) and len(text) <= _MAX_DECOMPRESSED:
            # A body may have many members, perhaps with zeros behind them.
            member = zlib.decompressobj(_GZIP)
            while not member.eof and len(text) <= _MAX_DECOMPRESSED:
                piece = body[position : position + _PIECE]
                if not piece:
                    return None
                text += member.decompress(piece, _MAX_DECOMPRESSED + 1 - len(text))
                position += len(piece) - len(member.unconsumed_tail) - len(member.unused_data)
            padding = _PADDING.match(body, position)
            position = padding.end() if padding else position
    except zlib.error:
        return None
    return bytes(text)


# Framing faults that a wrong octet count does not cause.
_NOT_A_WRONG_COUNT = ("frame.too-long", "http.too-large")
# The malformed messages after which the rest of a body is not read: nothing of it is routed, and it
# may consist of millions.
_MAX_MALFORMED = 1_000
# The beginning of a frame that Logplex waits for: a length that fits, or digits up to the end.
_INCOMPLETE = re.compile(rb"[1-9][0-9]{0,9}\Z|([1-9][0-9]{0,4}) ")


def find_frames(body: bytes) -> tuple[list[bytes], bool, Violation | None]:
    """Return the frames that Logplex finds, whether any is malformed, and why it drops others."""
    try:
        return split_frames(body), False, None
    except Malformed as error:
        fault = _framing_fault(error, body)
    frames: list[bytes] = []
    malformed = 0
    position = 0
    while len(frames) < MAX_FRAMES and malformed < _MAX_MALFORMED:
        more, position = frames_from(body, position)
        frames += more[: MAX_FRAMES - len(frames)]
        begun = _INCOMPLETE.match(body, position)
        if begun and (not begun.group(1) or int(begun.group(1)) <= MAX_PACKET_BYTES):
            break
        # Without a length, Logplex reads up to the next newline, and refuses the message.
        newline = body.find(b"\n", position)
        if newline < 0:
            break
        malformed += 1
        position = newline + 1
    return frames, malformed > 0, fault


def _framing_fault(error: Malformed, body: bytes) -> Violation:
    message = f"framing: {error}"
    wrong = None if error.rule in _NOT_A_WRONG_COUNT else wrong_count_violation(body)
    if wrong is None:
        return Violation(message, error.rule)
    return Violation(message, "frame.count", frame=wrong.frame, finding=f"{wrong} ({message})")


_HEADER = re.compile(rb"[1-9][0-9]{0,4} <[0-9]{1,3}>1 ")
_ZERO = re.compile(rb"0[0-9]* ")
_COUNT = re.compile(rb"([1-9][0-9]{0,5}) ")


def wrong_count_violation(body: bytes) -> Violation | None:
    """Return the first frame with a wrong octet count as a violation, or None.

    A count is right if the next packet's header or the end of the body follows the frame. The fault
    may also be something between or after the frames.
    """
    position = 0
    number = 0
    while (length := _COUNT.match(body, position)) is not None:
        number += 1
        count, start = int(length.group(1)), length.end()
        position = start + count
        next_header = _HEADER.search(body, start)
        end = next_header.start() if next_header else len(body)
        in_step = position == len(body) or _HEADER.match(body, position) is not None
        # A count that is too large may swallow digits of the next count, and the remaining digits
        # look like a count. But no packet continues after a newline.
        if end == position or (in_step and body[end - 1 : end] != b"\n"):
            continue
        if end > position and (body[start:position].endswith(b"\n") or _ZERO.match(body, position)):
            return None
        message = f"octet count {count}, but the packet ends after {end - start} bytes"
        return Violation(f"frame {number}: {message}", "frame.count", frame=number)
    return None
