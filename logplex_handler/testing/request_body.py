"""Reads a request's body as Logplex does: the content encoding, then the frames.

Pure functions. The two framings, octet counted and ended by a newline, are Logplex's own.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib

from logplex_handler.testing._http_connection import HttpRequest
from logplex_handler.testing._octet_counts import find_wrong_count
from logplex_handler.testing._violations import Violation
from logplex_handler.testing.wire_parser import (
    MAX_FRAMES,
    MAX_PACKET_BYTES,
    Malformed,
    split_frames,
)

# Bytes. A few kilobytes of gzip may decompress to gigabytes.
_MAX_DECOMPRESSED = 64 * 1024 * 1024


def decode(request: HttpRequest) -> tuple[bytes | None, Violation | None]:
    """The body without its content encoding, or None and the reason why Logplex cannot read it."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        body = decompress(request.body)
        if body is None:
            message = "the body is not what Content-Encoding: gzip says"
            return None, Violation(message, "http.gzip")
        if len(body) > _MAX_DECOMPRESSED:
            message = f"the body is over {_MAX_DECOMPRESSED} bytes when it is decompressed"
            return None, Violation(message, "http.too-large")
        return body, None
    if encoding != "identity":
        message = f"lines lost: Content-Encoding {encoding} is not understood"
        return None, Violation(message, "http.encoding")
    if request.body.startswith(b"\x1f\x8b"):
        message = "lines lost: the body is gzip, but Content-Encoding does not say so"
        return None, Violation(message, "http.gzip-unnamed")
    if not any(name in request.headers for name in ("Content-Length", "Transfer-Encoding")):
        message = "lines lost: neither Content-Length nor chunks, so the body was not read"
        return b"", Violation(message, "http.no-length")
    return request.body, None


def decompress(body: bytes) -> bytes | None:
    """A decompressed gzip body, cut one byte above the limit; None if it is not gzip."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as compressed:
            return compressed.read(_MAX_DECOMPRESSED + 1)
    except (OSError, EOFError, zlib.error):
        return None


# Framing faults that a wrong octet count does not cause.
_NOT_A_WRONG_COUNT = ("frame.too-long", "http.too-large")
_LENGTH = re.compile(rb"([1-9][0-9]{0,9})( |\Z)")


def find_frames(body: bytes) -> tuple[list[bytes], bool, Violation | None]:
    """The frames that Logplex finds, whether some are malformed, and why it drops the rest."""
    try:
        return split_frames(body), False, None
    except Malformed as error:
        fault = _framing_fault(error, body)
    frames: list[bytes] = []
    malformed = False
    position = 0
    while position < len(body) and len(frames) < MAX_FRAMES:
        length = _LENGTH.match(body, position)
        if length and not length.group(2):
            break
        if length and int(length.group(1)) <= MAX_PACKET_BYTES:
            end = length.end() + int(length.group(1))
            if end > len(body):
                break
            frames.append(body[length.end() : end])
            position = end
            continue
        # Without a length, Logplex reads up to the next newline, and refuses the message.
        newline = body.find(b"\n", position)
        if newline < 0:
            break
        malformed = True
        position = newline + 1
    return frames, malformed, fault


def _framing_fault(error: Malformed, body: bytes) -> Violation:
    message = f"framing: {error}"
    wrong = None if error.rule in _NOT_A_WRONG_COUNT else wrong_count_violation(body)
    if wrong is None:
        return Violation(message, error.rule)
    return Violation(message, "frame.count", frame=wrong.frame, finding=f"{wrong} ({message})")


def wrong_count_violation(body: bytes) -> Violation | None:
    """The first frame with a wrong octet count as a violation; None if every count is right."""
    wrong = find_wrong_count(body)
    if wrong is None:
        return None
    number, description = wrong
    return Violation(f"frame {number}: {description}", "frame.count", frame=number)
