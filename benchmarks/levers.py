"""The handler without one of the things that make it cheap: what each of them brings.

Each is taken out by changing the package in this process, so it shows when it brings nothing any
more; one that cannot be taken out any more fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from logplex_handler import LogplexHandler
from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._formatting import codec
from logplex_handler._process import forks
from logplex_handler._sender import sender
from logplex_handler.streams import intake
from subjects import Subject, ours


def without_compiled_call_sites(url: str) -> Subject:
    """Every record formatted in the calling thread."""
    _change(codec, "line_form", lambda formatter: None)
    return ours(url)


def without_light_entries(url: str) -> Subject:
    """Every record queued under a lock, and weighed."""
    _change(Accumulator, "append", lambda accumulator, entry: accumulator.put(entry))
    return ours(url)


def without_fork_mark(url: str) -> Subject:
    """The process id asked for every record."""
    _change(forks, "here", forks._HereByPid)
    return ours(url)


def without_prepared_requests(url: str) -> Subject:
    """Every request prepared anew, with a look into the environment."""
    handler = LogplexHandler(url, session_factory=requests.Session)
    return Subject(handler, lambda: handler.flush(60))


def without_rest(url: str) -> Subject:
    """The next batch as soon as 500 records wait for it."""
    _change(sender, "_REST", 0.0)
    return ours(url)


def without_giving_way(url: str) -> Subject:
    """Nobody waits for the sender, however many records wait."""
    _change(intake, "_GIVE_WAY", 0.0)
    return ours(url)


def with_small_batches(url: str) -> Subject:
    """At most 16 kB a request, which is about a hundred records."""
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
        without_rest,
        without_giving_way,
        with_small_batches,
    )
}
