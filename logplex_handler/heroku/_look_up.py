"""What both APIs have in common: the partner's record first, then Heroku, then the callbacks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from logplex_handler._process import forks
from logplex_handler._process.diagnostics import Diagnostics, shown
from logplex_handler._transport.session import SessionFactory
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Http
from logplex_handler.heroku._resource import Record, Resource, destination, resource_of

OnRotate = Callable[[Any, str], object]

T = TypeVar("T")


@dataclass(frozen=True, repr=False, slots=True)
class Located:
    """Heroku's answer for a stream: its URL, which holds a token, and its app, if that is named."""

    url: str
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Heroku's answer for a stream that takes no logs (any more); `why` is in words."""

    why: str


class _ResourceLocks:
    """A lock for each resource, which a thread holds for a whole look-up.

    It holds the lock during the callbacks too, so that the next look-up finds their values on
    record. The locks are re-entrant for callbacks that look up a stream themselves.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards the dictionary.
        self._lock = threading.Lock()
        self._by_id: weakref.WeakValueDictionary[str, threading.RLock] = (
            weakref.WeakValueDictionary()
        )

    def of(self, resource_id: str) -> threading.RLock:
        with self._lock:
            return self._by_id.setdefault(resource_id, threading.RLock())


class StreamLookUp:
    """The base of look-ups for a handler's `streams`; a subclass adds `_ask`.

    Any thread and any forked child may use it. There is one look-up at a time for each resource.
    """

    def __init__(
        self,
        record: Record,
        on_rotate: OnRotate | None,
        timeout: float,
        session_factory: SessionFactory | None,
    ) -> None:
        for name, option in (("record", record), ("on_rotate", on_rotate)):
            if not callable(option) and (option is not None or name == "record"):
                raise ConfigurationError(f"{name}: must be callable")
        self._record = record
        self._on_rotate = on_rotate
        self._http = Http(timeout, session_factory)
        self._diagnostics = Diagnostics()
        self._locks = _ResourceLocks()
        # By stream, a URL that Heroku has replaced while it is still on record.
        self._outdated: dict[Hashable, Destination] = {}
        # Streams whose end was reported.
        self._reported_ends: set[Hashable] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def url_for(self, stream: Hashable, /) -> Destination | None:
        """Return the destination on record for a stream, or else the one that Heroku names.

        Returns:
            None if there is no such stream, or if it takes no logs.

        Raises:
            LookupFailed: The destination is not known at the moment.
        """
        return known(self._find(stream, None))

    def refresh(self, stream: Hashable, rejected: str | Destination, /) -> Destination | None:
        """Return the destination of a stream whose URL a receiver has refused.

        This is the destination on record if it has changed meanwhile, or else the one that Heroku
        names.

        Returns:
            None if the stream has ended. The refused destination if Heroku still names it.

        Raises:
            LookupFailed: The destination is not known at the moment.
        """
        refused = destination(rejected, None) if isinstance(rejected, str) else rejected
        # Keeps secrets out of this frame of a traceback.
        del rejected
        return known(self._find(stream, refused))

    def _find(
        self, stream: Hashable, rejected: Destination | None
    ) -> Destination | LookupFailed | None:
        resource = self._on_record(stream, rejected)
        if not isinstance(resource, Resource):
            return resource
        with self._locks.of(resource.id), self._http.bounded():
            # Another look-up may just have updated it.
            resource = self._on_record(stream, rejected)
            if not isinstance(resource, Resource):
                return resource
            located = self._ask(stream, resource, is_known=rejected is not None)
            if isinstance(located, Located):
                return self._take(stream, resource, rejected, located)
        if isinstance(located, Ended):
            self._report_end(stream, located.why)
            return None
        return located

    def _on_record(
        self, stream: Hashable, rejected: Destination | None
    ) -> Destination | Resource | LookupFailed | None:
        """The destination on record; the resource, if Heroku has to be asked."""
        resource = resource_of(self._record, stream)
        if not isinstance(resource, Resource):
            return resource
        recorded = resource.destination
        if _same_url(recorded, rejected) or _same_url(recorded, self._outdated.get(stream)):
            return resource
        self._outdated.pop(stream, None)
        return recorded or resource

    def _take(
        self, stream: Hashable, resource: Resource, rejected: Destination | None, located: Located
    ) -> Destination | LookupFailed:
        found = destination(located.url, resource.app_id or located.app_id)
        if found is None:
            return LookupFailed("log_input_url: cannot be used")
        recorded = resource.destination
        if recorded is not None and not _same_url(recorded, found):
            self._outdated[stream] = recorded
        else:
            self._outdated.pop(stream, None)
        if not _same_url(found, recorded or rejected):
            self._hand_over("on_rotate", self._on_rotate, stream, located.url)
        self._reported_ends.discard(stream)
        return found

    def _ask(
        self, stream: Hashable, resource: Resource, *, is_known: bool
    ) -> Located | Ended | LookupFailed:
        """Ask Heroku for a stream; `is_known` says whether the stream had a URL before."""
        raise NotImplementedError

    def _hand_over(
        self, option: str, callback: Callable[[Any, T], object] | None, stream: Hashable, value: T
    ) -> None:
        """Have the partner store a new value. If that fails, the value is used all the same."""
        try:
            if callback is not None:
                callback(stream, value)
        except Exception as error:
            failure = f"stream {shown(stream)}: {option} failed: {type(error).__name__}"
            self._diagnostics.warn(option, f"{failure}; what is new is used, but not on record")

    def _report_end(self, stream: Hashable, why: str) -> None:
        if stream not in self._reported_ends:
            self._reported_ends.add(stream)
            self._diagnostics.warn("ended", f"stream {shown(stream)}: {why}")


def known(found: T | LookupFailed) -> T:
    """What was found; raises the failure instead of returning it."""
    if isinstance(found, LookupFailed):
        raise found
    return found


def _same_url(one: Destination | None, other: Destination | None) -> bool:
    """Whether both are the same URL, whatever the hostname in the packets."""
    if one is None or other is None:
        return False
    return replace(one, hostname=None) == replace(other, hostname=None)
