"""The receiver: what it is asked, and how it takes a request and answers."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import quote

from logplex_handler.testing._conversation import (
    Conversation,
    Headers,
    HttpAnswer,
    HttpRequest,
    Refused,
)
from logplex_handler.testing._journal import Arrival, Journal, Line, Request
from logplex_handler.testing._listener import Listener
from logplex_handler.testing._misbehaviour import HANG, Misbehaviour, check_status
from logplex_handler.testing._rules import given_credentials, judge, msg_count
from logplex_handler.testing._tokens import Tokens
from logplex_handler.testing._violations import Violation


def listens_everywhere(host: str) -> bool:
    """Whether this stands for every address of the machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


class LogplexReceiver:
    """Logplex on a loopback port, started by `with` or `start()` and ended by `close()`."""

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
        on_arrival: Arrival | None = None,
    ) -> None:
        """Nothing is opened before `start()`.

        `tokens`: the tokens that are let in, by default one made up at random; the attribute of
        that name may be set at any time, as when credentials are rotated.
        `strict`: whether each departure from the documented form is a violation, and not only
        what costs lines.
        `port`: 0 takes any free one.
        `idle_timeout`: patience with an idle connection and with half a header, in seconds; a
        stalled body is given three times that.
        `max_requests`: how many requests a connection takes before it is closed.
        `any_token`: let in every token but those that `rotate` has retired.
        `misbehaviour`: what goes wrong on purpose, by default nothing.
        `on_arrival`: called with each request and the lines of it that were routed, one at a time
        and before the answer, in the thread of the connection; nothing is kept then.

        Raises ValueError if `tokens` is empty or one is not printable ASCII.
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
        self._listener: Listener | None = None

    def start(self) -> LogplexReceiver:
        """Listen; harmless if it was called before. Raises OSError if the port cannot be had."""
        if self._listener is None:
            self._listener = Listener(self._address, self._serve)
        return self

    def close(self) -> None:
        """Close the port and every connection and end all threads; harmless twice.

        What was received stays to be read.
        """
        self._closing.set()
        if self._listener is not None:
            self._listener.close()

    def __enter__(self) -> LogplexReceiver:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self.url_for("***") if self._listener else "not started"
        return f"<LogplexReceiver {where} {self._journal!r}>"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that are let in; they may be set, as when credentials are rotated."""
        return self._tokens.given

    @tokens.setter
    def tokens(self, tokens: tuple[str, ...]) -> None:
        self._tokens.given = tokens

    @property
    def token(self) -> str:
        """The token in `url`: the first of those that are let in."""
        return self.tokens[0]

    @property
    def url(self) -> str:
        """Where to post, with credentials; raises RuntimeError before `start()`."""
        return self.url_for(self.token)

    def url_for(self, token: str) -> str:
        """Where to post with another token, whether it is let in or not."""
        if self._listener is None:
            raise RuntimeError("the receiver has no address before start()")
        host = self._address[0]
        if listens_everywhere(host):
            # Where to post on this machine.
            host = "::1" if ":" in host else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        return f"http://token:{quote(token, safe='*')}@{host}:{self._listener.port}/logs"

    def rotate(self) -> str:
        """Retire every token so far and let in a new one, as Heroku does; the new URL."""
        self._tokens.rotate()
        return self.url

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line that was routed, in that order."""
        return self._journal.lines

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request that was answered, in that order."""
        return self._journal.requests

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What senders did wrong, in words, over all requests."""
        return tuple(violation for request in self.requests for violation in request.violations)

    def wait_for(self, count: int, timeout: float = 5.0) -> bool:
        """Whether `count` lines or more were routed within `timeout` seconds."""
        return self._journal.wait_for(count, timeout)

    def clear(self) -> None:
        """Forget all lines and requests; what `fail_next` planned stays."""
        self._journal.clear()

    def fail_next(
        self,
        status: int,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """Answer the next `times` requests with `status`, whatever they are, and route nothing.

        `headers` go with the answer, such as `{"Retry-After": "1"}`. Raises ValueError if the
        status is not 200 to 599 or `times` is negative.
        """
        check_status(status)
        if times < 0:
            raise ValueError(f"times must not be negative, not {times}")
        self._planned.extend([HttpAnswer(status, body, headers)] * times)

    def _serve(self, connection: socket.socket, number: int) -> None:
        conversation = Conversation(connection, self._idle_timeout)
        for count in range(1, self._max_requests + 1):
            try:
                request = conversation.read()
            except Refused as refused:
                answer = HttpAnswer(refused.status, str(refused).encode())
                rule = "http.too-large" if refused.status == 500 else "http.unreadable"
                why = Violation(f"{refused.status}: {refused}", rule)
                kept = _kept(answer, refused.headers, refused.body, 0, number, (why,))
                self._journal.add(kept, [], "")
                conversation.answer(answer, close=True)
                return
            if request is None:
                return
            answer, close = self._take(request, number)
            if answer is HANG:
                conversation.wait_for_the_end()
                return
            self._closing.wait(self._misbehaviour.delay)
            close = close or request.is_last or count == self._max_requests
            conversation.answer(answer, close=close)
            if close:
                return

    def _take(self, request: HttpRequest, connection: int) -> tuple[HttpAnswer, bool]:
        verdict = judge(request, self._tokens.let_in, strict=self._strict)
        answer, close, violations = verdict.answer, verdict.close, verdict.violations
        frame_id = request.headers.get("Logplex-Frame-Id")
        seen = self._journal.seen(verdict.token, frame_id, verdict.frames) if frame_id else "new"
        if self._strict and seen == "other":
            told = "header Logplex-Frame-Id is that of another batch"
            violations += (Violation(told, "http.frame-id-reused"),)
        if verdict.token:
            self._tokens.note(verdict.token)
        planned = None
        # In one step, so that one failure is not given to two requests.
        with suppress(IndexError):
            planned = self._planned.popleft()
        if planned is None and answer.status == 204:
            planned = self._misbehaviour.next()
        if planned is not None:
            answer = planned
            close = Headers(planned.headers).get("Connection", "").lower() == "close"
        routed = verdict.frames if planned is None and answer.status == 204 else []
        frames = len(verdict.frames)
        kept = _kept(
            answer,
            request.headers,
            request.body,
            frames,
            connection,
            violations,
            is_retry=seen == "again",
            on_purpose=planned is not None,
        )
        self._journal.add(kept, routed, verdict.token)
        return answer, close


def _kept(
    answer: HttpAnswer,
    headers: Headers,
    body: bytes,
    frames: int,
    connection: int,
    violations: tuple[Violation, ...],
    *,
    is_retry: bool = False,
    on_purpose: bool = False,
) -> Request:
    _, token = given_credentials(headers) or ("", "")
    return Request(
        answer.status,
        headers.get("Logplex-Frame-Id"),
        headers.without_credentials(),
        body,
        msg_count(headers),
        frames,
        connection,
        violations,
        is_retry,
        on_purpose,
        time.time(),
        token,
    )
