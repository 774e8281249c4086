"""The part that all requests of a connection have in common, and the two ways to send the rest."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from logplex_handler._transport.connection import MAX_ANSWER
from logplex_handler._transport.limits import limits
from logplex_handler._transport.session import BoundedAdapter, verify
from logplex_handler._wire.destination import Destination


class PreparedRequest:
    """A request to one endpoint, without its body and its credentials.

    Preparing it costs more than half of a request.

    Args:
        headers: Headers of every request.
        is_own: Whether the session is an ordinary one, which nobody else changes.
    """

    def __init__(
        self,
        session: requests.Session,
        destination: Destination,
        headers: Mapping[str, str],
        *,
        is_own: bool,
    ) -> None:
        self.endpoint = destination.endpoint
        self._request = session.prepare_request(
            # An argument of the request takes precedence over ~/.netrc.
            requests.Request("POST", self.endpoint, auth=_credentials_come_later)
        )
        self._request.headers.update(headers)
        # The environment's proxy is on another machine, which has its own loopback.
        proxies = {"no_proxy": destination.address} if destination.is_loopback else {}
        # Any, because the settings are of several types, and requests checks them.
        settings: dict[str, Any] = dict(
            session.merge_environment_settings(
                self._request.url, proxies, True, verify(session), None
            )
        )
        self._adapter: BoundedAdapter | None = None
        self._send: Callable[..., requests.Response]
        self._head = ""
        if not is_own:
            # The credentials must not be sent to another server.
            self._send = partial(session.send, allow_redirects=False, **settings)
            return
        # The adapter is enough: an ordinary session would only look for cookies and redirects, too.
        adapter = session.get_adapter(self.endpoint)
        self._send = lambda request, timeout: adapter.send(request, timeout=timeout, **settings)
        if isinstance(adapter, BoundedAdapter):
            self._adapter = adapter
            self._head = _head(self._request)

    def post(
        self, destination: Destination, body: bytes, frames: int, frame_id: str, timeout: float
    ) -> tuple[int, str | None]:
        """Send the request; return the status and the Retry-After header of the answer.

        Args:
            timeout: Seconds for connecting, and for each read.

        Raises:
            requests.RequestException: No answer came. The session may raise other errors too.
        """
        credentials = b64encode(f"{destination.user}:{destination.token}".encode()).decode()
        # A frame id may come from a damaged file.
        if self._adapter is not None and frame_id.isascii() and frame_id.isprintable():
            head = (
                f"{self._head}"
                f"Authorization: Basic {credentials}\r\n"
                f"Logplex-Msg-Count: {frames}\r\n"
                f"Logplex-Frame-Id: {frame_id}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            answer = self._adapter.post_again(head.encode("latin-1"), body, timeout)
            if answer is not None:
                return answer
        if (given := limits.get()) is not None:
            given.before_waiting()
        request = self._request.copy()
        request.headers["Authorization"] = f"Basic {credentials}"
        request.headers["Logplex-Msg-Count"] = str(frames)
        request.headers["Logplex-Frame-Id"] = frame_id
        request.prepare_body(body, None)
        with self._send(request, timeout=timeout) as response:
            _read_out(response)
            return response.status_code, response.headers.get("Retry-After")


def _head(request: requests.PreparedRequest) -> str:
    """Return the beginning of the request, as it is sent."""
    lines = [f"POST {request.path_url} HTTP/1.1", f"Host: {urlsplit(str(request.url)).netloc}"]
    headers = request.headers.items()
    lines += [f"{name}: {value}" for name, value in headers if name != "Content-Length"]
    return "".join([f"{line}\r\n" for line in lines])


def _read_out(response: requests.Response) -> None:
    """Read the answer's body, so that the connection can be used again."""
    raw = response.raw
    try:
        if raw.read(MAX_ANSWER, decode_content=False) and raw.read(1):
            raw.close()
    except (OSError, ValueError, urllib3.exceptions.HTTPError):
        # The status is known, and nothing else matters. A chunk of size -2 is a ValueError.
        raw.close()


def _credentials_come_later(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request without a secret, because it is kept."""
    return request
