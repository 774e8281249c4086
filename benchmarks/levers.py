"""The handler without one of its optimisations, to measure what each of them brings.

Each lever changes the package in this process. A lever whose target is gone raises an error, so
that none is measured that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from urllib3.connection import HTTPConnection

from logplex_handler import LogplexHandler
from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._formatting import codec
from logplex_handler._process import forks
from logplex_handler._sender import urgency
from logplex_handler._transport.connection import BoundedHTTPConnection
from logplex_handler.streams import intake
from subjects import Subject, ours


def without_compiled_call_sites(url: str) -> Subject:
    """Every record is formatted in the calling thread."""
    _change(codec, "line_form", lambda formatter: None)
    return ours(url)


def without_light_entries(url: str) -> Subject:
    """Every record is queued under a lock, and weighed."""
    _change(Accumulator, "append", lambda accumulator, entry: accumulator.put(entry))
    return ours(url)


def without_fork_mark(url: str) -> Subject:
    """The process id is read for every record."""
    _change(forks, "here", forks._HereByPid)
    return ours(url)


def without_prepared_requests(url: str) -> Subject:
    """Every request is prepared anew, and reads the environment."""
    handler = LogplexHandler(url, session_factory=requests.Session)
    return Subject(handler, lambda: handler.flush(60))


def without_joined_heads(url: str) -> Subject:
    """The head and the body of a request are sent one after the other."""
    _change(BoundedHTTPConnection, "request", HTTPConnection.request)
    return ours(url)


def without_linger(url: str) -> Subject:
    """The next batch is sent as soon as 500 records wait for it."""
    _change(urgency, "_LINGER", 0.0)
    return ours(url)


def without_throttling(url: str) -> Subject:
    """No caller waits for the sender, however many records wait."""
    _change(intake, "_MAX_THROTTLE", 0.0)
    return ours(url)


def with_small_batches(url: str) -> Subject:
    """A request has at most 16 kB, which is about a hundred records."""
    handler = LogplexHandler(url, max_batch_bytes=16_000)
    return Subject(handler, lambda: handler.flush(60))


def _change(owner: Any, name: str, value: object) -> None:
    getattr(owner, name)
    setattr(owner, name, value)


LEVERS: dict[str, Callable[[str], Subject]] = {
    one.__name__.replace("_", " "): one
    for one in (
        without_compiled_call_sites,
        without_light_entries,
        without_fork_mark,
        without_prepared_requests,
        without_joined_heads,
        without_linger,
        without_throttling,
        with_small_batches,
    )
}
