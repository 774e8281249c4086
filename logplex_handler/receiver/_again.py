"""Sends a received request to the receiver again, as it came."""

from __future__ import annotations

import http.client
from base64 import b64encode
from urllib.parse import urlsplit

from logplex_handler.testing import Request

# Seconds to wait for the receiver's answer to a request that is sent again.
_AGAIN_TIMEOUT = 20.0
# Headers of the connection, which belong to the first request only.
_OF_CONNECTION = ("connection", "content-length", "expect", "transfer-encoding")


def send_again(url: str, request: Request) -> int:
    """Return the status that the receiver at a URL answers; 0 if it answers none.

    A request that no library sends, such as one with a control character in a header, is none.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_AGAIN_TIMEOUT
    )
    try:
        names = {name.lower() for name in request.headers}
        connection.putrequest(
            request.method, request.path, skip_host="host" in names, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            if name.lower() not in _OF_CONNECTION:
                connection.putheader(name, value.encode("latin-1"))
        if names & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(request.body_bytes)))
        if request.token:
            credentials = b64encode(f"token:{request.token}".encode("latin-1"))
            connection.putheader("Authorization", b"Basic " + credentials)
        connection.putheader("Connection", "close")
        connection.endheaders(request.body_bytes)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        # The receiver may hang on purpose.
        return 0
    finally:
        connection.close()
