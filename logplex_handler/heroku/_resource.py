"""The partner's record of one stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from typing import Any

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError, LookupFailed

# A UUID, or an id such as `app1234@heroku.com`. It becomes a part of the path of a request.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,254}")


def is_id(text: object) -> bool:
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True, repr=False, slots=True)
class Resource:
    """One customer's add-on in the partner's record; the repr shows no secret.

    Attributes:
        id: The resource's uuid (for `PlatformAPI`), or its `heroku_id` (for `AppInfoAPI`).
        log_input_url: The URL on record. Default: none, so that Heroku is asked for it.
        app_id: The id of the app that the stream belongs to. It selects one of the apps that the
            add-on is attached to, and becomes the hostname in the stream's packets. Default: the
            app that the add-on was created for.
        access_token: For `PlatformAPI`, the token that gives access to the resource. Default: none,
            so that it is refreshed first.
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

    @property
    def destination(self) -> Destination | None:
        """The destination on record; None without a URL that can be used."""
        return None if self.log_input_url is None else destination(self.log_input_url, self.app_id)


# The partner's record: returns the resource of a stream, or None if there is no such stream.
Record = Callable[[Any], Resource | None]


def destination(url: str, app_id: str | None) -> Destination | None:
    """The destination of a URL, with the app's id as hostname; None if the URL cannot be used."""
    try:
        # The handler decides whether http:// may lead to other machines.
        found = Destination.from_url(url, allow_http=True)
    except ConfigurationError:
        return None
    try:
        return Destination.from_url(url, allow_http=True, hostname=app_id)
    except ConfigurationError:
        # A hostname that cannot be used is no reason to deliver nothing.
        return found


def resource_of(record: Record, stream: Hashable) -> Resource | LookupFailed | None:
    """The resource of a stream. An error of the partner's function is caught."""
    try:
        found = record(stream)
    except KeyError:
        return None
    except Exception as error:
        # An error of the application, whose text may hold a secret.
        return LookupFailed(f"record: {type(error).__name__}")
    if found is None or isinstance(found, Resource):
        return found
    return LookupFailed("record: must return a Resource or None")
