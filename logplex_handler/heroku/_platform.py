"""The Platform API for Partners, where each resource has its own tokens."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from logplex_handler._process.checks import optional_function
from logplex_handler._transport.session import SessionFactory
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Authorization, Reply, Secret, checked_base
from logplex_handler.heroku._look_up import (
    Ended,
    Located,
    OnRotate,
    Record,
    Resource,
    StreamLookUp,
    resource_of,
)
from logplex_handler.heroku._provision import Provision

_ACCEPT = "application/vnd.heroku+json; version=3"
_PATH = "addon-attachments"
# Characters of the longest token: servers accept no longer headers.
_MAX_TOKEN = 4096
# Seconds that no token lasts: 30 years.
_LONGEST = 1e9


@dataclass(frozen=True, repr=False, slots=True)
class Tokens:
    """The tokens for one resource, which the partner stores; the repr shows neither.

    Attributes:
        access_token: Gives access to the resource, for about eight hours.
        refresh_token: Gets the next tokens; None if Heroku gave none.
        expires_in: Seconds until the access token expires, if Heroku has given them.
    """

    access_token: str
    refresh_token: str | None = None
    expires_in: float | None = None

    def __repr__(self) -> str:
        return "<Tokens>"


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


OnTokens = Callable[[Any, Tokens], object]


class PlatformAPI(StreamLookUp):
    """Looks up streams' URLs at `GET /addons/ID/addon-attachments`, for a handler's `streams`.

    The partner's record is asked first, and Heroku only if there is no URL on record or if a
    receiver has refused it. Two callbacks store new values in the record. They are called in the
    thread that looks up, one at a time for each resource. If a callback fails, that is reported on
    stderr; the new value is used, but the next process must get it again.

    Args:
        record: A function that returns the `Resource` on record for a stream's id; None or a
            KeyError means that there is no such stream. If an add-on is attached to several apps,
            each app may be its own stream: `Resource.app_id` names the app.
        client_secret: The add-on's OAuth client secret.
        on_tokens: A function, called as `on_tokens(stream, tokens)`, that stores new `Tokens`.
            Default: the tokens are kept in memory only.
        on_rotate: A function, called as `on_rotate(stream, url)`, that stores a URL that differs
            from the one on record. Several processes that share the record may call it with the
            same URL. Default: the URL is kept in memory only.
        timeout: Seconds to wait for a connection, and for each read. A look-up is given up after
            four times as many seconds. Default: 5.
        session_factory: A function, called for each request, that returns a `requests.Session` with
            your proxies or CA. Default: an ordinary session.
        allow_private: Whether a URL may lead to this machine, a private network or a link. If not,
            such a URL is not used, and no connection is made to a private address that a name
            resolves to. Default: False; True for a receiver of your tests.
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
        allow_private: bool = False,
        api_url: str = "https://api.heroku.com",
        id_url: str = "https://id.heroku.com",
    ) -> None:
        is_usable = isinstance(client_secret, str) and bool(client_secret)
        # Keeps secrets out of this frame of a traceback.
        secret = Secret(client_secret)
        del client_secret
        if not is_usable:
            raise ConfigurationError("client_secret: must be a string that is not empty")
        super().__init__(record, on_rotate, timeout, session_factory, allow_private)
        self._on_tokens = optional_function("on_tokens", on_tokens)
        self._api_url = checked_base(api_url, "api_url")
        self._token_url = f"{checked_base(id_url, 'id_url')}/oauth/token"
        self._client = secret
        # For each resource, the tokens that were on record when newer ones came, and the newer
        # ones. A thread needs the lock of the resource to use its item.
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
            return self._exchanged({"grant_type": "authorization_code", "code": code.value})

    def attachments(self, stream: Hashable) -> tuple[Attachment, ...]:
        """Return the apps that a stream's add-on is attached to; none if there is no such add-on.

        Raises:
            LookupFailed: The apps are not known at the moment.
        """
        resource = resource_of(self._record, stream)
        if resource is None:
            return ()
        with self._locks.of(resource.id), self._http.bounded():
            # Another look-up may just have refreshed its tokens.
            resource = resource_of(self._record, stream)
            found = self._asked(stream, resource) if resource is not None else ()
        return () if isinstance(found, Ended) else found

    def _ask(self, stream: Hashable, resource: Resource, *, is_known: bool) -> Located | Ended:
        found = self._asked(stream, resource)
        return found if isinstance(found, Ended) else _chosen(found, resource.app_id)

    def _asked(self, stream: Hashable, resource: Resource) -> tuple[Attachment, ...] | Ended:
        """Return the attachments; refresh the tokens if necessary."""
        tokens = self._tokens(resource)
        reply = self._get(resource, tokens) if tokens.access_token else None
        if reply is None or reply.status == 401:
            reply = self._get(resource, self._refreshed(stream, resource, tokens))
        if reply.status in (404, 410):
            return Ended(f"there is no add-on {resource.id} (any more)")
        reply.check(_PATH)
        return _attachments(reply)

    def _get(self, resource: Resource, tokens: Tokens) -> Reply:
        url = f"{self._api_url}/addons/{resource.id}/{_PATH}"
        return self._http.ask(url, Authorization(f"Bearer {tokens.access_token}"), accept=_ACCEPT)

    def _tokens(self, resource: Resource) -> Tokens:
        """Return the tokens on record, or newer ones that are not on record yet."""
        on_record = _recorded(resource)
        before, newer = self._newer.get(resource.id, (on_record, on_record))
        if before == on_record:
            return newer
        del self._newer[resource.id]
        return on_record

    def _refreshed(self, stream: Hashable, resource: Resource, expired: Tokens) -> Tokens:
        if not expired.refresh_token:
            raise LookupFailed(f"{_PATH}: status 401, and there is no refresh_token on record")
        try:
            grant = {"grant_type": "refresh_token", "refresh_token": expired.refresh_token}
            tokens = self._exchanged(grant)
        except LookupFailed:
            # Another process may have used the refresh token, and stored the tokens that it got.
            again = resource_of(self._record, stream)
            if again is not None and again.access_token != resource.access_token:
                return _recorded(again)
            raise
        self._newer[resource.id] = (_recorded(resource), tokens)
        self._hand_over("on_tokens", self._on_tokens, stream, tokens)
        return tokens

    def _exchanged(self, grant: Mapping[str, str]) -> Tokens:
        """Return the tokens for a code or a refresh token.

        The refresh token stays the same unless there is a new one.
        """
        # Sent in the body: the query of a URL would appear in the logs of servers on the way.
        form = {**grant, "client_secret": self._client.value}
        reply = self._http.ask(self._token_url, form=form)
        reply.check("oauth/token")
        answer = reply.document if isinstance(reply.document, dict) else {}
        access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
        expires_in = answer.get("expires_in")
        if not _is_token(access_token):
            raise LookupFailed("oauth/token: the answer holds no access_token")
        if not _is_token(refresh_token):
            refresh_token = grant.get("refresh_token")
        is_flag = isinstance(expires_in, bool)
        if is_flag or not isinstance(expires_in, int | float) or not 0 <= expires_in < _LONGEST:
            expires_in = None
        return Tokens(access_token, refresh_token, expires_in)


