"""Dissects a request: its frames and bad bytes by their offset, and the same request for curl."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Iterator
from itertools import islice

from logplex_handler.receiver._items import JsonObject
from logplex_handler.receiver.recording import without_token
from logplex_handler.receiver.store import Batch, numbered
from logplex_handler.testing import Request
from logplex_handler.testing.conventions import packet_violations
from logplex_handler.testing.request_body import decompress, find_frames
from logplex_handler.testing.wire_parser import frame_spans

# The most bytes of a body that are shown, and its most frames: enough to find what is wrong.
_SHOWN_BYTES = 262_144
_SHOWN_FRAMES = 5_000
# The largest body in a command for curl. A larger one is fetched from the page.
_CURL_BYTES = 16_384
# A violation of the wire format names the offset of the bad byte.
_BYTE = re.compile(r"byte ([0-9]{1,9}): ")
# Headers that the HTTP client writes by itself, or that need not be the same.
_OF_THE_CLIENT = ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")
_SECRET = ("cookie", "token", "secret", "key", "auth")


def dissect(request: Request, batches: list[Batch], url: str) -> JsonObject:
    """Return what `/api/requests/N` adds to a summary; `url` is that of the body as sent."""
    body = _readable(request)
    routed = request.frames if request.status == 204 and not request.on_purpose else 0
    _, _, fault = find_frames(body)
    frames = list(_frames(body[:_SHOWN_BYTES], _lines(request, batches)))
    end = frames[-1]["end"] if frames else 0
    framing = _BYTE.search(fault.finding) if fault else None
    return {
        "line": _line(request),
        "headers": list(_headers(request)),
        "body": b64encode(body[:_SHOWN_BYTES]).decode(),
        "body_bytes": len(body),
        "sent_bytes": len(request.body_bytes),
        "dissected": frames,
        "unread": end if fault else None,
        "bad": int(framing[1]) if framing else None,
        "routed": routed,
        "answer": _answer(request, routed),
        # What is not HTTP cannot be sent again.
        "curl": _curl(request, url) if request.method else "",
    }


def _line(request: Request) -> str:
    if not request.method:
        return "unreadable"
    return f"{request.method} {_hidden(request, request.path)} HTTP/1.1"


def _readable(request: Request) -> bytes:
    """Return the body as Logplex reads it, without the token."""
    body = without_token(request)
    if request.headers.get("Content-Encoding") == "gzip":
        text = decompress(body)
        return body if text is None else text
    return body


def _lines(request: Request, batches: list[Batch]) -> dict[int, int]:
    """Return the numbers of the lines by the number of their frame."""
    return {
        sent.number: number
        for number, line, _ in numbered(batches, -1)
        for sent in (line.line.parts or (line.line,))[-1:]
        if sent.frame_id == request.frame_id
    }


def _frames(body: bytes, lines: dict[int, int]) -> Iterator[dict[str, int | None]]:
    for number, (count, packet, end) in enumerate(islice(frame_spans(body), _SHOWN_FRAMES), 1):
        violation = next(iter(packet_violations(body[packet:end], number)), None)
        found = _BYTE.search(violation) if violation else None
        bad = packet + int(found[1]) if found else packet if violation else None
        yield {"count": count, "packet": packet, "end": end, "line": lines.get(number), "bad": bad}


def _headers(request: Request) -> Iterator[tuple[str, str]]:
    for name, value in request.headers.items():
        yield name, "(hidden)" if _is_secret(name, value) else _hidden(request, value)
    if request.token:
        yield "Authorization", "(hidden)"


def _is_secret(name: str, value: str) -> bool:
    has_scheme = value.lower().startswith(("basic ", "bearer "))
    return has_scheme or any(word in name.lower() for word in _SECRET)


def _hidden(request: Request, text: str) -> str:
    return text.replace(request.token, "x" * len(request.token)) if request.token else text


def _answer(request: Request, routed: int) -> str:
    lines = "1 frame" if routed == 1 else f"{routed:,} frames"
    if request.on_purpose:
        answer = f"{request.status}" if request.status else "nothing"
        return f"The receiver answered {answer} on purpose, and routed nothing."
    if request.status == 204:
        return f"Logplex answers 204 and routes {lines}."
    if request.status == 401:
        return "Logplex answers 401 and routes nothing: the token or the user is not known."
    return f"Logplex answers {request.status} and routes nothing."


def _curl(request: Request, url: str) -> str:
    """Return a command that sends the body to the stream that $LOGPLEX_URL names."""
    headers = [
        f"-H {shlex.quote(f'{name}: {_hidden(request, value)}')}"
        for name, value in request.headers.items()
        # A terminal into which the command is pasted would obey a control character.
        if name.lower() not in _OF_THE_CLIENT
        and not _is_secret(name, value)
        and f"{name}{value}".isprintable()
    ]
    if not any(name.lower() == "content-type" for name in request.headers):
        headers.append("-H 'Content-Type:'")
    body = without_token(request)
    source = f"curl -s {url}"
    if len(body) <= _CURL_BYTES:
        source = f"echo {b64encode(body).decode()} | base64 -d"
    options = " ".join(["-i", f"-X {shlex.quote(request.method)}", *headers])
    return f'{source} | curl {options} --data-binary @- "$LOGPLEX_URL"'
