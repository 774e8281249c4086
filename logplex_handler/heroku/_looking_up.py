"""What both APIs have in common: the record first, then Heroku, then a word to the partner."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from logplex_handler._process import forks
from logplex_handler._process.diagnostics import Diagnostics, shown
from logplex_handler._transport.session import SessionFactory
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Http
from logplex_handler.heroku._record import Record, Resource, destination, resource_of

OnRotate = Callable[[Any, str], object]


@dataclass(frozen=True, repr=False, slots=True)
class Located:
    """What Heroku says of a stream. It holds a token, so it has no repr.

    Attributes:
        url: The `log_input_url`.
        app_id: The app that it belongs to, if Heroku said so.
    """

    url: str
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Heroku says that there is nothing to write to; `why` is in words."""

    why: str


class LookingUp:
    """For a handler's `streams`; what is left to a subclass is `_ask`.

    It is right under threads, one look-up at a time for each resource, and in forked children.
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
        # By stream, a URL that was good for nothing any more while it was still on record.
        self._outdated: dict[Hashable, Destination] = {}
        # Streams of which it was said that they have ended.
        self._said_ended: set[Hashable] = set()
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards the locks below.
        self._guard = threading.Lock()
        # By resource: each is held for a whole look-up, callbacks and all, so that a second one
        # finds on record what the first has brought. Re-entrant for callbacks that ask again.
        self._locks: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def url_for(self, stream: Any, /) -> Destination | None:
        """Where a stream goes: as it is on record, or else as Heroku says.

        Returns:
            None if there is no such stream, or it takes no logs.

        Raises:
            LookupFailed: It cannot be told now.
        """
        found = self._find(stream, None)
        if isinstance(found, LookupFailed):
            raise found
        return found

    def refresh(self, stream: Any, rejected: str | Destination, /) -> Destination | None:
        """Where a stream goes whose URL was refused.

        That is as it is on record, if that has changed meanwhile, or else as Heroku says.

        Returns:
            None if it has ended. What was refused, if that is what Heroku says.

        Raises:
            LookupFailed: It cannot be told now.
        """
        refused = destination(rejected, None) if isinstance(rejected, str) else rejected
        # So that this frame of a traceback holds no secret.
        del rejected
        found = self._find(stream, refused)
        if isinstance(found, LookupFailed):
            raise found
        return found

    def _find(self, stream: Any, rejected: Destination | None) -> Destination | LookupFailed | None:
        known = self._on_record(stream, rejected)
        if not isinstance(known, Resource):
            return known
        with self._lock_of(known.id), self._http.bounded():
            # Another look-up may have just updated it.
            known = self._on_record(stream, rejected)
            if not isinstance(known, Resource):
                return known
            located = self._ask(stream, known, is_known=rejected is not None)
            if isinstance(located, Located):
                return self._take(stream, known, rejected, located)
        if isinstance(located, Ended):
            self._say_ended(stream, located.why)
            return None
        return located

    def _on_record(
        self, stream: Any, rejected: Destination | None
    ) -> Destination | Resource | LookupFailed | None:
        """What the record says of a stream; the resource, if Heroku has to be asked."""
        resource = resource_of(self._record, stream)
        if not isinstance(resource, Resource):
            return resource
        recorded = resource.destination
        if _same(recorded, rejected) or _same(recorded, self._outdated.get(stream)):
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
        if recorded is not None and not _same(recorded, found):
            self._outdated[stream] = recorded
        else:
            self._outdated.pop(stream, None)
        if not _same(found, recorded or rejected):
            self._call_back("on_rotate", self._on_rotate, stream, located.url)
        self._said_ended.discard(stream)
        return found

    def _ask(
        self, stream: Any, resource: Resource, *, is_known: bool
    ) -> Located | Ended | LookupFailed:
        """What Heroku says; `is_known` if the stream had a URL before."""
        raise NotImplementedError

    def _call_back(
        self, option: str, callback: Callable[..., object] | None, *arguments: Any
    ) -> None:
        """Have the partner store what is new. If that fails, it is used all the same."""
        if callback is not None:
            try:
                callback(*arguments)
            except Exception as error:
                what = f"stream {shown(arguments[0])}: {option} failed: {type(error).__name__}"
                self._diagnostics.warn(option, f"{what}; what is new is used, but not on record")

    def _say_ended(self, stream: Hashable, why: str) -> None:
        if stream not in self._said_ended:
            self._said_ended.add(stream)
            self._diagnostics.warn("ended", f"stream {shown(stream)}: {why}")

    def _lock_of(self, resource_id: str) -> AbstractContextManager[object]:
        with self._guard:
            lock: AbstractContextManager[object] = self._locks.setdefault(
                resource_id, threading.RLock()
            )
            return lock


def _same(one: Destination | None, other: Destination | None) -> bool:
    """Whether they are the same URL, whatever the hostname in the packets."""
    if one is None or other is None:
        return False
    return replace(one, hostname=None) == replace(other, hostname=None)
