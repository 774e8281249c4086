"""What a partner has on record of one stream."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError, LookupFailed

# A UUID, or such as `app1234@heroku.com`. It stands in the path of a request.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,254}")


def is_id(text: object) -> bool:
    """Whether it can be the id of a resource."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True, repr=False, slots=True)
class Resource:
    """One customer's add-on, as the partner's record has it; its repr shows no secret.

    Attributes:
        id: The resource's uuid (for `PlatformAPI`), or its `heroku_id` (for `AppInfoAPI`).
        log_input_url: The URL that is on record. Default: none yet, so that it is looked up.
        app_id: The id of the app that the stream belongs to: it chooses among the apps that the
            add-on is attached to, and is the hostname in the stream's packets. Default: that of the
            app that the add-on was made for.
        access_token: For `PlatformAPI`, the token that lets in. Default: none, so that it is
            refreshed first.
        refresh_token: For `PlatformAPI`, the token that gets a new one. Default: none.

    Raises:
        ConfigurationError: (a ValueError) One of them is not a string, or the id cannot be one.
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

    @property
    def destination(self) -> Destination | None:
        """Where the URL on record leads; None if there is none, or none that can be used."""
        return None if self.log_input_url is None else destination(self.log_input_url, self.app_id)


# The partner's record: the resource of a stream, or None if there is no such stream.
Record = Callable[[Any], Resource | None]


def destination(url: str, app_id: str | None) -> Destination | None:
    """Where a URL leads, with the app's id as hostname; None if it cannot be used."""
    try:
        # Whether http:// may leave the machine is the handler's to say.
        found = Destination.from_url(url, allow_http=True)
    except ConfigurationError:
        return None
    try:
        return Destination.from_url(url, allow_http=True, hostname=app_id)
    except ConfigurationError:
        # The hostname alone is no reason to write nothing.
        return found


def resource_of(record: Record, stream: Any) -> Resource | LookupFailed | None:
    """What the record says; an error of its own is contained."""
    try:
        found = record(stream)
    except KeyError:
        return None
    except Exception as error:
        # It is the application's, and its text may hold anything.
        return LookupFailed(f"record: {type(error).__name__}")
    if found is None or isinstance(found, Resource):
        return found
    return LookupFailed("record: must return a Resource or None")
