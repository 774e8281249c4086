"""Extra headers arrive as given, and none can forge another header."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import LogplexHandler
from tests.logs import logging_to
from tests.servers import accept, serving


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1\r\nX-Two: 2"},
        {"X-One": "1\nX-Two: 2"},
        {"X-One": "1\r"},
        {"X-One\r\nX-Two": "2"},
        {"X-One": "1\x00"},
        {"X-One": "\u010d\u010a"},
        {"X-One: 1\r\nX-Two": "2"},
    ],
    ids=repr,
)
def test_no_header_option_can_hold_a_line_break(headers):
    """It would forge a header, or a whole request; the error names the option."""
    with pytest.raises(ValueError, match=r"^headers: "):
        LogplexHandler("http://token:t@127.0.0.1:1", headers=headers)
    with pytest.raises(ValueError, match=r"^user_agent: "):
        LogplexHandler("http://token:t@127.0.0.1:1", user_agent="x\r\nX-Two: 2")


@settings(max_examples=25)
@given(st.text(max_size=30), st.text(max_size=30))
def test_headers_that_are_taken_arrive_as_they_are(name, value):
    """On the wire there are those that were given, and the handler's own."""
    with serving(accept) as server:
        try:
            context = logging_to(server.url, headers={f"X-{name}": value}, flush_interval=0)
            with context as (logger, handler):
                logger.info("line")
                assert handler.flush()
        except ValueError:
            return
        (request,) = server.received
    own = {"host", "authorization", "content-type", "content-length", "user-agent", "accept"}
    own |= {"logplex-msg-count", "logplex-frame-id", "accept-encoding", "connection"}
    assert set(request.headers) - own == {f"x-{name}".lower()}
