"""The Platform API for Partners: each resource is asked for with tokens of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from logplex_handler._transport.session import SessionFactory
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Authorization, Reply, Secret, checked_base
from logplex_handler.heroku._looking_up import Ended, Located, LookingUp, OnRotate
from logplex_handler.heroku._oauth import OAuth, Tokens
from logplex_handler.heroku._provision import Provision
from logplex_handler.heroku._record import Record, Resource, resource_of

OnTokens = Callable[[Any, Tokens], object]

_ACCEPT = "application/vnd.heroku+json; version=3"
_WHAT = "addon-attachments"


@dataclass(frozen=True, repr=False, slots=True)
class Attachment:
    """One app that an add-on is attached to; its repr shows no secret.

    Attributes:
        app_id: The app's id.
        app_name: Its name.
        log_input_url: Where its stream is written to; None for an app that takes no logs of
            add-ons, such as those of the Fir generation.
        is_owner: Whether the add-on was made for this app.
    """

    app_id: str
    app_name: str
    log_input_url: str | None
    is_owner: bool

    def __repr__(self) -> str:
        return f"<Attachment {self.app_name}>"


class PlatformAPI(LookingUp):
    """Looks a stream's URL up at `GET /addons/ID/addon-attachments`, for a handler's `streams`.

    The partner's record is asked first. Heroku is asked where nothing is on record, and where what
    is on record was refused; what is new goes back to the record by the two callbacks. They are
    called in the thread that looks up, one at a time for each resource. If one fails, that is said
    on stderr, and what is new is used, but will have to be got again by the next process.

    Args:
        record: Called with a stream's id for the `Resource` on record; None or a KeyError says that
            there is no such stream. Of an add-on that is attached to several apps, each app may be
            a stream of its own: `Resource.app_id` says which.
        client_secret: The add-on's OAuth client secret.
        on_tokens: Called as `on_tokens(stream, tokens)` with new `Tokens` to be stored. Default:
            they are kept in memory alone.
        on_rotate: Called as `on_rotate(stream, url)` with a URL that is not the one on record, to
            be stored. Default: it is kept in memory alone.
        timeout: Seconds for connecting, and for each read; a look-up is given up after four times
            that. Default: 5.
        session_factory: Called for each request, for a `requests.Session` with proxies or a CA of
            yours. Default: an ordinary one.
        api_url: Where the API is. Default: `https://api.heroku.com`.
        id_url: Where tokens are had. Default: `https://id.heroku.com`.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used; the text names it.
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
        # So that this frame of a traceback holds no secret.
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
        # By resource: the tokens that were on record when newer ones came, and those. Each is for
        # whoever holds the resource's lock.
        self._newer: dict[str, tuple[Tokens, Tokens]] = {}

    def exchange(self, grant: Provision | str) -> Tokens:
        """The first tokens of a resource, for the grant of its provision request.

        Heroku takes a code once, and for five minutes after that request.

        Args:
            grant: The request, or its `oauth_grant.code`.

        Raises:
            LookupFailed: Heroku has refused it, or not answered.
        """
        # So that this frame of a traceback holds no secret.
        code = Secret((grant.grant_code or "") if isinstance(grant, Provision) else grant)
        del grant
        if not code.value:
            raise LookupFailed("oauth/token: there is no code to exchange")
        with self._http.bounded():
            tokens = self._oauth.exchange(code.value)
        if isinstance(tokens, LookupFailed):
            raise tokens
        return tokens

    def attachments(self, stream: Any) -> tuple[Attachment, ...]:
        """The apps that a stream's add-on is attached to; none if there is no such add-on.

        Raises:
            LookupFailed: It cannot be told now.
        """
        found = self._attachments_of(stream)
        if isinstance(found, LookupFailed):
            raise found
        return found

    def _attachments_of(self, stream: Any) -> tuple[Attachment, ...] | LookupFailed:
        resource = resource_of(self._record, stream)
        if not isinstance(resource, Resource):
            return resource or ()
        with self._lock_of(resource.id), self._http.bounded():
            # Its tokens may have just been refreshed.
            resource = resource_of(self._record, stream)
            if not isinstance(resource, Resource):
                return resource or ()
            found = self._asked(stream, resource)
        return () if isinstance(found, Ended) else found

    def _ask(
        self, stream: Any, resource: Resource, *, is_known: bool
    ) -> Located | Ended | LookupFailed:
        attachments = self._asked(stream, resource)
        if not isinstance(attachments, tuple):
            return attachments
        return _chosen(attachments, resource.app_id)

    def _asked(
        self, stream: Any, resource: Resource
    ) -> tuple[Attachment, ...] | Ended | LookupFailed:
        """The attachments, with tokens that are refreshed if they have to be."""
        reply = self._get(stream, resource)
        if isinstance(reply, LookupFailed):
            return reply
        if reply.status in (404, 410):
            return Ended(f"there is no add-on {resource.id} (any more)")
        # 206 is the first part of a list that has another: what is not in it may be there.
        if not reply.is_success or reply.status == 206:
            return reply.problem(_WHAT)
        return _attachments(reply.document)

    def _get(self, stream: Any, resource: Resource) -> Reply | LookupFailed:
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
        url = f"{self._api_url}/addons/{resource.id}/{_WHAT}"
        return self._http.get(url, _ACCEPT, Authorization.bearer(token))

    def _tokens(self, resource: Resource) -> Tokens:
        """Those on record, or newer ones that are not there yet."""
        on_record = _recorded(resource)
        before, newer = self._newer.get(resource.id, (on_record, on_record))
        if before == on_record:
            return newer
        del self._newer[resource.id]
        return on_record

    def _refreshed(self, stream: Any, resource: Resource, expired: Tokens) -> Tokens | LookupFailed:
        if not expired.refresh_token:
            return LookupFailed(f"{_WHAT}: status 401, and there is no refresh_token on record")
        tokens = self._oauth.refresh(expired.refresh_token)
        if isinstance(tokens, LookupFailed):
            # Another process may have used it up, and stored what it got.
            again = resource_of(self._record, stream)
            if isinstance(again, Resource) and again.access_token != resource.access_token:
                return _recorded(again)
            return tokens
        self._newer[resource.id] = (_recorded(resource), tokens)
        self._call_back("on_tokens", self._on_tokens, stream, tokens)
        return tokens


