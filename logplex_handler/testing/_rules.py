"""What Logplex does with one request, and what a good sender would have done otherwise.

Pure: a request and the known tokens go in, a verdict comes out. The order of the checks and the
two framings, octet counted and ended by a newline, are those of Logplex itself.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from logplex_handler.testing._conversation import Headers, HttpAnswer, HttpRequest
from logplex_handler.testing._parse import (
    MAX_PACKET_BYTES,
    Malformed,
    Packet,
    parse_packet,
    split_frames,
)

CONTENT_TYPE = "application/logplex-1"

# Bytes. A few kilobytes can be gigabytes when they are decompressed.
_MAX_DECOMPRESSED = 64 * 1024 * 1024

# Enough to see what is wrong, without a thousand lines of it in a failed test's output.
_MAX_TOLD_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer, and the frames that Logplex finds; it routes them if the answer is a 204."""

    answer: HttpAnswer
    close: bool
    token: str
    frames: list[bytes]
    violations: tuple[str, ...]


def judge(request: HttpRequest, tokens: Collection[str], *, strict: bool) -> Verdict:
    """Decide on one request. Without `strict` only what costs lines is a violation."""
    token, answer = _authenticated(request, tokens)
    body, unread = _decoded(request)
    frames, malformed, lost = ([], False, unread) if body is None else _found(body)
    if answer is None:
        answer = _verdict_on_body(request.headers, frames, malformed, body)
    violations = [lost] if lost else []
    if answer.status in (400, 415, 500):
        violations.append(f"{answer.status}: {answer.body.decode('ascii')}")
    if strict:
        violations += _form(request)
        violations += _contents(frames)
    return Verdict(answer, answer.status == 500, token, frames, tuple(violations))


def _authenticated(request: HttpRequest, tokens: Collection[str]) -> tuple[str, HttpAnswer | None]:
    """The token of the request, and the answer if its headers alone decide that."""
    if request.method != "POST" or request.target.partition("?")[0] != "/logs":
        return "", HttpAnswer(404)
    refusal = HttpAnswer(401, headers={"WWW-Authenticate": "Basic realm=Logplex"})
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return "", refusal
    try:
        credentials = base64.b64decode(encoded, validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return "", HttpAnswer(500, b"Credentials are not base64")
    user, _, token = credentials.partition(":")
    if user != "token" or token not in tokens:
        return "", refusal
    if request.headers.get("Content-Type") != CONTENT_TYPE:
        return token, HttpAnswer(415, f"Content-Type is not {CONTENT_TYPE}".encode())
    return token, None


def _decoded(request: HttpRequest) -> tuple[bytes | None, str]:
    """The body without its content encoding, or None and why Logplex cannot read it."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(request.body)) as compressed:
                body = compressed.read(_MAX_DECOMPRESSED + 1)
        except (OSError, EOFError, zlib.error):
            return None, "the body is not what Content-Encoding: gzip says"
        if len(body) > _MAX_DECOMPRESSED:
            return None, f"the body is over {_MAX_DECOMPRESSED} bytes when it is decompressed"
        return body, ""
    if encoding != "identity":
        return None, f"lines lost: Content-Encoding {encoding} is not understood"
    if request.body.startswith(b"\x1f\x8b"):
        return None, "lines lost: the body is gzip, but Content-Encoding does not say so"
    if not any(name in request.headers for name in ("Content-Length", "Transfer-Encoding")):
        return b"", "lines lost: neither Content-Length nor chunks, so the body was not read"
    return request.body, ""


_LENGTH = re.compile(rb"([1-9][0-9]{0,9})( |\Z)")


def _found(body: bytes) -> tuple[list[bytes], bool, str]:
    """The frames Logplex finds, whether it finds malformed ones, and why it drops the rest."""
    try:
        return split_frames(body), False, ""
    except Malformed as error:
        fault = f"framing: {error}"
    frames: list[bytes] = []
    malformed = False
    position = 0
    while position < len(body):
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
        # Whatever has no length is taken for a message that ends with a newline, and refused.
        newline = body.find(b"\n", position)
        if newline < 0:
            break
        malformed = True
        position = newline + 1
    return frames, malformed, fault


def _verdict_on_body(
    headers: Headers, frames: list[bytes], malformed: bool, body: bytes | None
) -> HttpAnswer:
    if body is None and headers.get("Content-Encoding", "").lower() == "gzip":
        return HttpAnswer(500, b"Body is not gzip")
    if malformed:
        return HttpAnswer(400, b"Malformed log messages")
    count = headers.get("Logplex-Msg-Count")
    if count is not None and msg_count(headers) != len(frames):
        return HttpAnswer(400, b"Message count mismatch")
    return HttpAnswer(204)


def msg_count(headers: Headers) -> int | None:
    """The number that Logplex-Msg-Count holds; None if it is missing or is not a number."""
    count = headers.get("Logplex-Msg-Count", "")
    return int(count) if re.fullmatch(r"[0-9]{1,9}", count) else None


def _form(request: HttpRequest) -> Iterator[str]:
    for name in ("Authorization", "User-Agent", "Logplex-Msg-Count", "Logplex-Frame-Id"):
        if not request.headers.get(name):
            yield f"header {name} is missing"
    if "Content-Length" not in request.headers:
        yield "header Content-Length is missing"


def _contents(frames: list[bytes]) -> Iterator[str]:
    told = 0
    for number, frame in enumerate(frames, 1):
        try:
            packet = parse_packet(frame)
        except Malformed as error:
            fault = str(error)
        else:
            if packet.procid not in ("router", "logplex"):
                continue
            fault = f"l2met gives the procid {packet.procid} a meaning of its own"
        told += 1
        if told <= _MAX_TOLD_FRAMES:
            yield f"frame {number}: {fault}"
    if told > _MAX_TOLD_FRAMES:
        yield f"and {told - _MAX_TOLD_FRAMES} more frames like these"


_LOOSE = re.compile(
    rb"<([0-9]{1,9})>\S+ (\S+) (\S+) (\S+) (\S+) (\S+) (?:(-|\[.*?\]) )?(.*)", re.DOTALL
)


def as_shown(frame: bytes, token: str) -> Packet:
    """The packet as Logplex shows it, however malformed, with `app` in place of the token.

    Without structured data Logplex shows nothing, and `structured_data` is empty. What is no
    packet at all is `text`, with priority 0 and nothing else.
    """
    frame = frame.replace(token.encode("latin-1"), b"app", 1)
    match = _LOOSE.fullmatch(frame)
    if match is None:
        return Packet(0, "", "", "", "", "", "", _text(frame))
    priority, *fields, text = match.groups(b"")
    timestamp, hostname, appname, procid, msgid, data = (_text(field) for field in fields)
    return Packet(int(priority), timestamp, hostname, appname, procid, msgid, data, _text(text))


def _text(part: bytes) -> str:
    return part.removesuffix(b"\n").decode("utf-8", "replace")
