"""What an exception of the HTTP libraries means, and how to remove the secrets in it."""

from __future__ import annotations

import ssl
import traceback

import requests
import urllib3.exceptions

from logplex_handler._transport.connection import HandshakeFailed


def dissolve(error: BaseException) -> None:
    """Take apart an exception that is handled here: its tracebacks hold requests with credentials.

    Exceptions and frames refer to each other, so they would stay until a garbage collection.
    """
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)
        one.__traceback__ = None
        if isinstance(one, requests.RequestException):
            one.request = one.response = None


def clear_variables(error: BaseException) -> None:
    """Empty the frames of an exception that is re-raised: error reporters may show variables."""
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)


def _chain(error: BaseException) -> list[BaseException]:
    chain: dict[int, BaseException] = {}
    one: BaseException | None = error
    while one is not None and id(one) not in chain:
        chain[id(one)] = one
        one = one.__cause__ or one.__context__
    return list(chain.values())


def _causes(error: Exception) -> list[object]:
    """The error of urllib3 behind one of requests, and what it was raised with."""
    reason = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)
    return [reason, *getattr(reason, "args", ())]


def name(error: Exception) -> str:
    """The name of the failure, which cannot hold a URL."""
    reason = _causes(error)[0]
    if type(error) is requests.ConnectionError and isinstance(reason, Exception):
        return type(reason).__name__
    return type(error).__name__


def maybe_sent(error: Exception) -> bool:
    """Whether the request may have arrived, because it did not fail before it was sent."""
    before = (requests.ConnectTimeout, requests.exceptions.ProxyError)
    never_connected = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
        HandshakeFailed,
    )
    if isinstance(error, before) or any(isinstance(c, never_connected) for c in _causes(error)):
        return False
    if isinstance(error, requests.RequestException):
        return isinstance(error, requests.ConnectionError | requests.Timeout)
    return isinstance(error, OSError | urllib3.exceptions.HTTPError)


def is_timeout(error: Exception) -> bool:
    """Whether the receiver has not answered in time, or its name could not be resolved."""
    late = (
        requests.Timeout,
        TimeoutError,
        urllib3.exceptions.TimeoutError,
        urllib3.exceptions.NameResolutionError,
    )
    return any(isinstance(cause, late) for cause in (error, *_causes(error)))


def is_closed_connection(error: Exception) -> bool:
    """Whether the receiver had closed or reset the connection."""
    closed = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, closed) for cause in _causes(error))
