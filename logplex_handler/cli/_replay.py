"""The command `replay`: sends recorded requests to LOGPLEX_URL again, unchanged."""

from __future__ import annotations

import argparse
import os
import sys
import time

import requests

from logplex_handler._wire.destination import Destination
from logplex_handler.cli._wording import in_words
from logplex_handler.errors import ConfigurationError
from logplex_handler.receiver.recording import Recorded, read
from logplex_handler.receiver.terminal import harmless

# The time-out of a request, in seconds.
_TIMEOUT = 10.0


def run(options: argparse.Namespace) -> int:
    """Send all requests; return 0 if every answer is 2xx, 1 if not, 2 if they cannot be sent.

    `options.speed` is a multiple of the recorded pace; 0 sends without waiting.
    """
    try:
        destination = Destination.from_url(
            os.environ.get("LOGPLEX_URL", ""),
            token=os.environ.get("LOGPLEX_TOKEN") or None,
            option="LOGPLEX_URL",
            allow_http=options.allow_http,
        )
        recorded = list(read(options.file))
    except ConfigurationError as error:
        print(f"logplex-handler: {': '.join(in_words(error))}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        message = error.strerror if isinstance(error, OSError) else str(error)
        print(f"logplex-handler: {message}", file=sys.stderr)
        return 2
    refused = 0
    with requests.Session() as session:
        session.auth = (destination.user, destination.token)
        session.trust_env = not destination.is_loopback
        started_at = time.monotonic()
        for number, request in enumerate(recorded, 1):
            if options.speed:
                due_at = started_at + (request.time - recorded[0].time) / options.speed
                time.sleep(max(0.0, due_at - time.monotonic()))
            answer = _post(session, destination, request)
            if not answer.startswith("2"):
                refused += 1
                print(f"request {number}: {answer}")
    print(f"{len(recorded)} requests sent again, {refused} of them refused")
    return 1 if refused else 0


def _post(session: requests.Session, destination: Destination, request: Recorded) -> str:
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
    # A receiver's text may contain control characters, which must not reach the terminal.
    return harmless(f"{answer.status_code} {answer.text[:100]}".strip())
