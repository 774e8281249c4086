"""Where the servers of a relay are: their URLs, which are secrets, as options of a connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from logplex_handler.errors import ConfigurationError

_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """One server.

    Attributes:
        name: Its host and port, or the path of its socket: all that is ever shown.
        options: What a connection needs, with the password.
    """

    name: str
    options: dict[str, Any] = field(repr=False)


def addresses_of(urls: str | Iterable[str], ca: str | None = None) -> tuple[Address, ...]:
    """The servers of `relay`: one URL, or several, also in one text with commas between them.

    Args:
        ca: The path of a file with certificates, one of which must have signed the server's.

    Raises:
        ConfigurationError: A URL cannot be used. The text does not show it.
    """
    if isinstance(urls, str):
        urls = urls.split(",")
    found = tuple(_address(url.strip(), ca) for url in urls)
    if not found:
        raise ConfigurationError("relay: there is no URL")
    if len({address.name for address in found}) < len(found):
        raise ConfigurationError("relay: a server is given twice")
    return found


def _address(url: str, ca: str | None) -> Address:
    try:
        parts = urlsplit(url)
        host, port, scheme = parts.hostname, parts.port or _DEFAULT_PORT, parts.scheme
        # Connecting would fail by an error that is not redis-py's.
        url.encode()
        (host or "").encode("idna")
    except ValueError:
        raise ConfigurationError("relay: the URL is malformed") from None
    if scheme not in ("redis", "rediss", "unix"):
        is_of_many = "sentinel" in scheme or "cluster" in scheme
        raise ConfigurationError(
            "relay: the URL must begin with redis://, rediss:// or unix://"
            + ("; Sentinel and Redis Cluster are not supported" if is_of_many else "")
        )
    if parts.query or parts.fragment:
        # Among those that redis-py knows is one that turns the check of certificates off.
        raise ConfigurationError("relay: the URL must have no query; use the options instead")
    options = _credentials(parts)
    if scheme == "unix":
        if not parts.path:
            raise ConfigurationError("relay: the URL has no path")
        if host:
            # `unix://tmp/redis.sock` would be the path /redis.sock.
            raise ConfigurationError("relay: the URL of a socket has three slashes: unix:///path")
        return Address(unquote(parts.path), {**options, "unix_socket_path": unquote(parts.path)})
    if not host:
        raise ConfigurationError("relay: the URL has no host")
    database = parts.path.strip("/")
    if database and not (database.isdecimal() and len(database) < 10):
        raise ConfigurationError("relay: the path of the URL must be a number, of a database")
    options |= {"host": host, "port": port, "db": int(database or 0)}
    if scheme == "rediss":
        options |= _tls(ca)
    elif ca is not None:
        raise ConfigurationError("relay: certificates are for URLs that begin with rediss://")
    shown = f"[{host}]" if ":" in host else host
    return Address(f"{shown}:{port}" + (f"/{database}" if database else ""), options)


def _credentials(parts: SplitResult) -> dict[str, Any]:
    return {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }


def _tls(ca: str | None) -> dict[str, Any]:
    return {
        "ssl": True,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": ca,
    }
