"""The App Info API, which came before the Platform API: one password for all resources."""

from __future__ import annotations

from typing import Any

from logplex_handler._transport.session import SessionFactory
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Authorization, checked_base
from logplex_handler.heroku._looking_up import Ended, Located, LookingUp, OnRotate
from logplex_handler.heroku._record import Record, Resource

_WHAT = "vendor/apps"


class AppInfoAPI(LookingUp):
    """Looks a stream's URL up at `GET /vendor/apps/ID`, for a handler's `streams`.

    Heroku's own ended in July 2023; use `PlatformAPI` there. As there, the partner's record is
    asked first.

    Args:
        record: Called with a stream's id for the `Resource` on record; None or a KeyError says that
            there is no such stream.
        user: The add-on's id in the manifest.
        password: The password in the manifest.
        on_rotate: Called as `on_rotate(stream, url)` with a URL that is not the one on record, to
            be stored. If it fails, that is said on stderr, and the URL used. Default: it is kept in
            memory alone.
        timeout: Seconds for connecting, and for each read; a look-up is given up after four times
            that. Default: 5.
        session_factory: Called for each request, for a `requests.Session` with proxies or a CA of
            yours. Default: an ordinary one.
        api_url: Where the API is. Default: `https://api.heroku.com`.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used; the text names it.
    """

    def __init__(
        self,
        record: Record,
        *,
        user: str,
        password: str,
        on_rotate: OnRotate | None = None,
        timeout: float = 5.0,
        session_factory: SessionFactory | None = None,
        api_url: str = "https://api.heroku.com",
    ) -> None:
        problem = ""
        if not isinstance(user, str) or not user or ":" in user:
            problem = "user: must be a string that is not empty and has no ':'"
        elif not isinstance(password, str) or not password:
            problem = "password: must be a string that is not empty"
        authorization = None if problem else Authorization.basic(user, password)
        # So that this frame of a traceback holds no secret.
        del password
        if authorization is None:
            raise ConfigurationError(problem)
        super().__init__(record, on_rotate, timeout, session_factory)
        self._api_url = checked_base(api_url, "api_url")
        self._authorization = authorization

    def _ask(
        self, stream: Any, resource: Resource, *, is_known: bool
    ) -> Located | Ended | LookupFailed:
        url = f"{self._api_url}/{_WHAT}/{resource.id}"
        reply = self._http.get(url, "application/json", self._authorization)
        if isinstance(reply, LookupFailed):
            return reply
        if reply.status in (404, 410):
            if is_known:
                return Ended(f"there is no app {resource.id} any more")
            # Heroku answers so until the provisioning is through, and that takes its time.
            return LookupFailed(f"{_WHAT}: status {reply.status} (still provisioning, or gone)")
        if reply.status == 401:
            return LookupFailed(
                f"{_WHAT}: status 401 (are user and password those of the manifest?)"
            )
        if not reply.is_success:
            return reply.problem(_WHAT)
        answer = reply.document
        if not isinstance(answer, dict) or "log_input_url" not in answer:
            return LookupFailed(f"{_WHAT}: the answer has no log_input_url")
        found = answer["log_input_url"]
        if found is None:
            return Ended("its log_input_url is null: it takes no add-on's logs")
        if not isinstance(found, str):
            return LookupFailed(f"{_WHAT}: the log_input_url is neither a string nor null")
        return Located(found)
