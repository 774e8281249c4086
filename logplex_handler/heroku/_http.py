"""Requests to Heroku."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from logplex_handler._process.checks import optional_function, seconds
from logplex_handler._process.reentrancy import requesting
from logplex_handler._process.version import __version__
from logplex_handler._transport import errors
from logplex_handler._transport.answer import retry_after
from logplex_handler._transport.limits import until
from logplex_handler._transport.session import SessionFactory, new_session, verify
from logplex_handler._transport.transport import TOTAL_TIMEOUTS
from logplex_handler._wire.destination import is_loopback
from logplex_handler.errors import ConfigurationError, LookupFailed

# The longest answer, in bytes, that can be Heroku's.
_MAX_ANSWER = 1024 * 1024


class Secret:
    """A string that does not appear in tracebacks with variables."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<Secret>"


class Authorization(Secret):
    """The header of a request with credentials, as requests takes it for `auth`; empty for none."""

    __slots__ = ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


_NO_AUTHORIZATION = Authorization("")


@dataclass(frozen=True, repr=False, slots=True)
class Reply:
    """An answer. It may hold a secret, so it has no repr. The document is None if not JSON."""

    status: int
    document: object = None
    retry_after: float | None = None
    is_encoded: bool = False

    def check(self, endpoint: str) -> None:
        """Raise a LookupFailed unless the reply is a success, and can be read."""
        # A 206 is one part of a list.
        if not 200 <= self.status < 300 or self.status == 206:
            raise LookupFailed(f"{endpoint}: status {self.status}", retry_after=self.retry_after)
        if self.is_encoded:
            raise LookupFailed(f"{endpoint}: the answer is compressed, which was not asked for")


class Http:
    """A client that opens a new session for each request, because requests are rare."""

    def __init__(self, timeout: float, session_factory: SessionFactory | None) -> None:
        self._timeout = seconds("timeout", timeout)
        self._session_factory = optional_function("session_factory", session_factory)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Limit all requests in a `with` block to the time of one request of the handler.

        The variables of the frames in the block hold credentials. They are cleared if the block
        raises.
        """
        try:
            with until(time.monotonic() + TOTAL_TIMEOUTS * self._timeout):
                yield
        except BaseException as error:
            errors.clear_variables(error)
            raise

    def ask(
        self,
        url: str,
        authorization: Authorization = _NO_AUTHORIZATION,
        *,
        accept: str = "application/json",
        form: Mapping[str, str] | None = None,
    ) -> Reply:
        """Get a document, or post a form. Only to be called in `bounded`.

        Raises:
            LookupFailed: There is no answer.
        """
        name = urlsplit(url).hostname or ""
        try:
            # Records of the HTTP libraries about these requests are left out of the stream.
            with requesting(), new_session(self._session_factory) as session:
                response = session.request(
                    "GET" if form is None else "POST",
                    url,
                    data=form,
                    headers={
                        "Accept": accept,
                        "Accept-Encoding": "identity",
                        "User-Agent": f"logplex_handler/{__version__}",
                    },
                    # An argument of the request takes precedence over ~/.netrc.
                    auth=authorization,
                    timeout=self._timeout,
                    # The credentials must not be sent to another server.
                    allow_redirects=False,
                    verify=verify(session),
                    # A proxy from the environment runs on another machine, which has its own
                    # loopback.
                    proxies={"no_proxy": name} if is_loopback(name) else None,
                    stream=True,
                )
                with response:
                    return _read(response)
        except Exception as error:
            # The error's text may quote the request.
            failure = errors.name(error)
            errors.dissolve(error)
        raise LookupFailed(f"{name}: {failure}")


def _read(response: requests.Response) -> Reply:
    # The answer is not decoded: a few bytes could become gigabytes, and urllib3 before 2.6 decodes
    # everything.
    data = response.raw.read(_MAX_ANSWER + 1, decode_content=False)
    is_encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    try:
        document = json.loads(data) if len(data) <= _MAX_ANSWER else None
    except (ValueError, RecursionError):
        document = None
    wait = retry_after(response.headers.get("Retry-After"), time.time())
    return Reply(response.status_code, document, wait, is_encoded)


def checked_base(url: str, option: str) -> str:
    """Return an API's base URL without a final slash. It must not send secrets unencrypted."""
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
        # The URL could hold a secret.
        del url
        raise ConfigurationError(f"{option}: {problem}")
    return url.rstrip("/")
