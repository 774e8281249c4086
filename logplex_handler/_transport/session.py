"""Sessions of requests that can be held to a deadline, and lead nowhere but where they are told."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy

import requests

from logplex_handler._transport.adapter import bind

SessionFactory = Callable[[], requests.Session]


def new_session(factory: SessionFactory | None) -> requests.Session:
    """A session of the application's, or an ordinary one; its requests can be held to a deadline.

    Raises:
        TypeError: What the factory returned is none.
    """
    if factory is not None:
        session = factory()
        if not isinstance(session, requests.Session):
            raise TypeError("session_factory must return a requests.Session")
    else:
        session = requests.Session()
        # What is set for one customer must not be sent for the next.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    bind(session)
    # For `Response.next`, requests reads the body of a redirect even if it is not followed,
    # however long it is.
    session.get_redirect_target = _no_target  # type: ignore[assignment,method-assign]
    return session


def verify(session: requests.Session) -> str | bool:
    """A session may name a CA of its own, but not leave the check out."""
    return session.verify if isinstance(session.verify, str) else True


def _no_target(response: requests.Response) -> None:
    """No answer leads anywhere else."""
