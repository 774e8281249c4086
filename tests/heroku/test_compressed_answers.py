"""Answers that become large when they are decoded: they are read as they came."""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import contextmanager
from functools import cache

import pytest

from logplex_handler import LookupFailed
from tests.commands import run_program
from tests.heroku.shared import Partner, app_info, platform, refused
from tests.servers import serving

# 64 MiB, as long as nobody decodes all of it. Not made by each process that only collects tests.
SPACES = 64 << 20


@cache
def bomb():
    return gzip.compress(b" " * SPACES, 1)


LOOK_UP = """
import resource, sys
from logplex_handler import LookupFailed
from logplex_handler.heroku import AppInfoAPI, PlatformAPI, Resource

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

resource_of = Resource("01234567-89ab-cdef-0123-456789abcdef", access_token="a", refresh_token="r")
at = {"api_url": sys.argv[1], "session_factory": None}
apis = [
    AppInfoAPI(lambda stream: resource_of, user="u", password="p", **at),
    PlatformAPI(lambda stream: resource_of, client_secret="s", id_url=sys.argv[1], **at),
]
for api in apis:
    before = peak()
    for call in (api.url_for, getattr(api, "attachments", api.url_for)):
        try:
            call("stream")
        except LookupFailed as error:
            assert "compressed" in str(error), error
        else:
            raise SystemExit("nothing failed")
    print(peak() - before)
"""


@contextmanager
def answering(body, coding):
    def answer(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (coding, len(body), body)
        )

    with serving(answer) as server:
        yield server.url.split("@")[1].removesuffix("/logs")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"GZIP", b"gzip, gzip"])
def test_an_answer_that_grows_when_decoded_takes_no_memory(coding):
    """Of either API; the peak of the process stays within a few times the longest answer."""
    body = zlib.compress(b" " * SPACES, 1) if coding == b"deflate" else bomb()
    if coding == b"gzip, gzip":
        body = gzip.compress(bomb())
    with answering(body, coding) as host:
        found = run_program("-c", LOOK_UP, f"http://{host}", env=os.environ)
    assert found.returncode == 0, found.stderr
    assert all(int(kibibytes) < 32 * 1024 for kibibytes in found.stdout.split())


@pytest.mark.parametrize("api", [platform, app_info])
def test_a_compressed_answer_is_said_to_be_one(api):
    """Though it is short."""
    with answering(gzip.compress(b"{}"), b"gzip") as host:
        options = {"api_url": f"http://{host}"}
        failed = refused(api(Partner(log_input_url=None), **options).url_for, 1)
    assert isinstance(failed, LookupFailed)
    assert "the answer is compressed, which was not asked for" in str(failed)
