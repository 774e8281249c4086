"""The App Info API, the predecessor of the Platform API: one password for all resources."""

from __future__ import annotations

import base64
from collections.abc import Hashable

from logplex_handler._transport.session import SessionFactory
from logplex_handler.errors import ConfigurationError, LookupFailed
from logplex_handler.heroku._http import Authorization, Secret, checked_base
from logplex_handler.heroku._look_up import (
    Ended,
    Located,
    OnRotate,
    Record,
    Resource,
    StreamLookUp,
)

_PATH = "vendor/apps"


class AppInfoAPI(StreamLookUp):
    """Looks up streams' URLs at `GET /vendor/apps/ID`, for a handler's `streams`.

    Heroku's own App Info API ended in July 2023; use `PlatformAPI` there. Like `PlatformAPI`, this
    class asks the partner's record first.

    Args:
        record: A function that returns the `Resource` on record for a stream's id; None or a
            KeyError means that there is no such stream.
        user: The add-on's id in the manifest.
        password: The password in the manifest.
        on_rotate: A function, called as `on_rotate(stream, url)`, that stores a URL that differs
            from the one on record. Several processes that share the record may call it with the
            same URL. If it fails, that is reported on stderr, and the URL is
            used. Default: the URL is kept in memory only.
        timeout: Seconds to wait for a connection, and for each read. A look-up is given up after
            four times as many seconds. Default: 5.
        session_factory: A function, called for each request, that returns a `requests.Session` with
            your proxies or CA. Default: an ordinary session.
        allow_private: Whether a URL may lead to this machine, a private network or a link. If not,
            such a URL is not used, and no connection is made to a private address that a name
            resolves to. Default: False; True for a receiver of your tests.
        api_url: The URL of the API. Default: `https://api.heroku.com`.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used. The text names it.
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
        allow_private: bool = False,
        api_url: str = "https://api.heroku.com",
    ) -> None:
        problem = ""
        if not isinstance(user, str) or not user or ":" in user:
            problem = "user: must be a string that is not empty and has no ':'"
        elif not isinstance(password, str) or not password:
            problem = "password: must be a string that is not empty"
        # Keeps secrets out of this frame of a traceback.
        secret = Secret(password)
        del password
        if problem:
            raise ConfigurationError(problem)
        super().__init__(record, on_rotate, timeout, session_factory, allow_private)
        self._api_url = checked_base(api_url, "api_url")
        credentials = f"{user}:{secret.value}".encode(errors="surrogatepass")
        self._authorization = Authorization(f"Basic {base64.b64encode(credentials).decode()}")

    def _ask(self, stream: Hashable, resource: Resource, *, is_known: bool) -> Located | Ended:
        url = f"{self._api_url}/{_PATH}/{resource.id}"
        reply = self._http.ask(url, self._authorization)
        if reply.status in (404, 410):
            if is_known:
                return Ended(f"there is no app {resource.id} any more")
            # Heroku also answers like this until the provisioning is complete, which takes a while.
            raise LookupFailed(f"{_PATH}: status {reply.status} (still provisioning, or gone)")
        if reply.status == 401:
            raise LookupFailed(
                f"{_PATH}: status 401 (are user and password those of the manifest?)"
            )
        reply.check(_PATH)
        answer = reply.document
        if not isinstance(answer, dict) or "log_input_url" not in answer:
            raise LookupFailed(f"{_PATH}: the answer has no log_input_url")
        found = answer["log_input_url"]
        if found is None:
            return Ended("its log_input_url is null: it takes no add-on's logs")
        if not isinstance(found, str):
            raise LookupFailed(f"{_PATH}: the log_input_url is neither a string nor null")
        return Located(found)
