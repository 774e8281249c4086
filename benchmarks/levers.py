"""The handler without one of its optimisations, to measure what each of them brings.

Each lever changes the package in this process. A lever whose target is gone raises an error, so
that none is measured that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import requests

from logplex_handler import LogplexHandler
from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._formatting import call_sites, codec, layout, message_template, tracebacks
from logplex_handler._process import forks
from logplex_handler._sender import due
from logplex_handler._transport.session import BoundedAdapter
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


def without_requests_on_open_connections(url: str) -> Subject:
    """Every request goes through requests and urllib3."""
    _change(BoundedAdapter, "post_again", lambda adapter, head, body, timeout: None)
    return ours(url)


def without_linger(url: str) -> Subject:
    """The next batch is sent as soon as 500 records wait for it."""
    _change(due, "_LINGER", 0.0)
    return ours(url)


def without_throttling(url: str) -> Subject:
    """No caller waits for the sender, however many records wait."""
    _change(intake, "_MAX_THROTTLE", 0.0)
    return ours(url)


def with_small_batches(url: str) -> Subject:
    """A request has at most 16 kB, which is about a hundred records."""
    handler = LogplexHandler(url, max_batch_bytes=16_000)
    return Subject(handler, lambda: handler.flush(60))


def without_call_sites_of_metrics_and_mappings(url: str) -> Subject:
    """Records with metrics, or with a mapping as message, are formatted in the calling thread."""
    layout_of = layout.layout_of

    def ordinary(*given: Any) -> Any:
        found = layout_of(*given)
        return None if found is None or found.metrics or found.keys is not None else found

    _change(call_sites, "layout_of", ordinary)
    return ours(url)


def without_call_sites_of_named_arguments(url: str) -> Subject:
    """Records whose arguments are a mapping are formatted in the calling thread."""
    _change(message_template, "by_position", lambda template: None)
    return ours(url)


def with_equal_shares_of_a_light_entry(url: str) -> Subject:
    """No text of a light entry may be longer because others are shorter."""

    def equal(needed: Sequence[int], numbers: int, others: int) -> Iterator[tuple[int, int]]:
        each = 2000 // (len(needed) + numbers + others + 2) - 88
        return iter([(each // 4, each)] * len(needed))

    _change(layout, "longest_of_light", equal)
    return ours(url)


def without_kept_frames_of_tracebacks(url: str) -> Subject:
    """The standard library formats each traceback."""
    _change(tracebacks, "written", lambda formatter, given: formatter.formatException(given))
    return ours(url)


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
        without_requests_on_open_connections,
        without_linger,
        without_throttling,
        with_small_batches,
        without_call_sites_of_metrics_and_mappings,
        without_call_sites_of_named_arguments,
        with_equal_shares_of_a_light_entry,
        without_kept_frames_of_tracebacks,
    )
}
