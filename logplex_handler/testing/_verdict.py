"""Decides what Logplex does with one request, and what the sender did wrong.

Pure functions: a request goes in, a verdict comes out. The checks are in the
same order as in Logplex itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from logplex_handler.testing._http_connection import (
    HttpAnswer,
    HttpRequest,
    UnreadableRequest,
)
from logplex_handler.testing.conventions import Violation, check_packet
from logplex_handler.testing.request_body import decode, find_frames, wrong_count_violation
from logplex_handler.testing.wire_parser import Malformed, Packet, parse_packet

CONTENT_TYPE = "application/logplex-1"
_CONTENT_TYPES = (CONTENT_TYPE, "application/x-logplex-1")
_COUNT = re.compile(r"[+-]?[0-9]{1,9}")

# The most violations of packets: enough to see what is wrong, without thousands of lines in a
# failed test's output.
_MAX_PACKET_VIOLATIONS = 10

# The answers to requests that break a rule.
_REFUSALS = {
    "http.path": HttpAnswer(404, b"The path is not /logs"),
    "http.method": HttpAnswer(405, b"Not a POST", {"Allow": "POST"}),
    "http.credentials": HttpAnswer(401, headers={"WWW-Authenticate": "Basic realm=Logplex"}),
    "http.base64": HttpAnswer(500, b"Credentials are not base64"),
    "http.type": HttpAnswer(415, f"Content-Type is not {CONTENT_TYPE}".encode()),
    "http.accept": HttpAnswer(406, b"Accept leaves text/plain out"),
    "http.gzip": HttpAnswer(400, b"Body is not gzip"),
    "http.too-large": HttpAnswer(500, b"Body is too large"),
    "frame.malformed": HttpAnswer(400, b"Malformed log messages"),
    "http.count": HttpAnswer(400, b"Message count mismatch"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, and the frames that Logplex finds; it routes them if the status is 204.

    `packets` are the well-formed ones by the number of their frame, if they were checked.
    """

    answer: HttpAnswer
    token: str
    frames: list[bytes]
    violations: tuple[Violation, ...]
    packets: Mapping[int, Packet] = field(default_factory=dict)


def judge(request: HttpRequest, accepts: Callable[[str], bool], *, strict: bool) -> Verdict:
    """Decide on one request. Without `strict`, only mistakes that lose lines are violations."""
    if _path(request.target) == ["healthcheck"]:
        return Verdict(HttpAnswer(200, b"OK"), "", [], ())
    token, broken_rule = _authenticate(request, accepts)
    body, encoding_fault = decode(request)
    frames, malformed, framing_fault = ([], False, None) if body is None else find_frames(body)
    fault = encoding_fault or framing_fault
    if broken_rule is None and body is None and encoding_fault is not None:
        broken_rule = encoding_fault.rule
    elif broken_rule is None:
        broken_rule = _rule_broken_by_frames(request.headers, frames, malformed)
    answer = HttpAnswer(204) if broken_rule is None else _REFUSALS[broken_rule]
    # The request may be a browser's, whose body and other headers do not matter.
    is_no_batch = broken_rule in ("http.path", "http.method")
    violations = [fault] if fault and not is_no_batch else []
    if broken_rule is not None and answer.status != 401:
        message = f"{answer.status}: {answer.body.decode('ascii')}"
        finding = ": ".join(filter(None, [message, _reason(broken_rule, request, frames)]))
        violations.append(Violation(message, broken_rule, finding=finding))
    packets: dict[int, Packet] = {}
    if strict and not is_no_batch:
        violations += _header_violations(request, fault)
        of_packets = list(_packet_violations(frames, packets))
        if of_packets and not fault and body and (wrong_count := wrong_count_violation(body)):
            # The body splits into frames, but not where the packets begin.
            of_packets.insert(0, wrong_count)
        violations += of_packets
    return Verdict(answer, token, frames, tuple(violations), packets)


def unreadable(error: UnreadableRequest) -> Verdict:
    """Return the verdict on a request that could not be read to its end."""
    violation = Violation(f"{error.answer.status}: {error}", error.rule)
    return Verdict(error.answer, "", [], (violation,))


def _authenticate(request: HttpRequest, accepts: Callable[[str], bool]) -> tuple[str, str | None]:
    """Return the request's token if it is accepted, and the rule that its headers break."""
    if _path(request.target) != ["logs"]:
        return "", "http.path"
    if request.method != "POST":
        return "", "http.method"
    if request.headers.get("Authorization", "").partition(" ")[0] != "Basic":
        return "", "http.credentials"
    credentials = given_credentials(request.headers)
    if credentials is None:
        return "", "http.base64"
    user, token = credentials
    if user != "token" or not accepts(token):
        return "", "http.credentials"
    if request.headers.get("Content-Type") not in _CONTENT_TYPES:
        return token, "http.type"
    ranges = request.headers.get("Accept", "*/*").lower().split(",")
    if not {one.partition(";")[0].strip() for one in ranges} & {"*/*", "text/*", "text/plain"}:
        return token, "http.accept"
    return token, None


