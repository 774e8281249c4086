"""Gets the tokens for one resource of the Platform API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from logplex_handler.errors import LookupFailed
from logplex_handler.heroku._http import Http, Secret


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


class OAuth:
    """Gets tokens in exchange for a grant: a code or a refresh token."""

    def __init__(self, http: Http, id_url: str, client_secret: Secret) -> None:
        self._http = http
        self._url = f"{id_url}/oauth/token"
        self._secret = client_secret

    def exchange(self, code: str) -> Tokens | LookupFailed:
        """The first tokens, in exchange for the code of the provision request."""
        return self._ask({"grant_type": "authorization_code", "code": code})

    def refresh(self, refresh_token: str) -> Tokens | LookupFailed:
        """The next tokens. The refresh token stays the same unless Heroku gives a new one."""
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def _ask(self, grant: Mapping[str, str]) -> Tokens | LookupFailed:
        # In the body, since the query of a URL would appear in the logs of servers on the way.
        reply = self._http.ask(self._url, form={**grant, "client_secret": self._secret.value})
        if isinstance(reply, LookupFailed):
            return reply
        if not reply.is_success:
            return reply.problem("oauth/token")
        answer = reply.document if isinstance(reply.document, dict) else {}
        access_token = answer.get("access_token")
        refresh_token = answer.get("refresh_token")
        expires_in = answer.get("expires_in")
        if not _is_token(access_token):
            return LookupFailed("oauth/token: the answer holds no access_token")
        return Tokens(
            access_token,
            refresh_token if _is_token(refresh_token) else grant.get("refresh_token"),
            expires_in if isinstance(expires_in, int | float) else None,
        )


def _is_token(given: object) -> TypeGuard[str]:
    return isinstance(given, str) and given != ""
