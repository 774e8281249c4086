"""What Heroku sends when a customer adds the add-on to an app."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.heroku._record import is_id

_NOT_IN_TEXTS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Characters: far more than any of these fields needs.
_MAX_TEXT = 4096


@dataclass(frozen=True, repr=False, slots=True)
class Provision:
    """A provision request; its repr shows no secret.

    Attributes:
        id: The resource's `uuid`, or in the legacy form its `heroku_id`. The request may come more
            than once with the same.
        plan: The plan's name; empty if it was not sent. So for the next two.
        name: The add-on's name.
        region: Where the app runs.
        options: What the customer has given.
        log_input_url: The URL of the app's stream, to be stored; None if the app takes no logs of
            add-ons, or the manifest does not require `log_input`.
        destination: Where that leads; in the legacy form with the `heroku_id` as hostname.
        grant_code: What `PlatformAPI.exchange` takes, within five minutes; None if there is none.
    """

    id: str
    plan: str
    name: str
    region: str
    options: Mapping[str, Any]
    log_input_url: str | None
    destination: Destination | None
    grant_code: str | None

    @classmethod
    def from_json(
        cls, body: bytes | str | Mapping[str, Any], *, allow_http: bool = False
    ) -> Provision:
        """Take the body of the request: version 3, or the legacy one with `heroku_id`.

        Fields that are not known are left alone.

        Args:
            body: The JSON, as it came or parsed.
            allow_http: Whether a `log_input_url` of `http://` may go beyond this machine. Default:
                False.

        Raises:
            ConfigurationError: (a ValueError) It cannot be used. The text names the field, and
                shows nothing of what it holds.
        """
        taken = _taken(body, allow_http)
        # So that this frame of a traceback holds no secret.
        del body
        if isinstance(taken, str):
            raise ConfigurationError(taken)
        return taken

    def __repr__(self) -> str:
        return f"<Provision {self.id}>"


def _taken(body: object, allow_http: bool) -> Provision | str:
    """The request, or what is wrong with it. Nothing is raised: an error could quote it."""
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return "body: is not JSON"
    if not isinstance(body, Mapping):
        return "body: must be a JSON object"
    id_field = "uuid" if body.get("uuid") is not None else "heroku_id"
    if not is_id(body.get(id_field)):
        return f"{id_field if id_field in body else 'uuid'}: must be the id of a resource"
    grant = body.get("oauth_grant")
    options = body.get("options")
    for field, value in (("oauth_grant", grant), ("options", options)):
        if value is not None and not isinstance(value, Mapping):
            return f"{field}: must be an object or null"
    texts = {field: body.get(field) for field in ("plan", "name", "region", "log_input_url")}
    texts["oauth_grant.code"] = grant.get("code") if grant else None
    for field, text in texts.items():
        if text is not None and not _is_text(text):
            return f"{field}: must be a string, of one line, or null"
    url = texts["log_input_url"]
    destination = None
    if url is not None:
        try:
            destination = Destination.from_url(
                url,
                hostname=body["heroku_id"] if id_field == "heroku_id" else None,
                allow_http=allow_http,
                option="log_input_url",
            )
        except ConfigurationError as error:
            return str(error)
    return Provision(
        id=body[id_field],
        plan=texts["plan"] or "",
        name=texts["name"] or "",
        region=texts["region"] or "",
        options=MappingProxyType(dict(options or {})),
        log_input_url=url,
        destination=destination,
        grant_code=texts["oauth_grant.code"],
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and not _NOT_IN_TEXTS.search(value)
