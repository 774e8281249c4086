"""Lines, requests and violations as JSON objects: short ones for the page, full ones for tests.

`docs/receive.md` describes them.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted
from typing import TypeAlias

from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.testing import Request, Violation
from logplex_handler.testing.wire_parser import Malformed

JsonObject: TypeAlias = dict[str, object]

# The most characters of a frame id that are shown; a real frame id is a UUID.
_MAX_FRAME_ID = 100
encode = json.JSONEncoder(separators=(",", ":")).encode
_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")


def short_line(number: int, received: ReceivedLine, arrived: int) -> str:
    """Return a line as the page's stream has it; `arrived` is in milliseconds since the epoch.

    The JSON is written by hand, because this is done for every line while a page is open, and takes
    a third of the time.
    """
    line, stream, violations, metrics = received
    priority, timestamp, _, appname, procid, _, data, text = line.packet
    # The fields of `more` are rare, so most items leave them out.
    more = "" if appname == "app" else f',"a":{_quoted(appname)}'
    if violations:
        more += f',"w":{len(violations)}'
    if not data:
        more += ',"h":1'
    if line.parts:
        more += f',"k":{len(line.parts)}'
    if metrics:
        written = [
            f'["{m.kind}",{_quoted(m.name)},{m.value},"{m.unit}",{_quoted(m.source)}]'
            for m in metrics
        ]
        more += f',"m":[{",".join(written)}]'
    return (
        f'{{"n":{number},"t":{_quoted(timestamp)},"s":{_quoted(stream)}'
        f',"p":{_quoted(procid)},"v":{priority & 7},"x":{_quoted(text)}'
        f',"r":{arrived}{more}}}'
    )


def full_line(
    number: int, received: ReceivedLine, request: int | None, arrived: float
) -> JsonObject:
    """Return a line as `/api/lines` has it."""
    line, packet = received.line, received.line.packet
    pairs: dict[str, str] = {}
    for key, value in _pairs(received):
        pairs.setdefault(key, value)
    return {
        "n": number,
        "time": packet.timestamp,
        "arrived": round(arrived, 3),
        "stream": received.stream,
        "hostname": packet.hostname,
        "app": packet.appname,
        "process": packet.procid,
        "level": _LEVELS[packet.severity],
        "text": packet.text,
        "pairs": pairs,
        "metrics": [
            {
                "kind": metric.kind,
                "name": metric.name,
                "value": float(metric.value),
                "unit": metric.unit,
                "source": metric.source,
            }
            for metric in received.metrics
        ],
        "parts": [part.text for part in line.parts],
        "shown": line.shown,
        "violations": violations(received.violations),
        "request": request,
    }


def as_json(number: int, received: ReceivedLine, request: int | None, arrived: float) -> str:
    """Return a line as `/api/lines` has it, as a text without a line break."""
    return json.dumps(full_line(number, received, request, arrived))


def details(received: ReceivedLine, request: int | None, arrived: float) -> JsonObject:
    """Return everything known about a line."""
    line, packet = received.line, received.line.packet
    return {
        "stream": received.stream,
        "pairs": [list(pair) for pair in _pairs(received)],
        "violations": violations(received.violations),
        "packet": {
            "priority": packet.priority,
            "time": packet.timestamp,
            "hostname": packet.hostname,
            "appname": packet.appname,
            "procid": packet.procid,
            "bytes": len(line.frame),
            "frame": line.number,
            "frame id": line.frame_id,
        },
        "text": packet.text,
        "parts": [part.text for part in line.parts],
        "shown": line.shown,
        "arrived": round(arrived, 3),
        "request": request,
    }


def _pairs(received: ReceivedLine) -> list[tuple[str, str]]:
    try:
        return received.line.pairs
    except Malformed:
        return []


def summary(received: ReceivedRequest, request: Request) -> JsonObject:
    """Return a request as the list of requests has it."""
    return {
        "time": request.time,
        "status": request.status,
        "frames": request.frames,
        "bytes": len(request.body_bytes),
        "stream": received.stream,
        "frame_id": request.frame_id and request.frame_id[:_MAX_FRAME_ID],
        "retry": request.is_retry,
        "on_purpose": request.on_purpose,
        "violations": violations(received.violations),
    }


def violations(found: tuple[Violation, ...]) -> list[dict[str, str]]:
    fields = ("rule", "finding", "consequence", "cure")
    return [{field: getattr(violation, field) for field in fields} for violation in found]
