"""The look-up that both APIs share: read the partner's record, ask Heroku, run the callbacks."""

from __future__ import annotations

import contextlib
import math
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, replace
from typing import Any

from logplex_handler._process import forks
from logplex_handler._process.checks import flag, function, optional_function
from logplex_handler._process.diagnostics import Diagnostics, shown
from logplex_handler._transport.session import SessionFactory
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Http

# The application may have seeded `random`, and forks would repeat a `Random` of our own.
_RANDOM = random.SystemRandom()

OnRotate = Callable[[Any, str], object]
# The longest random wait, in seconds, before Heroku is asked about a refused URL. A request and its
# callback take a few tenths of a second.
_MAX_SPREAD = 2.0

# A UUID, or an id such as `app1234@heroku.com`. It becomes a part of the path of a request.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,254}")


def is_id(text: object) -> bool:
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True, repr=False, slots=True)
class Resource:
    """One customer's add-on in the partner's record; the repr shows no secret.

    Attributes:
        id: The resource's uuid (for `PlatformAPI`), or its `heroku_id` (for `AppInfoAPI`).
        log_input_url: The URL on record. Default: none; Heroku is then asked.
        app_id: The id of the app that the stream belongs to. It selects one of the apps that the
            add-on is attached to, and becomes the hostname in the stream's packets. Default: the
            app that the add-on was created for.
        access_token: For `PlatformAPI`, the token that gives access to the resource. Default: none;
            it is then refreshed first.
        refresh_token: For `PlatformAPI`, the token that gets a new access token. Default: none.

    Raises:
        ConfigurationError: (a ValueError) A value is not a string, or the id is not valid.
    """

    id: str
    log_input_url: str | None = None
    app_id: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None

    def __post_init__(self) -> None:
        if not is_id(self.id):
            raise ConfigurationError("id: must be a uuid or a heroku_id")
        for field in fields(self):
            if not isinstance(getattr(self, field.name), str | None):
                raise ConfigurationError(f"{field.name}: must be a string or None")

    def __repr__(self) -> str:
        return f"<Resource {self.id}>"


# The partner's record: returns the resource of a stream, or None if there is no such stream.
Record = Callable[[Any], Resource | None]


