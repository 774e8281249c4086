"""One request to Heroku. Replies come out of it, or what went wrong; never an exception."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from logplex_handler._process.reentrancy import Activity, performing
from logplex_handler._transport import connection, errors
from logplex_handler._transport.answer import retry_after
from logplex_handler._transport.session import SessionFactory, new_session, verify
from logplex_handler._transport.transport import TOTAL_TIMEOUTS
from logplex_handler._version import __version__
from logplex_handler._wire.destination import is_loopback
from logplex_handler.errors import ConfigurationError, LookupFailed

# Bytes: an answer that is longer is none of Heroku's.
_MAX_ANSWER = 1024 * 1024


class Secret:
    """A string that does not show in the report of an error."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<Secret>"


class Authorization(Secret):
    """The header by which a request is let in, as requests calls for it; empty for none."""

    __slots__ = ()

    @classmethod
    def basic(cls, user: str, password: str) -> Authorization:
        return cls(
            "Basic "
            + base64.b64encode(f"{user}:{password}".encode(errors="surrogatepass")).decode()
        )

    @classmethod
    def bearer(cls, token: str) -> Authorization:
        return cls(f"Bearer {token}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


@dataclass(frozen=True, repr=False, slots=True)
class Reply:
    """An answer. It may hold a secret, so it has no repr.

    Attributes:
        document: What its JSON says; None if it is none.
        retry_after: Seconds that it asks to wait, if it does.
    """

    status: int
    document: Any = None
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether there is something in it to go by."""
        return 200 <= self.status < 300

    def problem(self, what: str) -> LookupFailed:
        """What is wrong with it, in words."""
        return LookupFailed(f"{what}: status {self.status}", retry_after=self.retry_after)


class Http:
    """Makes requests, each on a session of its own: they are seldom.

    Args:
        timeout: Seconds for connecting, and for each read.
        session_factory: Makes the sessions; None for ordinary ones.

    Raises:
        ConfigurationError: The time-out is not a number above zero.
    """

    def __init__(self, timeout: float, session_factory: SessionFactory | None) -> None:
        if not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
            raise ConfigurationError("timeout: must be a number of seconds above 0")
        if session_factory is not None and not callable(session_factory):
            raise ConfigurationError("session_factory: must be callable")
        self._timeout = timeout
        self._session_factory = session_factory

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Within it, all requests together take no longer than one request of the handler's may."""
        try:
            with connection.until(time.monotonic() + TOTAL_TIMEOUTS * self._timeout):
                yield
        except BaseException as error:
            # A signal, perhaps, in the depth of libraries whose variables hold credentials.
            errors.clear_variables(error)
            raise

    def get(self, url: str, accept: str, authorization: Authorization) -> Reply | LookupFailed:
        """Ask for a document."""
        return self._send("GET", url, accept, authorization, None)

    def post(self, url: str, form: Mapping[str, str]) -> Reply | LookupFailed:
        """Send a form."""
        return self._send("POST", url, "application/json", Authorization(""), form)

    def _send(
        self,
        method: str,
        url: str,
        accept: str,
        authorization: Authorization,
        form: Mapping[str, str] | None,
    ) -> Reply | LookupFailed:
        name = urlsplit(url).hostname or ""
        try:
            # What the libraries log of it is not the application's to read.
            with performing(Activity.REQUEST), new_session(self._session_factory) as session:
                response = session.request(
                    method,
                    url,
                    data=form,
                    headers={
                        "Accept": accept,
                        "Accept-Encoding": "identity",
                        "User-Agent": f"logplex_handler/{__version__}",
                    },
                    # Given with the request, nothing in ~/.netrc comes before these credentials.
                    auth=authorization,
                    timeout=self._timeout,
                    # Credentials go to no other place than the one they are for.
                    allow_redirects=False,
                    verify=verify(session),
                    # The environment's proxy stands elsewhere, and has a loopback of its own.
                    proxies={"no_proxy": name} if is_loopback(name) else None,
                    stream=True,
                )
                with response:
                    return _read(response)
        except Exception as error:
            # Its text may quote what was sent.
            failure = errors.name(error)
            errors.dissolve(error)
            return LookupFailed(f"{name}: {failure}")


def _read(response: requests.Response) -> Reply:
    data = response.raw.read(_MAX_ANSWER + 1, decode_content=True)
    try:
        document = json.loads(data) if len(data) <= _MAX_ANSWER else None
    except (ValueError, RecursionError):
        document = None
    wait = retry_after(response.headers.get("Retry-After"), time.time())
    return Reply(response.status_code, document, wait)


def checked_base(url: str, option: str) -> str:
    """A URL to which paths are added.

    Raises:
        ConfigurationError: It is none, or would send secrets unencrypted.
    """
    problem = ""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.query or parts.fragment:
            problem = "must be https://HOST[:PORT]"
        elif parts.username is not None or parts.password is not None:
            problem = "must carry no credentials"
        elif parts.scheme != "https" and not (
            parts.scheme == "http" and is_loopback(parts.hostname)
        ):
            problem = "must begin with https:// (or http:// on this machine)"
    except (AttributeError, TypeError, ValueError):
        problem = "must be https://HOST[:PORT]"
    if problem:
        # It could hold a secret.
        del url
        raise ConfigurationError(f"{option}: {problem}")
    return url.rstrip("/")
