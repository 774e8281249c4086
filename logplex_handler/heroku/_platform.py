"""The Platform API for Partners, where each resource has tokens of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from logplex_handler._transport.session import SessionFactory
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Authorization, Reply, Secret, checked_base
from logplex_handler.heroku._look_up import Ended, Located, OnRotate, StreamLookUp, known
from logplex_handler.heroku._oauth import OAuth, Tokens
from logplex_handler.heroku._provision import Provision
from logplex_handler.heroku._resource import Record, Resource, resource_of

OnTokens = Callable[[Any, Tokens], object]

_ACCEPT = "application/vnd.heroku+json; version=3"
_PATH = "addon-attachments"


@dataclass(frozen=True, repr=False, slots=True)
class Attachment:
    """One app that an add-on is attached to; the repr shows no secret.

    Attributes:
        app_id: The app's id.
        app_name: The app's name.
        log_input_url: The URL of the app's stream; None for an app that takes no logs from add-ons,
            such as an app of the Fir generation.
        is_owner: Whether the add-on was created for this app.
    """

    app_id: str
    app_name: str
    log_input_url: str | None
    is_owner: bool

    def __repr__(self) -> str:
        return f"<Attachment {self.app_name}>"


class PlatformAPI(StreamLookUp):
    """Looks up streams' URLs at `GET /addons/ID/addon-attachments`, for a handler's `streams`.

    The partner's record is asked first, and Heroku only if there is no URL on record or if a
    receiver has refused it. Two callbacks store new values in the record. They are called in the
    thread that looks up, one at a time for each resource. If a callback fails, that is reported on
    stderr; the new value is used, but the next process has to get it again.

    Args:
        record: A function that returns the `Resource` on record for a stream's id; None or a
            KeyError means that there is no such stream. If an add-on is attached to several apps,
            each app may be a stream of its own: `Resource.app_id` names the app.
        client_secret: The add-on's OAuth client secret.
        on_tokens: A function, called as `on_tokens(stream, tokens)`, that stores new `Tokens`.
            Default: the tokens are kept in memory only.
        on_rotate: A function, called as `on_rotate(stream, url)`, that stores a URL that differs
            from the one on record. Default: the URL is kept in memory only.
        timeout: Seconds to wait for a connection, and for each read. A look-up is given up after
            four times as many seconds. Default: 5.
        session_factory: A function, called for each request, that returns a `requests.Session` with
            your proxies or CA. Default: an ordinary session.
        api_url: The URL of the API. Default: `https://api.heroku.com`.
        id_url: The URL of Heroku's identity service, which issues tokens. Default:
            `https://id.heroku.com`.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used. The text names it.
    """

    def __init__(
        self,
        record: Record,
        *,
        client_secret: str,
        on_tokens: OnTokens | None = None,
        on_rotate: OnRotate | None = None,
        timeout: float = 5.0,
        session_factory: SessionFactory | None = None,
        api_url: str = "https://api.heroku.com",
        id_url: str = "https://id.heroku.com",
    ) -> None:
        is_usable = isinstance(client_secret, str) and bool(client_secret)
        # Keeps secrets out of this frame of a traceback.
        secret = Secret(client_secret)
        del client_secret
        if not is_usable:
            raise ConfigurationError("client_secret: must be a string that is not empty")
        if on_tokens is not None and not callable(on_tokens):
            raise ConfigurationError("on_tokens: must be callable")
        super().__init__(record, on_rotate, timeout, session_factory)
        self._on_tokens = on_tokens
        self._api_url = checked_base(api_url, "api_url")
        self._oauth = OAuth(self._http, checked_base(id_url, "id_url"), secret)
        # By resource: the tokens that were on record when newer ones came, and the newer ones. A
        # thread needs the lock of the resource to use its item.
        self._newer: dict[str, tuple[Tokens, Tokens]] = {}

    def exchange(self, grant: Provision | str) -> Tokens:
        """Return the first tokens of a resource in exchange for the grant of its provision request.

        Heroku accepts a code once, and for five minutes after that request.

        Args:
            grant: The request, or its `oauth_grant.code`.

        Raises:
            LookupFailed: Heroku has refused the code, or has not answered.
        """
        # Keeps secrets out of this frame of a traceback.
        code = Secret((grant.grant_code or "") if isinstance(grant, Provision) else grant)
        del grant
        if not code.value:
            raise LookupFailed("oauth/token: there is no code to exchange")
        with self._http.bounded():
            tokens = self._oauth.exchange(code.value)
        return known(tokens)

    def attachments(self, stream: Hashable) -> tuple[Attachment, ...]:
        """Return the apps that a stream's add-on is attached to; none if there is no such add-on.

        Raises:
            LookupFailed: The apps are not known at the moment.
        """
        return known(self._attachments_of(stream))

    def _attachments_of(self, stream: Hashable) -> tuple[Attachment, ...] | LookupFailed:
        resource = resource_of(self._record, stream)
        if not isinstance(resource, Resource):
            return resource or ()
        with self._locks.of(resource.id), self._http.bounded():
            # Another look-up may just have refreshed its tokens.
            resource = resource_of(self._record, stream)
            if not isinstance(resource, Resource):
                return resource or ()
            found = self._asked(stream, resource)
        return () if isinstance(found, Ended) else found

    def _ask(
        self, stream: Hashable, resource: Resource, *, is_known: bool
    ) -> Located | Ended | LookupFailed:
        attachments = self._asked(stream, resource)
        if not isinstance(attachments, tuple):
            return attachments
        return _chosen(attachments, resource.app_id)

    def _asked(
        self, stream: Hashable, resource: Resource
    ) -> tuple[Attachment, ...] | Ended | LookupFailed:
        """The attachments; the tokens are refreshed if necessary."""
        reply = self._get(stream, resource)
        if isinstance(reply, LookupFailed):
            return reply
        if reply.status in (404, 410):
            return Ended(f"there is no add-on {resource.id} (any more)")
        # 206 is one part of a list: an attachment that is not in it may be in another part.
        if not reply.is_success or reply.status == 206:
            return reply.problem(_PATH)
        return _attachments(reply.document)

    def _get(self, stream: Hashable, resource: Resource) -> Reply | LookupFailed:
        tokens = self._tokens(resource)
        if tokens.access_token:
            reply = self._get_with(resource, tokens.access_token)
            if isinstance(reply, LookupFailed) or reply.status != 401:
                return reply
        refreshed = self._refreshed(stream, resource, tokens)
        if isinstance(refreshed, LookupFailed):
            return refreshed
        return self._get_with(resource, refreshed.access_token)

    def _get_with(self, resource: Resource, token: str) -> Reply | LookupFailed:
        url = f"{self._api_url}/addons/{resource.id}/{_PATH}"
        return self._http.ask(url, Authorization.bearer(token), accept=_ACCEPT)

    def _tokens(self, resource: Resource) -> Tokens:
        """The tokens on record, or newer ones that are not on record yet."""
        on_record = _recorded(resource)
        before, newer = self._newer.get(resource.id, (on_record, on_record))
        if before == on_record:
            return newer
        del self._newer[resource.id]
        return on_record

    def _refreshed(
        self, stream: Hashable, resource: Resource, expired: Tokens
    ) -> Tokens | LookupFailed:
        if not expired.refresh_token:
            return LookupFailed(f"{_PATH}: status 401, and there is no refresh_token on record")
        tokens = self._oauth.refresh(expired.refresh_token)
        if isinstance(tokens, LookupFailed):
            # Another process may have used the refresh token, and stored the tokens that it got.
            again = resource_of(self._record, stream)
            if isinstance(again, Resource) and again.access_token != resource.access_token:
                return _recorded(again)
            return tokens
        self._newer[resource.id] = (_recorded(resource), tokens)
        self._hand_over("on_tokens", self._on_tokens, stream, tokens)
        return tokens


def _recorded(resource: Resource) -> Tokens:
    return Tokens(resource.access_token or "", resource.refresh_token)


def _attachments(document: object) -> tuple[Attachment, ...] | LookupFailed:
    if not isinstance(document, list):
        return LookupFailed(f"{_PATH}: the answer is no list")
    found = []
    for item in document:
        app = item.get("app") if isinstance(item, dict) else None
        if not isinstance(app, dict) or not isinstance(app.get("id"), str):
            return LookupFailed(f"{_PATH}: the answer names no app")
        if "log_input_url" not in item:
            return LookupFailed(
                f"{_PATH}: the answer has no log_input_url (does the manifest require log_input?)"
            )
        url, name = item["log_input_url"], app.get("name")
        if url is not None and not isinstance(url, str):
            return LookupFailed(f"{_PATH}: the log_input_url is neither a string nor null")
        addon = item.get("addon")
        owner = addon.get("app") if isinstance(addon, dict) else None
        is_owner = isinstance(owner, dict) and owner.get("id") == app["id"]
        found.append(Attachment(app["id"], name if isinstance(name, str) else "", url, is_owner))
    return tuple(found)


def _chosen(
    attachments: tuple[Attachment, ...], app_id: str | None
) -> Located | Ended | LookupFailed:
    """The attachment that a stream belongs to: a pure decision."""
    if app_id is None:
        # An app may have the same add-on attached under several names.
        apps = {attachment.app_id for attachment in attachments}
        of_owner = [attachment for attachment in attachments if attachment.is_owner]
        if len(apps) > 1 and not of_owner:
            return LookupFailed(
                f"{_PATH}: it is attached to {len(apps)} apps, and the record names no app_id"
            )
        candidates = of_owner or list(attachments)
    else:
        candidates = [attachment for attachment in attachments if attachment.app_id == app_id]
    if not candidates:
        return Ended("the add-on is attached to no app" + (" of that id" if app_id else ""))
    for attachment in candidates:
        if attachment.log_input_url is not None:
            return Located(attachment.log_input_url, attachment.app_id)
    return Ended("its log_input_url is null: an app of the Fir generation takes no add-on's logs")