def resource_of(record: Record, stream: Hashable) -> Resource | None:
    """Return the resource of a stream; raise LookupFailed if the partner's function fails."""
    try:
        found = record(stream)
    except KeyError:
        return None
    except Exception as error:
        # The error's text may hold a secret.
        problem = type(error).__name__
    else:
        if found is None or isinstance(found, Resource):
            return found
        # A traceback that shows this frame's variables must show no secret.
        del found
        problem = "must return a Resource or None"
    raise LookupFailed(f"record: {problem}")


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
    """A lock for each resource, held for a whole look-up and its callbacks.

    Thus the next look-up finds on record what the callbacks stored. The locks are re-entrant,
    because a callback may itself look up.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards `_by_id`. Re-entrant, because a signal handler may look up, or flush, while it is
        # held.
        self._lock = threading.RLock()
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
        allow_private: bool,
    ) -> None:
        self._record = function("record", record)
        self._on_rotate = optional_function("on_rotate", on_rotate)
        self._allow_private = flag("allow_private", allow_private)
        self._http = Http(timeout, session_factory)
        self._diagnostics = Diagnostics()
        self._locks = _ResourceLocks()
        # By stream: the URL that is still on record though Heroku has replaced it.
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
        return self._find(stream, None)

    def refresh(self, stream: Hashable, refused: str | Destination, /) -> Destination | None:
        """Return the destination of a stream whose URL a receiver has refused.

        This is the destination on record if it has changed meanwhile, or else the one that Heroku
        names. If the record has not changed after a random wait of up to two seconds, Heroku is
        asked; so processes that share a record usually ask only once for each rotation.

        Returns:
            None if the stream has ended. The refused destination if Heroku still names it.

        Raises:
            LookupFailed: The destination is not known at the moment.
        """
        destination = self._usable(refused, None) if isinstance(refused, str) else refused
        # A traceback that shows this frame's variables must show no secret.
        del refused
        return self._find(stream, destination)

    def _find(self, stream: Hashable, refused: Destination | None) -> Destination | None:
        resource = self._on_record(stream, refused)
        if not isinstance(resource, Resource):
            return resource
        with self._locks.of(resource.id):
            # Another look-up may just have updated it, and another process may do so meanwhile.
            for wait in (0.0, _spread() if refused is not None else 0.0):
                time.sleep(wait)
                resource = self._on_record(stream, refused)
                if not isinstance(resource, Resource):
                    return resource
            with self._http.bounded():
                located = self._ask(stream, resource, is_known=refused is not None)
                if isinstance(located, Located):
                    return self._take(stream, resource, refused, located)
        if stream not in self._reported_ends:
            # stderr gets one such line a minute; a later look-up reports what is left out.
            message = f"stream {shown(stream)}: {located.why}"
            if self._diagnostics.warn("ended", message):
                self._reported_ends.add(stream)
        return None

    def _on_record(
        self, stream: Hashable, refused: Destination | None
    ) -> Destination | Resource | None:
        """Return the destination on record, or the resource if Heroku must be asked, or None."""
        resource = resource_of(self._record, stream)
        if resource is None:
            return None
        recorded = self._recorded(resource)
        if _same_url(recorded, refused) or _same_url(recorded, self._outdated.get(stream)):
            return resource
        self._outdated.pop(stream, None)
        return recorded or resource

    def _take(
        self, stream: Hashable, resource: Resource, refused: Destination | None, located: Located
    ) -> Destination:
        found = self._usable(located.url, resource.app_id or located.app_id)
        if found is None:
            why = "cannot be used" if self._allow_private else "cannot be used, or is private"
            raise LookupFailed(f"log_input_url: {why}")
        recorded = self._recorded(resource)
        if recorded is not None and not _same_url(recorded, found):
            self._outdated[stream] = recorded
        else:
            self._outdated.pop(stream, None)
        if not _same_url(found, recorded or refused):
            self._hand_over("on_rotate", self._on_rotate, stream, located.url)
        self._reported_ends.discard(stream)
        return found

    def _recorded(self, resource: Resource) -> Destination | None:
        url = resource.log_input_url
        return None if url is None else self._usable(url, resource.app_id)

    def _usable(self, url: str, app_id: str | None) -> Destination | None:
        """Return the destination of a URL, with the app's id as hostname, or None if unusable."""
        allow_private = self._allow_private
        # An unusable hostname is no reason to deliver nothing.
        for hostname in (app_id, None):
            with contextlib.suppress(ConfigurationError):
                # The handler decides whether http:// may lead to other machines.
                return Destination.from_url(
                    url, allow_http=True, allow_private=allow_private, hostname=hostname
                )
        return None

    def _ask(self, stream: Hashable, resource: Resource, *, is_known: bool) -> Located | Ended:
        """Ask Heroku for a stream; `is_known` says whether the stream had a URL before."""
        raise NotImplementedError

    def _hand_over(
        self, option: str, callback: Callable[..., object] | None, stream: Hashable, value: object
    ) -> None:
        """Have the partner store a new value. If that fails, the value is used all the same."""
        try:
            if callback is not None:
                callback(stream, value)
        except Exception as error:
            failure = f"stream {shown(stream)}: {option} failed: {type(error).__name__}"
            self._diagnostics.warn(option, f"{failure}; what is new is used, but not on record")


def _spread() -> float:
    """Return the seconds to wait before Heroku is asked about a refused URL.

    All processes meet a rotation at the same moment. The square root makes short waits rare, so the
    first process has usually stored the URL before the others look at the record again.
    """
    return _MAX_SPREAD * math.sqrt(_RANDOM.random())


def _same_url(one: Destination | None, other: Destination | None) -> bool:
    """Whether both are the same URL, whatever the hostname in the packets."""
    if one is None or other is None:
        return False
    return replace(one, hostname=None) == replace(other, hostname=None)
