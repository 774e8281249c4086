"""What an exception of the HTTP libraries means, and how to remove the secrets in it."""

from __future__ import annotations

import os
import ssl
import traceback

import requests
import urllib3.exceptions

from logplex_handler._transport.connection import HandshakeFailed

# The variables from which requests takes a CA bundle, in the order of their precedence.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# What is raised for a URL that is malformed, has another scheme, or cannot be encoded.
_OF_URL = (
    requests.exceptions.InvalidURL,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)
# OpenSSL's reasons for a file without certificates.
_NO_CERTIFICATES = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"})


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
    """Empty the frames of an exception to be re-raised: error reporters may show variables."""
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
    """Return the urllib3 error behind an error of requests, and its arguments."""
    reason = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)
    return [reason, *getattr(reason, "args", ())]


def name(error: Exception) -> str:
    """Return the name of the failure, which cannot hold a URL."""
    reason = _causes(error)[0]
    if type(error) is requests.ConnectionError and isinstance(reason, Exception):
        return type(reason).__name__
    return type(error).__name__


def setting_at_fault(error: Exception, scheme: str = "https") -> str:
    """Return the setting that prevents all requests, with the remedy; empty if none is known.

    The text shows no value, because the URL of a proxy may hold credentials. The scheme is that of
    the receiver's URL.
    """
    try:
        text = str(error)
    except Exception:
        # The application's session has raised its own error.
        return ""
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in text:
        return f"{_proxy_variable(scheme)} names a SOCKS proxy: pip install 'requests[socks]'"
    # The receiver's URL was checked before.
    is_proxy = isinstance(error, _OF_URL) and any(map(_proxy_variables, ("https", "http")))
    if is_proxy or isinstance(error, requests.exceptions.InvalidProxyURL):
        return f"{_proxy_variable(scheme)} names no proxy: correct or unset it"
    if isinstance(error, OSError) and "CA certificate bundle" in text:
        named = [name for name in _CA_VARIABLES if os.environ.get(name, "\0") in text]
        return f"{(*named, 'the session')[0]} names a CA bundle that is not there: correct it"
    unreadable = [one for one in _causes(error) if isinstance(one, ssl.SSLError)]
    if any(getattr(one, "reason", "") in _NO_CERTIFICATES for one in unreadable):
        named = [name for name in _CA_VARIABLES if os.environ.get(name)]
        return f"{(*named, 'the session')[0]} names a CA bundle without certificates: correct it"
    return ""


def _proxy_variable(scheme: str) -> str:
    return (*_proxy_variables(scheme), "the session")[0]


def _proxy_variables(scheme: str) -> list[str]:
    """Return the variables with a proxy for a scheme, in the order of their precedence."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return [name for name in names if os.environ.get(name)]


def was_tried(error: Exception) -> bool:
    """Return whether a request was made at all; if not, a setting or a header is at fault."""
    is_invalid = isinstance(error, requests.RequestException) and isinstance(error, ValueError)
    return _is_of_answer(error) or (not is_invalid and not setting_at_fault(error))


def _is_of_answer(error: Exception) -> bool:
    """Return whether a header of the answer is invalid, for which requests has no error."""
    return isinstance(_causes(error)[0], urllib3.exceptions.InvalidHeader)


def maybe_sent(error: Exception) -> bool:
    """Return whether the request may have arrived, because it did not fail before it was sent."""
    if not was_tried(error):
        return False
    never_connected = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
        HandshakeFailed,
    )
    if isinstance(error, requests.ConnectTimeout) or any(
        isinstance(cause, never_connected) for cause in _causes(error)
    ):
        return False
    if isinstance(error, requests.exceptions.ProxyError):
        # It is raised, too, if a proxy that has got the request closes the connection.
        return is_closed_connection(error)
    if isinstance(error, requests.RequestException):
        sent = isinstance(error, requests.ConnectionError | requests.Timeout)
        return sent or _is_of_answer(error)
    return isinstance(error, OSError | urllib3.exceptions.HTTPError)


def is_timeout(error: Exception) -> bool:
    """Return whether the receiver has not answered in time, or its name could not be resolved."""
    late = (
        requests.Timeout,
        TimeoutError,
        urllib3.exceptions.TimeoutError,
        urllib3.exceptions.NameResolutionError,
    )
    return any(isinstance(cause, late) for cause in (error, *_causes(error)))


def is_closed_connection(error: Exception) -> bool:
    """Return whether the receiver had closed or reset the connection."""
    closed = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, closed) for cause in _causes(error))
