"""The command `replay`: sends recorded requests to LOGPLEX_URL again, unchanged."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time

import requests
import urllib3.exceptions

from logplex_handler._transport import errors
from logplex_handler._transport.limits import until
from logplex_handler._transport.session import new_session
from logplex_handler._transport.transport import TOTAL_TIMEOUTS
from logplex_handler._wire.destination import Destination
from logplex_handler.cli._wording import in_words
from logplex_handler.errors import ConfigurationError
from logplex_handler.receiver.recording import Recorded, read
from logplex_handler.receiver.style import harmless

# Seconds for connecting, and for each read of an answer.
_TIMEOUT = 10.0
# The most bytes of an answer that are read and shown.
_MAX_TEXT = 100


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
    with new_session(None) as session:
        # A compressed answer is not decoded, so its text could not be shown.
        session.headers["Accept-Encoding"] = "identity"
        session.auth = (destination.user, destination.token)
        session.trust_env = not destination.is_loopback
        started_at = time.monotonic()
        for number, request in enumerate(recorded, 1):
            if options.speed:
                due_at = started_at + (request.time - recorded[0].time) / options.speed
                # A recording may have any times of this calendar, and a longer sleep is an error.
                left = min(due_at - time.monotonic(), threading.TIMEOUT_MAX)
                time.sleep(max(0.0, left))
            answer = _post(session, destination, request)
            if not answer.startswith("2"):
                refused += 1
                print(f"request {number}: {answer}")
    print(f"{len(recorded)} requests sent again, {refused} of them refused")
    return 1 if refused else 0


def _post(session: requests.Session, destination: Destination, request: Recorded) -> str:
    """Send a request; return its status and the beginning of the answer, or the failure's name."""
    try:
        with (
            until(time.monotonic() + TOTAL_TIMEOUTS * _TIMEOUT),
            session.post(
                destination.endpoint,
                data=request.body,
                headers=request.headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer,
        ):
            if answer.status_code < 200:
                raise urllib3.exceptions.ProtocolError("no final answer")
            # A receiver's text may contain control characters, which must not reach the terminal.
            return harmless(f"{answer.status_code} {_text(answer)}".strip())
    except Exception as error:
        # The connection may be in any state. The text of the error may quote the URL.
        session.close()
        scheme = destination.host.partition(":")[0]
        return errors.setting_at_fault(error, scheme) or errors.name(error)


def _text(answer: requests.Response) -> str:
    """Return the beginning of the answer's text, which is never decompressed."""
    try:
        data = answer.raw.read(_MAX_TEXT, decode_content=False)
    except (OSError, ValueError, urllib3.exceptions.HTTPError):
        # The status is known. A chunk of size -2 is a ValueError.
        return ""
    is_encoded = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
    return "" if is_encoded else data.decode("utf-8", "replace")
