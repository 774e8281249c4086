"""The fuzz targets, with input that hypothesis makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

# Bytes that mean something to one of the targets, and any others.
_PIECES = [
    *[b"\r\n", b"\n", b" ", b"=", b'"', b"\\", b"%s", b"%(a)s", b"%", b"\xfe", b"\0", b"\x1b["],
    *[
        b"count#x=5",
        b"measure#x=1ms",
        b"source=evil",
        b"level=info",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
    ],
    *[b"POST /logs HTTP/1.1\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"],
    *[
        b"Authorization: Basic eA==\r\n",
        b"\r\n\r\n",
        b"ffffffff\r\n",
        b"-5",
        b"99999999999999999999",
    ],
    *[b"Logplex-Msg-Count: 1\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"62 <190>1 "],
    *[
        b"2013-03-27T20:02:24.000000+00:00 h app p - - ",
        b"https://",
        b"@",
        b":",
        b"[::1]",
        b"#",
        b"?",
    ],
    *[b"\x1f\x8b\x08\0", b"Fri, 31 Dec 9999 23:59:59 GMT"],
]
HOSTILE = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=20), max_size=20).map(b"".join)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_too_hostile(name):
    """What `tests/fuzz` looks for by coverage, with what hypothesis thinks of."""
    target = TARGETS[name]

    @settings(max_examples=300)
    @given(HOSTILE)
    def check(data):
        target(data)

    check()