def _recorded(resource: Resource) -> Tokens:
    return Tokens(resource.access_token or "", resource.refresh_token)


def _attachments(document: object) -> tuple[Attachment, ...] | LookupFailed:
    """What an answer of the API means."""
    if not isinstance(document, list):
        return LookupFailed(f"{_WHAT}: the answer is no list")
    found = []
    for item in document:
        app = item.get("app") if isinstance(item, dict) else None
        if not isinstance(app, dict) or not isinstance(app.get("id"), str):
            return LookupFailed(f"{_WHAT}: the answer names no app")
        if "log_input_url" not in item:
            return LookupFailed(
                f"{_WHAT}: the answer has no log_input_url (does the manifest require log_input?)"
            )
        url, name = item["log_input_url"], app.get("name")
        if url is not None and not isinstance(url, str):
            return LookupFailed(f"{_WHAT}: the log_input_url is neither a string nor null")
        addon = item.get("addon")
        owner = addon.get("app") if isinstance(addon, dict) else None
        is_owner = isinstance(owner, dict) and owner.get("id") == app["id"]
        found.append(Attachment(app["id"], name if isinstance(name, str) else "", url, is_owner))
    return tuple(found)


def _chosen(
    attachments: tuple[Attachment, ...], app_id: str | None
) -> Located | Ended | LookupFailed:
    """The one that a stream is for: a pure decision."""
    if app_id is None:
        # An app may have the same add-on attached under several names.
        apps = {attachment.app_id for attachment in attachments}
        of_owner = [attachment for attachment in attachments if attachment.is_owner]
        if len(apps) > 1 and not of_owner:
            return LookupFailed(
                f"{_WHAT}: it is attached to {len(apps)} apps, and the record names no app_id"
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
