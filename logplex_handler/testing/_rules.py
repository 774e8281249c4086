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

from logplex_handler.testing._conventions import packet_violations
from logplex_handler.testing._conversation import Headers, HttpAnswer, HttpRequest
from logplex_handler.testing._framing import wrong_count
from logplex_handler.testing._parse import (
    MAX_FRAMES,
    MAX_PACKET_BYTES,
    Malformed,
    Packet,
    split_frames,
)
from logplex_handler.testing._violations import Violation

CONTENT_TYPE = "application/logplex-1"

# Bytes. A few kilobytes can be gigabytes when they are decompressed.
_MAX_DECOMPRESSED = 64 * 1024 * 1024

# Enough to see what is wrong, without a thousand lines of it in a failed test's output.
_MAX_TOLD_FRAMES = 10


# What the answers say, and the rules that were broken.
_NO_POST = b"Not a POST to /logs"
_NO_BASE64 = b"Credentials are not base64"
_OTHER_TYPE = f"Content-Type is not {CONTENT_TYPE}".encode()
_NO_GZIP = b"Body is not gzip"
_MALFORMED = b"Malformed log messages"
_MISCOUNTED = b"Message count mismatch"
_RULE_OF_ANSWER = {
    _NO_POST: "http.path",
    _NO_BASE64: "http.base64",
    _OTHER_TYPE: "http.type",
    _NO_GZIP: "http.gzip",
    _MALFORMED: "frame.malformed",
    _MISCOUNTED: "http.count",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer, and the frames that Logplex finds; it routes them if the answer is a 204."""

    answer: HttpAnswer
    close: bool
    token: str
    frames: list[bytes]
    violations: tuple[Violation, ...]


def judge(request: HttpRequest, tokens: Collection[str], *, strict: bool) -> Verdict:
    """Decide on one request. Without `strict` only what costs lines is a violation."""
    token, answer = _authenticated(request, tokens)
    body, unread = _decoded(request)
    frames, malformed, lost = ([], False, None) if body is None else _found(body)
    lost = unread or lost
    if answer is None:
        answer = _verdict_on_body(request.headers, frames, malformed, body)
    violations = [lost] if lost else []
    if answer.status in (400, 404, 415, 500):
        told = f"{answer.status}: {answer.body.decode('ascii')}"
        violations.append(Violation(told, _RULE_OF_ANSWER[answer.body]))
    if strict:
        violations += _form(request)
        contents = list(_contents(frames))
        if contents and not lost and body and (counted := wrong_count(body)):
            # Every length was there, but not where the packets are.
            contents.insert(0, _wrong_count(*counted))
        violations += contents
    return Verdict(answer, answer.status == 500, token, frames, tuple(violations))


def _authenticated(request: HttpRequest, tokens: Collection[str]) -> tuple[str, HttpAnswer | None]:
    """The token of the request, and the answer if its headers alone decide that."""
    if request.method != "POST" or request.target.partition("?")[0] != "/logs":
        return "", HttpAnswer(404, _NO_POST)
    refusal = HttpAnswer(401, headers={"WWW-Authenticate": "Basic realm=Logplex"})
    if request.headers.get("Authorization", "").partition(" ")[0] != "Basic":
        return "", refusal
    credentials = given_credentials(request.headers)
    if credentials is None:
        return "", HttpAnswer(500, _NO_BASE64)
    user, token = credentials
    if user != "token" or token not in tokens:
        return "", refusal
    if request.headers.get("Content-Type") != CONTENT_TYPE:
        return token, HttpAnswer(415, _OTHER_TYPE)
    return token, None


def given_credentials(headers: Headers) -> tuple[str, str] | None:
    """The user and the token of a request; None if there are none that can be read."""
    encoded = headers.get("Authorization", "").partition(" ")[2]
    try:
        user, _, token = base64.b64decode(encoded, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return None
    return user, token


def _decoded(request: HttpRequest) -> tuple[bytes | None, Violation | None]:
    """The body without its content encoding, or None and why Logplex cannot read it."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        body = decompressed(request.body)
        if body is None:
            told = "the body is not what Content-Encoding: gzip says"
            return None, Violation(told, "http.gzip")
        if len(body) > _MAX_DECOMPRESSED:
            told = f"the body is over {_MAX_DECOMPRESSED} bytes when it is decompressed"
            return None, Violation(told, "http.too-large")
        return body, None
    if encoding != "identity":
        told = f"lines lost: Content-Encoding {encoding} is not understood"
        return None, Violation(told, "http.encoding")
    if request.body.startswith(b"\x1f\x8b"):
        told = "lines lost: the body is gzip, but Content-Encoding does not say so"
        return None, Violation(told, "http.gzip-unnamed")
    if not any(name in request.headers for name in ("Content-Length", "Transfer-Encoding")):
        told = "lines lost: neither Content-Length nor chunks, so the body was not read"
        return b"", Violation(told, "http.no-length")
    return request.body, None


def decompressed(body: bytes) -> bytes | None:
    """A gzipped body, or one byte more of it than is taken; None if it is no such."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as compressed:
            return compressed.read(_MAX_DECOMPRESSED + 1)
    except (OSError, EOFError, zlib.error):
        return None


# Faults that are not a wrong octet count's.
_COUNTED_WELL = ("frame.too-long", "http.too-large")
_LENGTH = re.compile(rb"([1-9][0-9]{0,9})( |\Z)")


def _found(body: bytes) -> tuple[list[bytes], bool, Violation | None]:
    """The frames Logplex finds, whether it finds malformed ones, and why it drops the rest."""
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
        # Whatever has no length is taken for a message that ends with a newline, and refused.
        newline = body.find(b"\n", position)
        if newline < 0:
            break
        malformed = True
        position = newline + 1
    return frames, malformed, fault


def _framing_fault(error: Malformed, body: bytes) -> Violation:
    told = f"framing: {error}"
    counted = None if error.rule in _COUNTED_WELL else wrong_count(body)
    if counted is None:
        return Violation(told, error.rule)
    finding = f"{_wrong_count(*counted)} ({told})"
    return Violation(told, "frame.count", frame=counted[0], finding=finding)


def _wrong_count(number: int, words: str) -> Violation:
    return Violation(f"frame {number}: {words}", "frame.count", frame=number)


def _verdict_on_body(
    headers: Headers, frames: list[bytes], malformed: bool, body: bytes | None
) -> HttpAnswer:
    if body is None and headers.get("Content-Encoding", "").lower() == "gzip":
        return HttpAnswer(500, _NO_GZIP)
    if malformed:
        return HttpAnswer(400, _MALFORMED)
    count = headers.get("Logplex-Msg-Count")
    if count is not None and msg_count(headers) != len(frames):
        return HttpAnswer(400, _MISCOUNTED)
    return HttpAnswer(204)


def msg_count(headers: Headers) -> int | None:
    """The number that Logplex-Msg-Count holds; None if it is missing or is not a number."""
    count = headers.get("Logplex-Msg-Count", "")
    return int(count) if re.fullmatch(r"[0-9]{1,9}", count) else None


_NEEDED = {
    "Authorization": "http.credentials",
    "User-Agent": "http.user-agent-missing",
    "Logplex-Msg-Count": "http.count-missing",
    "Logplex-Frame-Id": "http.frame-id-missing",
}


def _form(request: HttpRequest) -> Iterator[Violation]:
    for name, rule in _NEEDED.items():
        if not request.headers.get(name):
            yield Violation(f"header {name} is missing", rule)
    if "Content-Length" not in request.headers:
        yield Violation("header Content-Length is missing", "http.length-missing")


def _contents(frames: list[bytes]) -> Iterator[Violation]:
    told = 0
    for number, frame in enumerate(frames, 1):
        for violation in packet_violations(frame, number):
            told += 1
            if told <= _MAX_TOLD_FRAMES:
                yield violation
    if told > _MAX_TOLD_FRAMES:
        more = told - _MAX_TOLD_FRAMES
        yield Violation(f"and {more} more frames like these", "frame.more")


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
