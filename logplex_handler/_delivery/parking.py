"""Streams that wait in a long line, or in that of a host that does not answer, are parked.

Then only the id waits in line, and the registry keeps a few bytes in place of the stream.
"""

from __future__ import annotations

from typing import Any

from logplex_handler._delivery.line import Waiting
from logplex_handler._delivery.tasks import Task
from logplex_handler._sender.due import Urgency
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Stream

# A line of so many streams is long.
LONG_LINE = 500


def parks_for_host(stream: Stream, due_in: float, now: float, urgency: Urgency) -> bool:
    """Return whether to park a stream because its host will not answer before the stream is due."""
    breaker = stream.breaker
    if breaker is None or breaker.is_closed or breaker.is_untried or urgency:
        return False
    return stream.may_park and (due_in <= 0 or breaker.remaining(now, urgency) > due_in)


class Parking:
    """Parks streams, and takes them back at the front of the line. The owner guards it.

    Args:
        plans: What each stream waits for, or does; a parked one has no plan.
    """

    def __init__(self, registry: Registry, plans: dict[Stream, Any]) -> None:
        self._registry = registry
        self._plans = plans

    def in_line(self, stream: Stream, *, parks: bool) -> Waiting:
        """Return what waits in line for the stream: itself, or its id if it is to be parked."""
        if not (parks and stream.may_park and self._registry.park(stream)):
            return stream
        self._plans.pop(stream, None)
        return (stream.id,)

    def at_front(self, waiting: Waiting, plan: object) -> Stream | None:
        """Return the stream that has waited, which a parked one did according to this plan.

        None if it has ended meanwhile, or does something else.
        """
        if not isinstance(waiting, tuple):
            return waiting
        stream = self._registry.resume(waiting[0])
        if stream is None or isinstance(self._plans.get(stream), Task):
            return None
        self._plans[stream] = plan
        return stream
