"""Options that appear in a packet's header."""

from __future__ import annotations

import socket
from urllib.parse import unquote

import pytest

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver
from tests.configuration.shared import URL, packet, told


@pytest.mark.parametrize(
    ("option", "given", "sent"),
    [
        ("hostname", "Shop.Example.COM", "shop.example.com"),
        ("hostname", "my_host name", "my-host-name"),
        ("hostname", "h" * 300, "h" * 255),
        ("appname", "Zoë's Shop", "zo--s-shop"),
        ("appname", "a" * 60, "a" * 48),
        ("procid", "heroku-postgres", "heroku-postgres"),
        ("procid", "Web 1\n", "web-1-"),
        ("procid", "p" * 200, "p" * 128),
    ],
)
def test_a_header_field_is_made_safe(logplex, make, option, given, sent):
    """Lower case, `-` for characters other than `[a-z0-9.-]`, cut to RFC 5424's length."""
    handler = make(logplex.url, **{option: given})
    assert getattr(packet(handler, logplex), option) == sent


@pytest.mark.parametrize(
    ("dyno", "sent"),
    [("Web.1", "web.1"), ("my-web_2", "my.web.2"), ("router", "python"), ("__", "python")],
)
def test_a_default_procid_holds_letters_digits_and_dots_only(
    logplex, make, monkeypatch, dyno, sent
):
    """So that every known reader takes it; one that none can be made of becomes `python`."""
    monkeypatch.setenv("DYNO", dyno)
    assert packet(make(logplex.url), logplex).procid == sent


def test_a_machine_without_a_usable_name_is_localhost(logplex, make, monkeypatch):
    """The default never is an error."""
    monkeypatch.setattr(socket, "gethostname", lambda: "___")
    assert packet(make(logplex.url), logplex).hostname == "localhost"


def test_the_token_stands_in_for_the_appname_if_asked(make):
    """As it is, in upper case too, and at no other place of the body."""
    token = "T.AbC_123~-"
    with LogplexReceiver(tokens=[token]) as logplex:
        handler = make(logplex.url, token_as_appname=True)
        packet(handler, logplex)
        body = logplex.requests[0].body_bytes
        assert body.count(f" {token} ".encode()) == body.count(token.encode()) == 1


def test_the_token_is_not_in_the_body_otherwise(logplex, make):
    """It goes with the credentials alone."""
    packet(make(logplex.url), logplex)
    assert logplex.requests[0].body_bytes.count(logplex.token.encode()) == 0, "it is"


@pytest.mark.parametrize(
    "token", ["t" * 49, "t%20t0ken-t0ken", "t0ken-t0ken-%C3%A9"], ids=["long", "space", "non-ASCII"]
)
def test_a_token_unfit_as_appname_is_an_error(token):
    """It is never altered to fit, and not shown."""
    with pytest.raises(ValueError, match=r"^token_as_appname: ") as caught:
        LogplexHandler(f"https://token:{token}@logplex.example", token_as_appname=True)
    assert not told(caught.value, token, unquote(token))


def test_an_appname_beside_the_token_as_appname_is_an_error():
    """There is room for one."""
    with pytest.raises(ValueError, match=r"^appname: "):
        LogplexHandler(URL, appname="shop", token_as_appname=True)
