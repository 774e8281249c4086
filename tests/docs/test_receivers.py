"""What the examples send to other receivers passes the rules that those have.

The rules are written down from the receivers' own sources: Vector's `heroku_logs`, and the package
`heroku/x` that Alloy and Promtail use.
"""

from __future__ import annotations

import os
import re

import pytest

from tests.commands import run_program
from tests.docs.blocks import EXAMPLES
from tests.servers import Received, accept, serving

TEXT = 'level=info logger=shop msg="order shipped" order_id=42'


def sent_by(example: str, variable: str, path: str) -> Received:
    """The one request of an example."""
    with serving(accept) as server:
        environ = {key: value for key, value in os.environ.items() if "LOGPLEX_" not in key}
        url = f"http://token:secret@127.0.0.1:{server.port}{path}"
        program = EXAMPLES / "receivers" / example
        finished = run_program(program, env=environ | {variable: url}, warns=True)
        assert (finished.returncode, finished.stderr) == (0, "")
        (request,) = server.received
        return request


def vector_events(request: Received) -> list[dict[str, str]]:
    """As Vector reads a request: by lines, and each by its blanks. A ValueError is its 400."""
    for header in ("logplex-msg-count", "logplex-frame-id", "logplex-drain-token"):
        if header not in request.headers:
            raise ValueError(header)
    events = []
    for line in filter(None, request.body.decode().split("\n")):
        parts = line.split(" ", 7)
        if len(parts) != 8:
            raise ValueError(line)
        names = ("host", "app_name", "proc_id", "msgid", "message")
        events.append(dict(zip(names, parts[3:], strict=True)))
    if len(events) != int(request.headers["logplex-msg-count"]):
        raise ValueError("count")
    return events


def alloy_entries(request: Received) -> list[dict[str, str]]:
    """As heroku/x reads a body: octet counts, then five fields of a header and the rest."""
    entries = []
    body = request.body
    while body:
        length, _, rest = body.partition(b" ")
        packet, body = rest[: int(length)], rest[int(length) :]
        header = rb"<\d+>1 (\S+) (\S+) (\S+) (\S+) (\S+) (.*)"
        found = re.fullmatch(header, packet, re.DOTALL)
        if found is None or len(packet) != int(length):
            raise ValueError(packet)
        names = ("time", "host", "app", "process", "id", "message")
        values = [value.decode() for value in found.groups()]
        entries.append(dict(zip(names, values, strict=True)))
    return entries


def test_vector_gets_the_text_alone():
    """With the headers that it asks for, at the path where it listens."""
    request = sent_by("vector.py", "VECTOR_URL", "/events")
    assert request.target == "/events"
    (event,) = vector_events(request)
    assert event["message"] == TEXT
    assert event["app_name"] == "app"


def test_alloy_gets_the_text_alone():
    """At the path where it listens."""
    request = sent_by("alloy.py", "ALLOY_URL", "/heroku/api/v1/drain")
    assert request.target == "/heroku/api/v1/drain"
    (entry,) = alloy_entries(request)
    assert entry["message"].rstrip("\n") == TEXT
    assert (entry["app"], entry["id"]) == ("shop", "-")


def test_without_the_drain_token_vector_would_refuse():
    """Which is why the example gives one."""
    request = sent_by("alloy.py", "ALLOY_URL", "/events")
    with pytest.raises(ValueError, match="logplex-drain-token"):
        vector_events(request)