def _is_token(value: object) -> TypeGuard[str]:
    """Return whether a value of an answer can be a token, which becomes a header."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TOKEN:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def _recorded(resource: Resource) -> Tokens:
    return Tokens(resource.access_token or "", resource.refresh_token)


def _attachments(reply: Reply) -> tuple[Attachment, ...]:
    if not isinstance(reply.document, list):
        raise LookupFailed(f"{_PATH}: the answer is no list")
    found = []
    for item in reply.document:
        app = item.get("app") if isinstance(item, dict) else None
        if not isinstance(app, dict) or not isinstance(app.get("id"), str):
            raise LookupFailed(f"{_PATH}: the answer names no app")
        if "log_input_url" not in item:
            raise LookupFailed(
                f"{_PATH}: the answer has no log_input_url (does the manifest require log_input?)"
            )
        url, name = item["log_input_url"], app.get("name")
        if url is not None and not isinstance(url, str):
            raise LookupFailed(f"{_PATH}: the log_input_url is neither a string nor null")
        addon = item.get("addon")
        owner = addon.get("app") if isinstance(addon, dict) else None
        is_owner = isinstance(owner, dict) and owner.get("id") == app["id"]
        found.append(Attachment(app["id"], name if isinstance(name, str) else "", url, is_owner))
    return tuple(found)


def _chosen(attachments: tuple[Attachment, ...], app_id: str | None) -> Located | Ended:
    """Return the attachment that a stream belongs to: a pure decision."""
    if app_id is None:
        # An app may have the same add-on attached under several names.
        apps = {attachment.app_id for attachment in attachments}
        of_owner = [attachment for attachment in attachments if attachment.is_owner]
        if len(apps) > 1 and not of_owner:
            raise LookupFailed(
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
