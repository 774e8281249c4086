"""No token or URL is written to disk, and other users cannot read the files."""

from __future__ import annotations

import os
import stat

import pytest

from tests.logs import logging_to, logging_to_server, wait_until
from tests.servers import TOKEN, accept, answer, serving
from tests.spool.shared import DEAD, leave, lines, rows

# Secrets


@pytest.mark.parametrize("token_as_appname", [False, True])
def test_neither_token_nor_url_is_written_to_disk(spool, token_as_appname):
    """Where the token is the packet's appname, the next handler puts its own there."""
    leave(spool, lines(*range(50)), token_as_appname=token_as_appname)
    content = b"".join(path.read_bytes() for path in spool.parent.iterdir())
    assert b"line 49" in content
    assert TOKEN.encode() not in content
    assert b"127.0.0.1:1" not in content
    with logging_to_server(accept, spool=spool, token_as_appname=token_as_appname) as (
        server,
        _,
        handler,
    ):
        assert handler.flush(100)
        appname = TOKEN.encode() if token_as_appname else b"app"
        assert len(server.frames()) == 50
        bodies = b"".join(request.body for request in server.received)
        assert bodies.count(b" " + appname + b" ") == 50


def test_the_token_is_not_written_when_a_batch_is_cut_in_parts(spool):
    """The frames written then were made for the previous receiver."""
    with serving(answer(413), answer(413), answer(503)) as server:
        options = {"token_as_appname": True, "until": lambda: len(server.received) > 2}
        options |= {"batch_size": 8, "flush_interval": 60}
        leave(spool, lines(*range(8)), url=server.url, **options)
    assert len(rows(spool)) > 1
    assert not any(TOKEN.encode() in body for (body,) in rows(spool, "body"))


def test_nobody_else_can_read_the_files(spool):
    """Neither the database nor its companion files, even if they existed before."""
    spool.touch(0o666)
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, _):
        logger.info("secret")
        assert wait_until(lambda: len(list(spool.parent.iterdir())) == 4)
        for path in spool.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_files_of_another_user_are_not_used(spool, suffix, capsys):
    """Files that root creates next to a user's file stay accessible to that user."""
    path = spool.with_name(spool.name + suffix)
    path.touch(0o600)
    os.chown(path, 12345, 12345)
    with logging_to_server(accept, spool=spool) as (_, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        if suffix:
            assert "spool: .lock belongs to another user" in capsys.readouterr().err
        else:
            assert {one.stat().st_uid for one in spool.parent.iterdir()} == {12345}
