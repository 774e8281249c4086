"""URLs that others have chosen lead to no private host, in whatever form they name it."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from logplex_handler import ConfigurationError, Destination
from logplex_handler._wire.destination import is_public
from logplex_handler.heroku import Provision
from tests.heroku.shared import Partner, app_info, at, platform, refused
from tests.heroku.stand_in import OLD, UUID, Addon, check_hidden, standing_in
from tests.logs import logging_to, wait_until
from tests.servers import TOKEN, accept, answer, serving

PRIVATE = [
    "127.0.0.1:6379", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0.0.0.0",
    "localhost", "LOCALHOST.", "redis.localhost", "10.1.2.3.", "172.16.0.1", "192.168.1.1",
    "100.64.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "198.18.0.1",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fec0::1]", "[fd00:ec2::254]",
    "[ff02::1]", "[::ffff:0:127.0.0.1]", "[64:ff9b:1::7f00:1]", "[64:ff9b:1:ffff::808:808]",
]  # fmt: skip
PUBLIC = ["1.us.logplex.io", "8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "logplex"]


def url_of(host, scheme="https"):
    return f"{scheme}://token:{TOKEN}@{host}/logs"


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_is_refused_in_a_provision_request(host, scheme):
    """By name, and without showing the URL; a test may allow it."""
    body = {"uuid": UUID, "log_input_url": url_of(host, scheme)}
    with pytest.raises(ConfigurationError, match=r"^log_input_url: names a private host") as caught:
        Provision.from_json(body, allow_http=True)
    check_hidden(caught.value)
    assert Provision.from_json(body, allow_http=True, allow_private=True).destination


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_host_is_taken(host):
    """Also a name whose address is not known yet; it is checked when it is connected to."""
    destination = Provision.from_json({"uuid": UUID, "log_input_url": url_of(host)}).destination
    assert destination is not None
    assert not destination.allow_private
    assert not replace(destination, hostname="a").checked().allow_private


@pytest.mark.parametrize("host", PRIVATE[:3])
@pytest.mark.parametrize("made", [platform, app_info])
def test_a_private_host_is_refused_in_a_look_up(made, host):
    """Whether it is on record or in Heroku's answer; and it is not stored."""
    partner = Partner(log_input_url=url_of(host))
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": url_of(host)})
        urls = at(heroku) if made is platform else {"api_url": heroku.url}
        api = made(partner, allow_private=False, **urls)
        assert "cannot be used, or is private" in str(refused(api.url_for, 1))
        assert partner.rotated == []
        heroku.addons[UUID] = Addon({"app-1": OLD})
        found = api.url_for(1)
        assert (found.token, found.allow_private) == ("t.old-secret", False)


@pytest.mark.parametrize("allow_private", [False, True])
def test_a_name_with_a_private_address_is_not_connected_to(monkeypatch, capsys, allow_private):
    """Even if it had another address when it was looked at."""
    resolve = socket.getaddrinfo

    def rebound(name, port, *args, **kwargs):
        return resolve("127.0.0.1" if name == "rebound.example" else name, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with serving(accept) as server:
        host = f"rebound.example:{server.port}"
        destination = Destination.from_url(
            url_of(host, "http"), allow_http=True, allow_private=allow_private
        )
        options = {"streams": {"a": destination}, "allow_http": True, "shutdown_timeout": 0.5}
        with logging_to(None, **options) as (logger, handler):
            logger.info("hello", extra={"logplex_stream": "a"})
            if allow_private:
                assert handler.flush(100)
            else:
                assert wait_until(lambda: handler.stats().retries or handler.stats().requests)
                assert not handler.flush(0.2)
        assert server.frames() == ([b"hello"] if allow_private else [])
        assert ("PrivateAddress" in capsys.readouterr().err) is not allow_private
        assert allow_private or not server.connections


def test_a_url_that_comes_again_and_may_not_be_private_any_more_gets_nothing(monkeypatch):
    """The application knows it from its own record first, and then from others."""
    resolve = socket.getaddrinfo

    def private(name, port, *args, **kwargs):
        return resolve("127.0.0.1" if name == "inside.example" else name, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", private)
    with serving(answer(401), accept) as server:
        url = url_of(f"inside.example:{server.port}", "http")

        class Streams:
            def url_for(self, stream):
                return Destination.from_url(url, allow_http=True)

            def refresh(self, stream, refused):
                return Destination.from_url(url, allow_http=True, allow_private=False)

        options = {"streams": Streams(), "allow_http": True, "shutdown_timeout": 0.5}
        with logging_to(None, **options) as (logger, handler):
            logger.info("hello", extra={"logplex_stream": "customer"})
            assert wait_until(lambda: handler.stats("customer").requests > 1)
        assert server.frames() == [b"hello"]


def test_an_open_connection_to_a_private_host_is_not_used_for_a_customer(monkeypatch, capsys):
    """The application's own URL may lead to that host, under the same name."""
    resolve = socket.getaddrinfo

    def private(name, port, *args, **kwargs):
        return resolve("127.0.0.1" if name == "inside.example" else name, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", private)
    with serving(accept) as server:
        url = url_of(f"inside.example:{server.port}", "http")
        streams = {
            name: Destination.from_url(url, allow_http=True, allow_private=allowed)
            for name, allowed in {"own": True, "customer": False}.items()
        }
        options = {"streams": streams, "allow_http": True, "shutdown_timeout": 0.5, "workers": 1}
        with logging_to(None, **options) as (logger, handler):
            logger.info("mine", extra={"logplex_stream": "own"})
            assert handler.flush(100)
            logger.info("hello", extra={"logplex_stream": "customer"})
            assert wait_until(lambda: handler.stats("customer").requests)
            handler.flush(0.2)
        assert server.frames() == [b"mine"]
    assert "PrivateAddress" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address):
    """Also where IPv6 embeds one of IPv4."""
    assert is_public(address)