def _path(target: str) -> list[str]:
    """Return the segments of a request's target, without a host, a query and a slash at the end."""
    for scheme in ("http://", "https://"):
        if target.startswith(scheme):
            target = "/" + target[len(scheme) :].partition("/")[2]
    if not target.startswith("/"):
        return []
    *segments, last = re.split(r"[?#]", target, maxsplit=1)[0][1:].split("/")
    return [unquote(segment) for segment in (*segments, *filter(None, [last]))]


def given_credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the user and the token of a request, or None if they cannot be read."""
    # Logplex ignores spaces in the credentials.
    encoded = "".join(headers.get("Authorization", "").split()[1:])
    try:
        user, _, token = base64.b64decode(encoded, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return None
    return user, token


def _rule_broken_by_frames(
    headers: Mapping[str, str], frames: list[bytes], malformed: bool
) -> str | None:
    if malformed:
        return "frame.malformed"
    if "Logplex-Msg-Count" in headers and msg_count(headers) != len(frames):
        return "http.count"
    return None


def msg_count(headers: Mapping[str, str]) -> int | None:
    """Return the number in Logplex-Msg-Count, or None if it is missing or not a number."""
    count = headers.get("Logplex-Msg-Count", "")
    return int(count) if _COUNT.fullmatch(count) else None


def _reason(rule: str, request: HttpRequest, frames: list[bytes]) -> str:
    """Return what is wrong with a header, where the rule alone leaves that open. Quotes none."""
    if rule == "http.count":
        count = msg_count(request.headers)
        if count is not None:
            number = "1 frame" if len(frames) == 1 else f"{len(frames)} frames"
            return f"Logplex-Msg-Count is {count}, but the body has {number}"
        if _COUNT.fullmatch(request.headers.get("Logplex-Msg-Count", "").strip()):
            return "Logplex-Msg-Count ends with a space"
        return "Logplex-Msg-Count is not a whole number"
    if rule == "http.type":
        given = request.headers.get("Content-Type", "")
        if not given:
            return "it is missing"
        if given.strip() in _CONTENT_TYPES:
            return "it ends with a space"
        kind = given.partition(";")[0].strip().lower()
        if kind not in _CONTENT_TYPES:
            return "it is another type"
        return "it has a parameter" if ";" in given else "it differs in upper and lower case"
    return ""


_REQUIRED_HEADERS = {
    "Authorization": "http.credentials",
    "User-Agent": "http.user-agent-missing",
    "Logplex-Msg-Count": "http.count-missing",
    "Logplex-Frame-Id": "http.frame-id-missing",
}


def _header_violations(request: HttpRequest, fault: Violation | None) -> Iterator[Violation]:
    for name, rule in _REQUIRED_HEADERS.items():
        if not request.headers.get(name):
            yield Violation(f"header {name} is missing", rule)
    if "Content-Length" not in request.headers:
        yield Violation("header Content-Length is missing", "http.length-missing")
    encoding = request.headers.get("Content-Encoding", "")
    if encoding not in ("", "gzip", "identity") and fault is None:
        yield Violation("header Content-Encoding is not gzip, and ignored", "http.encoding")


def _packet_violations(frames: list[bytes], packets: dict[int, Packet]) -> Iterator[Violation]:
    """Return the violations of packets, and add those without any to `packets`."""
    count = 0
    for number, frame in enumerate(frames, 1):
        found = check_packet(frame, number)
        if isinstance(found, Packet):
            packets[number] = found
            continue
        count += 1
        if count <= _MAX_PACKET_VIOLATIONS:
            yield found
    if count > _MAX_PACKET_VIOLATIONS:
        more = count - _MAX_PACKET_VIOLATIONS
        yield Violation(f"and {more} more frames like these", "frame.more")


_LENIENT_PACKET = re.compile(
    rb"<([0-9]{1,9})>\S+ (\S+) (\S+) (\S+) (\S+) (\S+) (?:(-|\[.*?\]) )?(.*)", re.DOTALL
)


def as_shown(frame: bytes, token: str) -> Packet:
    """Return the packet as Logplex shows it, however malformed, with `app` in place of the token.

    Logplex shows nothing of a packet without structured data; `structured_data` is then empty. A
    frame that is not a packet at all becomes `text`, with priority 0 and all other fields empty.
    """
    frame = frame.replace(token.encode("latin-1"), b"app", 1)
    with suppress(Malformed):
        return parse_packet(frame)
    match = _LENIENT_PACKET.fullmatch(frame)
    if match is None:
        return Packet(0, "", "", "", "", "", "", _text(frame))
    priority, *fields, text = match.groups(b"")
    timestamp, hostname, appname, procid, msgid, data = (_text(field) for field in fields)
    return Packet(int(priority), timestamp, hostname, appname, procid, msgid, data, _text(text))


def _text(part: bytes) -> str:
    return part.removesuffix(b"\n").decode("utf-8", "replace")
