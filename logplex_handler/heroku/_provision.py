"""The request that Heroku sends when a customer adds the add-on to an app."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.heroku._look_up import is_id

_NOT_IN_TEXTS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# The longest text, in characters: far more than any of these fields needs.
_MAX_TEXT = 4096


@dataclass(frozen=True, repr=False, slots=True)
class Provision:
    """A provision request; the repr shows no secret.

    Attributes:
        id: The resource's `uuid`, or its `heroku_id` in the legacy format. Several requests may
            have the same id.
        plan: The plan's name. The plan, the name and the region are empty if the request lacks
            them.
        name: The add-on's name.
        region: The region in which the app runs.
        options: The options that the customer has given.
        log_input_url: The URL of the app's stream, which the partner stores; None if the app takes
            no logs from add-ons, or if the manifest does not require `log_input`.
        destination: The destination of that URL, in the legacy format with the `heroku_id` as
            hostname.
        grant_code: The code for `PlatformAPI.exchange`, valid for five minutes; None without one.
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
        cls,
        body: bytes | str | Mapping[str, object],
        *,
        allow_http: bool = False,
        allow_private: bool = False,
    ) -> Provision:
        """Return the request with this body: version 3, or the legacy format with `heroku_id`.

        Unknown fields are ignored.

        Args:
            body: The JSON document, as received or parsed.
            allow_http: Whether a `log_input_url` may be an `http://` URL of another machine.
                Default: False.
            allow_private: Whether a `log_input_url` may lead to this machine, a private network or
                a link. Default: False, because others have chosen the URL; True for a receiver of
                your tests.

        Raises:
            ConfigurationError: (a ValueError) The body cannot be used. The text names the field,
                and shows nothing of its value.
        """
        parsed = _parsed(body, allow_http, allow_private)
        # Keeps secrets out of this frame of a traceback.
        del body
        if isinstance(parsed, str):
            raise ConfigurationError(parsed)
        return parsed

    def __repr__(self) -> str:
        return f"<Provision {self.id}>"


def _parsed(body: object, allow_http: bool, allow_private: bool) -> Provision | str:
    """Return the request, or its problem in words. Raises nothing: an error could quote it."""
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
                allow_private=allow_private,
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
