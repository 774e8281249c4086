"""urllib3's pools of bounded connections, with a short way for requests like the one before.

requests and urllib3 build a dozen objects for each request and its answer, which takes twice as
long as sending and receiving them.
"""

from __future__ import annotations

import ssl
from http.client import HTTPException

import requests
import urllib3.exceptions
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from logplex_handler._transport.connection import BoundedHTTPConnection, BoundedHTTPSConnection


class BoundedHTTPPool(HTTPConnectionPool):
    """Connections to one host that observe the deadline."""

    ConnectionCls = BoundedHTTPConnection

    def post_again(self, head: bytes, body: bytes, timeout: float) -> tuple[int, str | None] | None:
        """Send a request on an open connection, as `urlopen` would do it.

        Args:
            timeout: Seconds for each operation on the socket.

        Returns:
            The status and the Retry-After header of the answer; or None, without sending anything,
            if no connection is open or they lead to a proxy, where requests differ.

        Raises:
            requests.RequestException: As `requests` would raise it.
        """
        if self.pool is None or self.proxy is not None:
            return None
        idle = self.pool.queue
        try:
            # Out of the pool meanwhile: at exit, urllib3 closes the connections in it.
            connection = idle.pop()
        except IndexError:
            return None
        try:
            if not isinstance(connection, BoundedHTTPConnection) or not connection.is_connected:
                return None
            connection.send_whole(head, body, timeout)
            try:
                return connection.read_answer()
            except TimeoutError as error:
                raise requests.ReadTimeout(error) from error
        except requests.ReadTimeout:
            raise
        except ssl.SSLError as error:
            raise requests.exceptions.SSLError(urllib3.exceptions.SSLError(error)) from error
        except (OSError, HTTPException) as error:
            reason = urllib3.exceptions.ProtocolError("Connection aborted.", error)
            raise requests.ConnectionError(reason) from error
        finally:
            # One thread uses the pool at a time, so there is still room for it.
            idle.append(connection)


class BoundedHTTPSPool(BoundedHTTPPool, HTTPSConnectionPool):
    """A pool of bounded connections with TLS."""

    ConnectionCls = BoundedHTTPSConnection
