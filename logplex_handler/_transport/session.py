"""Sessions of requests that can be held to a deadline, and do not follow redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connectionpool import ConnectionPool

from logplex_handler._transport.connection import BoundedHTTPConnection, BoundedHTTPSConnection

SessionFactory = Callable[[], requests.Session]


def new_session(factory: SessionFactory | None) -> requests.Session:
    """A session of the factory, or an ordinary one; its requests can be held to a deadline.

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
    # For `Response.next`, requests reads the whole body of a redirect that is not followed.
    session.get_redirect_target = _no_target  # type: ignore[assignment,method-assign]
    return session


def verify(session: requests.Session) -> str | bool:
    """What to verify certificates with: a session may name a CA, but not turn the check off."""
    return session.verify if isinstance(session.verify, str) else True


def _no_target(response: requests.Response) -> None:
    """No answer has a redirect target."""


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = BoundedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = BoundedHTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


def bind(session: requests.Session) -> None:
    """Have the session's ordinary adapters use bounded connections, as they are configured.

    An adapter of a class of the caller's own is left alone.
    """
    for prefix, adapter in list(session.adapters.items()):
        if type(adapter) is HTTPAdapter:
            # Pickling keeps the configuration of an adapter, for which requests has no type.
            configuration: dict[str, Any] = adapter.__getstate__()  # type: ignore[attr-defined]
            bounded = _BoundedAdapter()
            bounded.__setstate__(configuration)  # type: ignore[attr-defined]
            session.mount(prefix, bounded)


class _BoundedAdapter(HTTPAdapter):
    # The pool of connections that was used last, and for what.
    _last_pool: tuple[object, HTTPConnectionPool] | None = None

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """The pool of connections for a request.

        Finding it takes an eighth of the cost of a request, and nearly all requests are like the
        previous one.
        """
        wanted = (request.url, verify, proxies, cert)
        # Read once: threads of the application may share its session.
        last = self._last_pool
        # A closed pool has no connections any more.
        if last is not None and last[0] == wanted and last[1].pool is not None:
            return last[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        if isinstance(pool, HTTPConnectionPool):
            self._last_pool = (wanted, pool)
        return pool

    # Any in the next two, as requests passes on what it has no types for.
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        # While the interpreter exits, the finalizers that urllib3 leaves this to have run already.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (it cannot be iterated over)
                manager.pools[key].close()
        super().close()
