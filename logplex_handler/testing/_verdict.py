"""Decides what Logplex does with one request, and what the sender did wrong.

Pure functions: a request goes in, a verdict comes out. The checks are in the
same order as in Logplex itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logplex_handler.testing._http_connection import Headers, HttpAnswer, HttpRequest
from logplex_handler.testing._violations import Violation
from logplex_handler.testing.conventions import packet_violations
from logplex_handler.testing.request_body import decode, find_frames, wrong_count_violation
from logplex_handler.testing.wire_parser import Packet

CONTENT_TYPE = "application/logplex-1"

# Enough to see what is wrong, without thousands of lines in a failed test's output.
_MAX_PACKET_VIOLATIONS = 10

# The bodies of error answers, and the rule that each one reports.
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
    """The answer, and the frames that Logplex finds; it routes them if the status is 204."""

    answer: HttpAnswer
    close: bool
    token: str
    frames: list[bytes]
    violations: tuple[Violation, ...]


def judge(request: HttpRequest, accepts: Callable[[str], bool], *, strict: bool) -> Verdict:
    """Decide on one request. Without `strict`, only mistakes that lose lines are violations."""
    token, answer = _authenticate(request, accepts)
    body, encoding_fault = decode(request)
    frames, malformed, framing_fault = ([], False, None) if body is None else find_frames(body)
    fault = encoding_fault or framing_fault
    if answer is None:
        answer = _answer_to_body(request.headers, frames, malformed, body)
    violations = [fault] if fault else []
    if answer.status in (400, 404, 415, 500):
        message = f"{answer.status}: {answer.body.decode('ascii')}"
        violations.append(Violation(message, _RULE_OF_ANSWER[answer.body]))
    if strict:
        violations += _missing_headers(request)
        of_packets = list(_packet_violations(frames))
        if of_packets and not fault and body and (wrong_count := wrong_count_violation(body)):
            # The body splits into frames, but not where the packets begin.
            of_packets.insert(0, wrong_count)
        violations += of_packets
    return Verdict(answer, answer.status == 500, token, frames, tuple(violations))


def _authenticate(
    request: HttpRequest, accepts: Callable[[str], bool]
) -> tuple[str, HttpAnswer | None]:
    """The request's token if it is accepted, and the answer if the headers alone decide it."""
    if request.method != "POST" or request.target.partition("?")[0] != "/logs":
        return "", HttpAnswer(404, _NO_POST)
    refusal = HttpAnswer(401, headers={"WWW-Authenticate": "Basic realm=Logplex"})
    if request.headers.get("Authorization", "").partition(" ")[0] != "Basic":
        return "", refusal
    credentials = given_credentials(request.headers)
    if credentials is None:
        return "", HttpAnswer(500, _NO_BASE64)
    user, token = credentials
    if user != "token" or not accepts(token):
        return "", refusal
    if request.headers.get("Content-Type") != CONTENT_TYPE:
        return token, HttpAnswer(415, _OTHER_TYPE)
    return token, None


def given_credentials(headers: Headers) -> tuple[str, str] | None:
    """The user and the token of a request; None if they cannot be read."""
    encoded = headers.get("Authorization", "").partition(" ")[2]
    try:
        user, _, token = base64.b64decode(encoded, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return None
    return user, token


def _answer_to_body(
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
    """The number in Logplex-Msg-Count; None if it is missing or not a number."""
    count = headers.get("Logplex-Msg-Count", "")
    return int(count) if re.fullmatch(r"[0-9]{1,9}", count) else None


_REQUIRED_HEADERS = {
    "Authorization": "http.credentials",
    "User-Agent": "http.user-agent-missing",
    "Logplex-Msg-Count": "http.count-missing",
    "Logplex-Frame-Id": "http.frame-id-missing",
}


def _missing_headers(request: HttpRequest) -> Iterator[Violation]:
    for name, rule in _REQUIRED_HEADERS.items():
        if not request.headers.get(name):
            yield Violation(f"header {name} is missing", rule)
    if "Content-Length" not in request.headers:
        yield Violation("header Content-Length is missing", "http.length-missing")


def _packet_violations(frames: list[bytes]) -> Iterator[Violation]:
    count = 0
    for number, frame in enumerate(frames, 1):
        for violation in packet_violations(frame, number):
            count += 1
            if count <= _MAX_PACKET_VIOLATIONS:
                yield violation
    if count > _MAX_PACKET_VIOLATIONS:
        more = count - _MAX_PACKET_VIOLATIONS
        yield Violation(f"and {more} more frames like these", "frame.more")


_LENIENT_PACKET = re.compile(
    rb"<([0-9]{1,9})>\S+ (\S+) (\S+) (\S+) (\S+) (\S+) (?:(-|\[.*?\]) )?(.*)", re.DOTALL
)


def as_shown(frame: bytes, token: str) -> Packet:
    """The packet as Logplex shows it, however malformed, with `app` in place of the token.

    Logplex shows nothing of a packet without structured data; `structured_data` is then empty. A
    frame that is not a packet at all becomes `text`, with priority 0 and all other fields empty.
    """
    frame = frame.replace(token.encode("latin-1"), b"app", 1)
    match = _LENIENT_PACKET.fullmatch(frame)
    if match is None:
        return Packet(0, "", "", "", "", "", "", _text(frame))
    priority, *fields, text = match.groups(b"")
    timestamp, hostname, appname, procid, msgid, data = (_text(field) for field in fields)
    return Packet(int(priority), timestamp, hostname, appname, procid, msgid, data, _text(text))


def _text(part: bytes) -> str:
    return part.removesuffix(b"\n").decode("utf-8", "replace")
