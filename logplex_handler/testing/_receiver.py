"""The receiver: its public methods, and the way of a request to its answer."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from requests.structures import CaseInsensitiveDict

from logplex_handler.testing._behaviour import HANG, Misbehaviour, Tokens, check_status
from logplex_handler.testing._http_connection import (
    HttpAnswer,
    HttpConnection,
    HttpRequest,
    UnreadableRequest,
)
from logplex_handler.testing._journal import Journal, OnArrival, Request
from logplex_handler.testing._line import Line
from logplex_handler.testing._verdict import (
    Verdict,
    given_credentials,
    judge,
    msg_count,
    unreadable,
)
from logplex_handler.testing.conventions import Violation
from logplex_handler.testing.listener import Listener, is_wildcard

_CREDENTIALS = ("authorization", "proxy-authorization")
# The most requests that are judged at the same time: a compressed body may need 100 MB meanwhile.
_MAX_AT_ONCE = 4


class LogplexReceiver:
    """A small Logplex on a loopback port, started by `with` or `start()` and ended by `close()`."""

    def __init__(
        self,
        *,
        tokens: Iterable[str] | None = None,
        strict: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        idle_timeout: float = 5.0,
        max_requests: int = 100,
        any_token: bool = False,
        misbehaviour: Misbehaviour | None = None,
        on_arrival: OnArrival | None = None,
    ) -> None:
        """Open nothing yet; `start()` opens the port.

        Args:
            tokens: The tokens to accept; None makes up a random one. You can set the attribute
                `tokens` at any time, as when credentials are rotated.
            strict: Whether every departure from the documented form is a violation, or only
                mistakes that lose lines.
            host: The address to listen on.
            port: The port to listen on; 0 takes any free one.
            idle_timeout: Seconds to wait on an idle connection and for the rest of a header; a
                stalled body gets three times as long.
            max_requests: The number of requests after which a connection is closed.
            any_token: Whether to accept every token except those that `rotate` has retired.
            misbehaviour: Deliberate faults; None for none.
            on_arrival: Called with each request and its routed lines, one request at a time and
                before the answer, in the connection's thread. The receiver then keeps nothing.

        Raises:
            ValueError: `tokens` is empty, or one of them is not printable ASCII.
        """
        self._tokens = Tokens(tokens, any_token=any_token)
        self._strict = strict
        self._address = (host, port)
        self._idle_timeout = idle_timeout
        self._max_requests = max_requests
        self._misbehaviour = misbehaviour or Misbehaviour()
        self._journal = Journal(on_arrival)
        self._closing = threading.Event()
        self._planned: deque[HttpAnswer] = deque()
        self._judging = threading.BoundedSemaphore(_MAX_AT_ONCE)
        self._listener: Listener | None = None

    def start(self) -> LogplexReceiver:
        """Start to listen; idempotent. Raises OSError if the port cannot be opened."""
        if self._listener is None:
            self._listener = Listener(self._address, self._serve)
        return self

    def close(self) -> None:
        """Close the port and every connection, and end all threads; idempotent.

        Lines and requests stay readable.
        """
        self._closing.set()
        if self._listener is not None:
            self._listener.close()

    def __enter__(self) -> LogplexReceiver:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        address = self.url_for("***") if self._listener else "not started"
        return f"<LogplexReceiver {address} {self._journal!r}>"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The accepted tokens; you can set them, as when credentials are rotated."""
        return self._tokens.current

    @tokens.setter
    def tokens(self, tokens: tuple[str, ...]) -> None:
        self._tokens.current = tokens

    @property
    def token(self) -> str:
        """The token in `url`: the first accepted one."""
        return self.tokens[0]

    @property
    def url(self) -> str:
        """The URL to post to, with credentials; raises RuntimeError before `start()`."""
        return self.url_for(self.token)

    def url_for(self, token: str) -> str:
        """Return the URL to post to with another token, accepted or not."""
        if self._listener is None:
            raise RuntimeError("the receiver has no address before start()")
        host = self._address[0]
        if is_wildcard(host):
            # A wildcard address cannot be connected to; loopback reaches it on this machine.
            host = "::1" if ":" in host else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        return f"http://token:{quote(token, safe='*')}@{host}:{self._listener.port}/logs"

    def rotate(self) -> str:
        """Retire every token so far, accept a new one as Heroku does, and return the new URL."""
        self._tokens.rotate()
        return self.url

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every routed line, in order.

        The packets of a long line are one line, with `parts`, as soon as all of them have come;
        until then, they are at the end.
        """
        return self._journal.lines

    @property
    def whole_lines(self) -> tuple[Line, ...]:
        """The same as `lines`, without the packets of lines that are not whole yet."""
        return self._journal.whole_lines

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every answered request, in order."""
        return self._journal.requests

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The violations of all requests."""
        return tuple(violation for request in self.requests for violation in request.violations)

    def wait_for(self, count: int, timeout: float = 5.0) -> bool:
        """Wait until `count` lines are routed, or return False after `timeout` seconds."""
        return self._journal.wait_for(count, timeout)

    def clear(self) -> None:
        """Forget all lines and requests; answers planned with `fail_next` stay."""
        self._journal.clear()

    def fail_next(
        self,
        status: int,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """Answer the next `times` requests with `status`, and route none of their lines.

        Args:
            status: From 200 to 599.
            times: The number of requests.
            headers: More headers of the answer, such as `{"Retry-After": "1"}`.
            body: The body of the answer.

        Raises:
            ValueError: The status is not from 200 to 599, or `times` is negative.
        """
        check_status(status)
        if times < 0:
            raise ValueError(f"times must not be negative, not {times}")
        self._planned.extend([HttpAnswer(status, body, headers)] * times)

    def _serve(self, connection: socket.socket, number: int) -> None:
        http = HttpConnection(connection, self._idle_timeout)
        for count in range(1, self._max_requests + 1):
            try:
                request = http.read()
            except UnreadableRequest as error:
                self._note(error.request, unreadable(error), number)
                http.send(error.answer, close=True)
                return
            if request is None:
                return
            with self._judging:
                answer, close = self._answer(request, number)
            if answer is HANG:
                http.wait_for_close()
                return
            self._closing.wait(self._misbehaviour.delay)
            close = close or request.is_last or count == self._max_requests
            http.send(answer, close=close)
            if close:
                return

    def _answer(self, request: HttpRequest, connection: int) -> tuple[HttpAnswer, bool]:
        verdict = judge(request, self._tokens.accepts, strict=self._strict)
        frame_id = request.headers.get("Logplex-Frame-Id")
        use = "first"
        if frame_id:
            use = self._journal.frame_id_use(verdict.token, frame_id, verdict.frames)
        if self._strict and use == "reused":
            message = "header Logplex-Frame-Id is that of another batch"
            violation = Violation(message, "http.frame-id-reused")
            verdict = replace(verdict, violations=(*verdict.violations, violation))
        planned = None
        # This is one atomic step, so that no two requests get the same planned answer.
        with suppress(IndexError):
            planned = self._planned.popleft()
        if planned is None and verdict.answer.status == 204:
            planned = self._misbehaviour.next()
        self._note(request, verdict, connection, planned, is_retry=use == "retry")
        if planned is None:
            return verdict.answer, verdict.answer.status == 500
        return planned, planned.header("Connection").lower() == "close"

    def _note(
        self,
        http: HttpRequest,
        verdict: Verdict,
        connection: int,
        planned: HttpAnswer | None = None,
        *,
        is_retry: bool = False,
    ) -> None:
        """Store a request, and its frames if they are routed."""
        _, token = given_credentials(http.headers) or ("", "")
        shown = {k: v for k, v in http.headers.items() if k.lower() not in _CREDENTIALS}
        request = Request(
            status=(planned or verdict.answer).status,
            frame_id=http.headers.get("Logplex-Frame-Id"),
            headers=CaseInsensitiveDict(shown),
            body_bytes=http.body,
            msg_count=msg_count(http.headers),
            frames=len(verdict.frames),
            connection=connection,
            violations=verdict.violations,
            is_retry=is_retry,
            on_purpose=planned is not None,
            time=time.time(),
            token=token,
            method=http.method,
            path=http.target.partition("?")[0],
        )
        is_routed = planned is None and request.status == 204
        frames = verdict.frames if is_routed else []
        self._journal.add(request, frames, verdict.token, verdict.packets)
