"""URLs of a relay, which are secrets."""

from __future__ import annotations

import pytest

from logplex_handler._relay import server
from logplex_handler._relay.address import addresses_of
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.relay_options import relay_options


def test_a_url_becomes_the_options_of_a_connection():
    (address,) = addresses_of("redis://user:p%40ss%3Aword@relay.example:6380/3")
    assert address.name == "relay.example:6380/3"
    assert address.options == {
        "username": "user", "password": "p@ss:word", "host": "relay.example", "port": 6380, "db": 3,
    }  # fmt: skip
    (address,) = addresses_of("unix://:secret@/run/redis.sock")
    assert address.name == "/run/redis.sock"
    assert address.options["unix_socket_path"] == "/run/redis.sock"


def test_certificates_are_always_checked(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    for ca in (None, str(authority)):
        (address,) = addresses_of("rediss://:secret@relay.example", ca)
        assert address.options["ssl_cert_reqs"] == "required"
        assert address.options["ssl_check_hostname"] is True
        assert address.options["ssl_ca_certs"] == ca


def test_several_servers():
    text = "redis://:secret@one.example, redis://:secret@[::1]:1"
    assert [one.name for one in addresses_of(text)] == ["one.example:6379", "[::1]:1"]
    assert addresses_of(text) == addresses_of(text.split(","))


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        ("http://:secret@relay.example", "must begin with redis://"),
        (":secret@relay.example", "must begin with redis://"),
        ("redis+sentinel://:secret@relay.example/main", "Sentinel and Redis Cluster are not sup"),
        ("rediss+cluster://:secret@relay.example", "Sentinel and Redis Cluster are not supported"),
        ("redis://:secret@relay.example:port", "malformed"),
        ("redis://:secret@[::1", "malformed"),
        ("redis://:secret@relay..example", "malformed"),
        ("redis://:secret\udcff@relay.example", "malformed"),
        ("redis://:secret@", "no host"),
        ("unix://:secret@", "no path"),
        ("unix://:secret@run/redis.sock", "three slashes"),
        ("rediss://:secret@relay.example?ssl_cert_reqs=none", "no query"),
        ("redis://:secret@relay.example/database", "must be a number"),
        ("redis://:secret@relay.example/" + "9" * 5000, "must be a number"),
        ("redis://:secret@relay.example,redis://:secret@relay.example:6379", "twice"),
        ([], "no URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(urls, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        addresses_of(urls)
    assert "relay:" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path, monkeypatch):
    """It is looked for when the handler is made, and not again in a forked child."""
    monkeypatch.chdir(tmp_path)
    environ = {"LOGPLEX_RELAY_CA": "ca.pem"}
    with pytest.raises(ConfigurationError, match="no file"):
        relay_options("rediss://:secret@relay.example", environ)
    (tmp_path / "ca.pem").touch()
    options = relay_options("rediss://:secret@relay.example", environ)
    assert options.ca == str(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").unlink()
    options.engine().close()
    with pytest.raises(ConfigurationError, match="begin with rediss"):
        addresses_of("redis://:secret@relay.example", __file__)


def test_without_redis_py_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(server, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'logplex-handler\[relay\]'"):
        RedisEngine("redis://:secret@relay.example")


def test_no_password_is_in_a_repr():
    assert "secret" not in repr(addresses_of("rediss://user:secret@relay.example"))
