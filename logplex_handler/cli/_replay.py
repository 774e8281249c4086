"""Sends recorded requests again, as they were, to the stream that LOGPLEX_URL names."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import requests

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.receiver._record import Recorded, read
from logplex_handler.receiver.style import harmless

_TIMEOUT = 10.0


def replay(path: Path, *, speed: float) -> int:
    """Send all of them: 0 if each was answered 2xx, 1 if not, 2 if there is nothing to send.

    `speed` is how many times faster than they came; 0 is without waits.
    """
    try:
        destination = Destination.from_url(
            os.environ.get("LOGPLEX_URL", ""),
            token=os.environ.get("LOGPLEX_TOKEN") or None,
            option="LOGPLEX_URL",
        )
        recorded = list(read(path))
    except (ConfigurationError, OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        print(f"logplex-handler: {words}", file=sys.stderr)
        return 2
    bad = 0
    with requests.Session() as session:
        session.auth = (destination.user, destination.token)
        session.trust_env = not destination.is_loopback
        began = time.monotonic()
        for number, request in enumerate(recorded, 1):
            if speed:
                due = began + (request.time - recorded[0].time) / speed
                time.sleep(max(0.0, due - time.monotonic()))
            answer = _sent(session, destination, request)
            if not answer.startswith("2"):
                bad += 1
                print(f"request {number}: {answer}")
    print(f"{len(recorded)} requests sent again, {bad} of them refused")
    return 1 if bad else 0


def _sent(session: requests.Session, destination: Destination, request: Recorded) -> str:
    try:
        answer = session.post(
            destination.endpoint,
            data=request.body,
            headers=request.headers,
            timeout=_TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return type(error).__name__
    # Whatever the other side answers, it does not reach the terminal raw.
    return harmless(f"{answer.status_code} {answer.text[:100]}".strip())
