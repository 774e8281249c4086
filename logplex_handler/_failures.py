"""What an exception of the HTTP libraries means, and how to be rid of it."""

from __future__ import annotations

import traceback

import requests
import urllib3.exceptions


def dissolve(error: BaseException | None) -> None:
    """Take an exception apart: the requests that its tracebacks hold carry the credentials.

    They hold one another in circles, so they would stay until a garbage collection.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        if isinstance(error, requests.RequestException):
            error.request = error.response = None
        error = error.__cause__ or error.__context__


def _reason(error: Exception) -> object:
    """What urllib3 says behind an error of requests."""
    reason = error.args[0] if error.args else None
    return getattr(reason, "reason", reason)


def name(error: Exception) -> str:
    """The kind of failure, and nothing that could hold a URL."""
    reason = _reason(error)
    if type(error) is requests.ConnectionError and isinstance(reason, Exception):
        return type(reason).__name__
    return type(error).__name__


def maybe_sent(error: Exception) -> bool:
    """Whether the request may have arrived: unless it failed before it could be sent."""
    # That a certificate is not trusted is found before anything is sent.
    before = (
        requests.ConnectTimeout,
        requests.exceptions.ProxyError,
        requests.exceptions.SSLError,
    )
    never_connected = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
    )
    if isinstance(error, before) or isinstance(_reason(error), never_connected):
        return False
    if isinstance(error, requests.RequestException):
        return isinstance(error, requests.ConnectionError | requests.Timeout)
    return isinstance(error, OSError | urllib3.exceptions.HTTPError)


def is_closed_connection(error: Exception) -> bool:
    """Whether the other side had closed or reset the connection."""
    reason = _reason(error)
    causes = [reason, *getattr(reason, "args", ())]
    return any(isinstance(cause, ConnectionError) for cause in causes)
