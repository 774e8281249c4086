"""Sessions of requests that observe a deadline, and do not follow redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool

from logplex_handler._transport.pool import BoundedHTTPPool, BoundedHTTPSPool

_SEND = HTTPAdapter.send
_URLOPEN = HTTPConnectionPool.urlopen

SessionFactory = Callable[[], requests.Session]


def new_session(factory: SessionFactory | None) -> requests.Session:
    """Return a session of the factory, or an ordinary one, whose requests observe a deadline.

    Raises:
        TypeError: The factory has not returned a session.
    """
    if factory is not None:
        session = factory()
        if not isinstance(session, requests.Session):
            raise TypeError("session_factory must return a requests.Session")
    else:
        session = requests.Session()
        # A cookie set for one customer must not be sent for the next one.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    bind(session)
    # For `Response.next`, requests would read the whole body of a redirect that is not followed.
    session.get_redirect_target = _no_target  # type: ignore[assignment,method-assign]
    return session


def verify(session: requests.Session) -> str | bool:
    """Return how to verify certificates: a session may name a CA, but not turn the check off."""
    return session.verify if isinstance(session.verify, str) else True


def _no_target(response: requests.Response) -> None:
    """Return no redirect target for any answer."""


_POOLS = {"http": BoundedHTTPPool, "https": BoundedHTTPSPool}


def bind(session: requests.Session) -> None:
    """Have the session's ordinary adapters use bounded connections, as they are configured.

    Adapters of other classes are left alone.
    """
    for prefix, adapter in list(session.adapters.items()):
        if type(adapter) is HTTPAdapter:
            # Pickling keeps the configuration of an adapter, for which requests has no type.
            configuration: dict[str, Any] = adapter.__getstate__()  # type: ignore[attr-defined]
            bounded = BoundedAdapter()
            bounded.__setstate__(configuration)  # type: ignore[attr-defined]
            session.mount(prefix, bounded)


class BoundedAdapter(HTTPAdapter):
    """An ordinary adapter with bounded connections."""

    # The pool of the last request.
    last_pool: ConnectionPool | None = None

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """Return the pool of connections for a request."""
        # Returned as it is: another thread of the application may use the adapter too.
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        self.last_pool = pool
        return pool

    def get_connection(
        self, url: str | bytes, proxies: Mapping[str, str] | None = None
    ) -> ConnectionPool:
        """Return the same for requests before 2.32; later versions do not call it."""
        pool = super().get_connection(url, proxies)
        self.last_pool = pool
        return pool

    def post_again(self, head: bytes, body: bytes, timeout: float) -> tuple[int, str | None] | None:
        """See `BoundedHTTPPool.post_again`.

        The result is None, too, if a tool such as `responses` has replaced, since this module was
        imported, the methods of requests or urllib3 that this call skips.
        """
        pool = self.last_pool
        is_ordinary = HTTPAdapter.send is _SEND and HTTPConnectionPool.urlopen is _URLOPEN
        if not is_ordinary or not isinstance(pool, BoundedHTTPPool):
            return None
        return pool.post_again(head, body, timeout)

    # Any in the next two methods: requests passes on arguments without types.
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        # To a proxy, urllib3 does not set TCP_NODELAY, so each body would wait 40 ms until the
        # headers before it are acknowledged.
        kwargs.setdefault("socket_options", HTTPConnection.default_socket_options)
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        # urllib3 leaves this to finalizers, which have already run while the interpreter exits.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (it cannot be iterated over)
                manager.pools[key].close()
        super().close()
