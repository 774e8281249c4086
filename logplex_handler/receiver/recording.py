"""Records requests in a file, one JSON object per line, and reads them back for `replay`.

A recording contains no credentials. A token inside a body, as in Heroku's form of 2013, is replaced
by the same number of `x`, so that octet counts stay valid.
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
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from logplex_handler.receiver.feed import ReceivedRequest
from logplex_handler.testing import Request
from logplex_handler.testing.request_body import decompress

# Headers that the sender chooses; `replay` generates the others itself.
_RECORDED_HEADERS = ("content-type", "content-encoding", "user-agent")
# The bytes that are kept of a compressed body that cannot be read: the head of gzip, without data.
_HEAD_BYTES = 10
# The most characters of the beginning of a token that may stay at the end of a body.
_MOST_SHOWN = 4
# What a line raises that is none of a recording.
_NO_RECORD = (
    AttributeError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """One request of a recording; `time` is when it came, in seconds since the epoch."""

    time: float
    headers: dict[str, str]
    body: bytes


class Recorder:
    """A viewer that appends requests to a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises OSError if it cannot be written."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8")
        self._is_broken = False

    def __call__(self, received: ReceivedRequest) -> None:
        """Write a request, unless it was refused on purpose: the sender retries such requests."""
        request = received.request
        if request is None or request.on_purpose or not request.body_bytes:
            return
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in _RECORDED_HEADERS or name.lower().startswith("logplex-")
        }
        record = {
            "time": round(request.time, 6),
            "status": request.status,
            "headers": headers,
            "body": base64.b64encode(without_token(request)).decode("ascii"),
        }
        if self._is_broken:
            return
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            # The disk may be full, for example. Lines are still shown.
            self._is_broken = True
            print(f"the record ends here: {error.strerror}", file=sys.stderr, flush=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def without_token(request: Request) -> bytes:
    """Return the body as sent, with `x` for each character of the token.

    Of a body that is compressed, and cannot be read to its end, only the first bytes are returned.
    """
    body, token = request.body_bytes, request.token.encode("latin-1")
    if not token:
        return body
    mask = b"x" * len(token)
    # A gzipped body may contain the token, too, whatever its headers say.
    text = decompress(body)
    if text is not None and token in text:
        # The best compression may take seconds for a megabyte.
        return gzip.compress(text.replace(token, mask), compresslevel=1, mtime=0)
    encoding = request.headers.get("Content-Encoding", "").lower()
    is_encoded = body.startswith(b"\x1f\x8b") or encoding not in ("", "identity", "gzip")
    if text is None and is_encoded and not body[:1].isdigit():
        # Others may be able to read it, or a part of it, and find the token.
        return body[:_HEAD_BYTES]
    masked = body.replace(token, mask)
    # A body that broke off may end within the token. A few characters may be any text.
    sizes = range(len(token) - 1, _MOST_SHOWN, -1)
    begun = next((size for size in sizes if masked.endswith(token[:size])), 0)
    return masked[: len(masked) - begun] + mask[:begun]


def read(path: Path) -> Iterator[Recorded]:
    """Read the requests of a recording, in order.

    Raises OSError if the file cannot be read, and ValueError, which names the line, if it is not a
    recording.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                headers = {str(name): str(value) for name, value in record["headers"].items()}
                body = base64.b64decode(record["body"], validate=True)
                # What is no time of this calendar would be waited for without end.
                datetime.fromtimestamp(record["time"], timezone.utc)
                yield Recorded(float(record["time"]), headers, body)
            except _NO_RECORD:
                raise ValueError(f"line {number} is no recorded request") from None
