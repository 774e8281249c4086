"""Requests in a file, to be looked at or sent again: one JSON object a line, without credentials.

A token that stands in a body, as in Heroku's form of 2013, is written over with as many `x`, so
that the octet counts stay as they were.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from logplex_handler.receiver._feed import Arrived
from logplex_handler.testing import Request
from logplex_handler.testing._rules import decompressed

# What a sender decides; all else is made anew when the request is sent again.
_KEPT = ("content-type", "content-encoding", "user-agent")


@dataclass(frozen=True)
class Recorded:
    """One request of a file: when it came (seconds since the epoch), and what it was."""

    time: float
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Appends to a file, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file cannot be written."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8")
        self._is_broken = False

    def __call__(self, arrived: Arrived) -> None:
        """Write a request, unless it was refused on purpose: the sender sends it again."""
        request = arrived.request
        if request.on_purpose or not request.body_bytes:
            return
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in _KEPT or name.lower().startswith("logplex-")
        }
        record = {
            "time": round(request.time, 6),
            "status": request.status,
            "headers": kept,
            "body": base64.b64encode(_without_token(request)).decode("ascii"),
        }
        if self._is_broken:
            return
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            # Such as a full disk: what is received is still shown.
            self._is_broken = True
            print(f"the record ends here: {error.strerror}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """No more requests come."""
        with contextlib.suppress(OSError):
            self._file.close()


def _without_token(request: Request) -> bytes:
    body, token = request.body_bytes, request.token.encode("latin-1")
    if not token:
        return body
    hidden = body.replace(token, b"x" * len(token))
    # The same is done inside of what is compressed, whatever the headers say.
    text = decompressed(body)
    if text is not None and token in text:
        return gzip.compress(text.replace(token, b"x" * len(token)), mtime=0)
    return hidden


def read(path: Path) -> Iterator[Recorded]:
    """The requests of a file, in order.

    Raises OSError if it cannot be read, and ValueError, which names the line, if it is no record.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                headers = {str(name): str(value) for name, value in record["headers"].items()}
                body = base64.b64decode(record["body"], validate=True)
                yield Recorded(float(record["time"]), headers, body)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ValueError(f"line {number} is no recorded request") from None
