"""Sessions of requests that can be held to a deadline, and do not follow redirects."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy

import requests

from logplex_handler._transport.adapter import bind

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
