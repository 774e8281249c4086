"""Records that are logged while another record is being formatted.

The text of a value, the application's formatter or a callable pair may log. If the same code
formats that record, it logs again, and so on. If code on the way continues after an error, as
`traceback` does, the work doubles at each level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from logplex_handler._process import forks
from logplex_handler._process.contexts import thread_or_greenlet

P = ParamSpec("P")
R = TypeVar("R")

# The most records that are being formatted at a time in a thread: a record that the formatting of
# another one logs is formatted, but not what its own formatting logs.
_DEEPEST = 2


class NestedTooDeeply(Exception):
    """The record is not formatted, so that the call that logged it returns."""


class _Depths(dict[object, int]):
    """The number of calls of `nested` in each thread or greenlet that has any."""

    def __init__(self) -> None:
        super().__init__()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        self.clear()


_depths = _Depths()


def nested(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that may log.

    Raises:
        NestedTooDeeply: The function was not called, because two such calls are running.
    """
    here = thread_or_greenlet()
    depth = _depths.get(here, 0)
    if depth >= _DEEPEST:
        raise NestedTooDeeply
    _depths[here] = depth + 1
    try:
        return function(*args, **kwargs)
    finally:
        if depth:
            _depths[here] = depth
        else:
            _depths.pop(here, None)
