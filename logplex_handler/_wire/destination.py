"""The destination of a stream's lines: an endpoint and its credentials."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from logplex_handler._wire.packet import MAX_HOSTNAME, field
from logplex_handler.errors import ConfigurationError

_NOT_IN_URLS = re.compile(r"[\x00-\x20\\\x7f-\x9f]")
# Lone surrogates, which a string may hold and UTF-8 cannot encode.
_NOT_UTF_8 = re.compile(r"[\ud800-\udfff]")
_PRIVATE = "names a private host, and allow_private is not set"
# The first 96 bits of IPv6 addresses that end with an IPv4 address: "compatible" ones, and those of
# SIIT (RFC 2765) and NAT64 (RFC 6052).
_WITH_IPV4 = (0, 0xFFFF << 16, 0x64FF9B << 64)
# The first 48 bits of the NAT64 addresses of a private network (RFC 8215).
_LOCAL_NAT64 = 0x64FF9B0001
# The longest URL, in characters: servers accept no longer lines. Parsing takes up to a microsecond
# for each.
_LONGEST_URL = 8192
# RFC 1035, 2.3.4: the longest name, without the final dot.
_LONGEST_NAME = 253
# The parts of a URL whose credentials need no decoding.
_PLAIN = re.compile(r"(https?://)([A-Za-z0-9._~-]+):([A-Za-z0-9._~-]+)(@[^@]*)")
_NOT_IN_CREDENTIALS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, repr=False, slots=True)
class Destination:
    """A receiver and the credentials for it; the repr shows neither user nor token.

    Attributes:
        endpoint: The URL to POST to, without credentials.
        user: The user name for Basic authentication; `token` in Heroku's URLs.
        token: The password for Basic authentication.
        hostname: The hostname in the stream's packets, such as the id of the customer's app. None
            means the handler's own.
        allow_private: Whether the receiver may have an address that is not public, such as one of
            this machine, of a private network or of a cloud's metadata service. If not, no
            connection to such an address is made, whatever the name resolves to; through a proxy,
            the proxy decides. Default: True.
    """

    endpoint: str
    user: str
    token: str
    hostname: str | None = None
    # Not compared, because the receiver is the same.
    allow_private: bool = dataclasses.field(default=True, compare=False)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        hostname: str | None = None,
        token: str | None = None,
        allow_http: bool = False,
        allow_private: bool = True,
        option: str = "url",
    ) -> Destination:
        """Return the destination that a URL describes.

        Args:
            url: `https://USER:TOKEN@HOST[:PORT][/PATH]`; the default path is `/logs`.
            hostname: The hostname in the stream's packets. Default: the handler's own.
            token: The token for a URL that carries no credentials. Default: none.
            allow_http: Whether an `http://` URL may lead to another machine. Default: False.
            allow_private: Whether the receiver may have an address that is not public. Default:
                True; pass False for URLs that others have chosen.
            option: The name of the option in errors.

        Raises:
            ConfigurationError: (a ValueError) The URL or the hostname cannot be used. The text
                shows neither.
        """
        parsed = _parse(url, token, allow_http)
        if not allow_private and isinstance(parsed, Destination):
            is_private = _is_private(parsed.address)
            parsed = _PRIVATE if is_private else replace(parsed, allow_private=False)
        # Keeps secrets out of this frame of the traceback.
        del url, token
        if isinstance(parsed, str):
            raise ConfigurationError(f"{option}: {parsed}")
        if hostname is None:
            return parsed
        safe = field(hostname, MAX_HOSTNAME) if isinstance(hostname, str) else ""
        if not safe:
            raise ConfigurationError("hostname: must be a string with a letter or digit (a-z, 0-9)")
        return replace(parsed, hostname=safe)

    def checked(self, *, allow_http: bool = False) -> Destination:
        """Check a destination that was not made by `from_url`, and so may hold any values.

        Returns:
            An equivalent destination in the form that `from_url` gives it.

        Raises:
            ConfigurationError: (a ValueError) The destination cannot be used. The text shows none
                of its values.
        """
        if not isinstance(self.endpoint, str) or "@" in urlsplit(self.endpoint).netloc:
            raise ConfigurationError("destination: its endpoint must be a URL without credentials")
        if not isinstance(self.user, str) or not isinstance(self.token, str):
            raise ConfigurationError("destination: user and token must be strings")
        scheme, slashes, rest = self.endpoint.partition("://")
        credentials = f"{quote(self.user, safe='')}:{quote(self.token, safe='')}@"
        url = f"{scheme}{slashes}{credentials if slashes else ''}{rest}"
        try:
            return Destination.from_url(
                url,
                hostname=self.hostname,
                allow_http=allow_http,
                allow_private=self.allow_private,
                option="destination",
            )
        except ConfigurationError as error:
            problem = str(error)
        # Raised here, so that no frame of the traceback holds a secret.
        del url, credentials, rest
        raise ConfigurationError(problem)

    @property
    def host(self) -> str:
        """The scheme, name and port, which identify a receiver."""
        scheme, netloc, *_ = urlsplit(self.endpoint)
        return f"{scheme}://{netloc}"

    @property
    def address(self) -> str:
        """The name or the IP address of the receiver."""
        return urlsplit(self.endpoint).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """Whether the receiver is on this machine."""
        return is_loopback(self.address)

    def __repr__(self) -> str:
        return f"<Destination {self.shown}>"

    @property
    def shown(self) -> str:
        """The endpoint without its query, which may hold a secret."""
        return self.endpoint.split("?", 1)[0]


def _parse(url: str, token: str | None, allow_http: bool) -> Destination | str:
    """Return the destination, or the problem with the URL in words.

    Raises nothing, since the errors of the standard library and of requests quote the URL.
    """
    if not isinstance(url, str):
        return "must be a string"
    url = url.strip()
    plain = _PLAIN.fullmatch(url)
    if plain is None or len(url) > _LONGEST_URL:
        return _parse_any(url, token, allow_http)
    scheme, user, password, rest = plain.groups()
    found = _parse_rest(scheme, rest, allow_http)
    return found if isinstance(found, str) else Destination(found.endpoint, user, password)


# Many streams have the same receiver, and only their credentials differ.
@lru_cache(maxsize=16)
def _parse_rest(scheme: str, rest: str, allow_http: bool) -> Destination | str:
    # With the shortest credentials, because the length of a URL is limited.
    return _parse_any(f"{scheme}u:p{rest}", None, allow_http)


def _parse_any(url: str, token: str | None, allow_http: bool) -> Destination | str:
    if len(url) > _LONGEST_URL:
        return f"is longer than {_LONGEST_URL:,} characters"
    if _NOT_IN_URLS.search(url):
        return "holds a space, a backslash or a control character"
    try:
        parts = urlsplit(url)
        hostname, port = parts.hostname, parts.port
    except ValueError:
        return "is not a well-formed URL (is a special character in the token not %-escaped?)"
    if url.lower() in ("null", "none"):
        return "is no URL but null: apps of the Fir generation accept no logs of add-ons"
    if parts.scheme not in ("http", "https"):
        return "must begin with https:// (or http://)"
    if not hostname:
        return "names no host"
    if port == 0:
        return "has port 0"
    if parts.fragment:
        return "has a fragment (is a '#' in the token not written as %23?)"
    if parts.scheme == "http" and not allow_http and not is_loopback(hostname):
        return "would send the token unencrypted: use https://, or set allow_http"
    try:
        user = unquote(parts.username or "", errors="strict") or ("token" if token else "")
        password = unquote(parts.password or "", errors="strict") or token or ""
    except UnicodeDecodeError:
        return "holds credentials that are not UTF-8"
    if not user or not password:
        return "carries no credentials (https://USER:TOKEN@HOST), and LOGPLEX_TOKEN is not set"
    if _NOT_IN_CREDENTIALS.search(user + password) or ":" in user:
        return "holds credentials that cannot be sent (a control character, or ':' in the user)"
    is_ipv6 = "[" in parts.netloc
    if not _can_be(hostname, is_ipv6):
        return "names a host that cannot be"
    netloc = f"[{hostname}]" if is_ipv6 else hostname
    if port:
        netloc += f":{port}"
    endpoint = _checked(urlunsplit((parts.scheme, netloc, parts.path or "/logs", parts.query, "")))
    if endpoint is None or _NOT_UTF_8.search(url + user + password):
        return "cannot be requested (is the host's name valid?)"
    return Destination(endpoint, user, password)


# Many streams have the same endpoint. Each check costs more than the rest of the parsing.
@lru_cache(maxsize=16)
def _checked(endpoint: str) -> str | None:
    """Return the endpoint, always as the same object, or None if it cannot be requested."""
    # Imported here, because only delivery needs it, and it takes longer to import than this
    # package.
    import requests

    try:
        requests.Request("POST", endpoint).prepare()
    except (requests.RequestException, ValueError):
        return None
    return endpoint


@lru_cache(maxsize=16)
def _can_be(hostname: str, is_ipv6: bool) -> bool:
    try:
        if is_ipv6:
            return ipaddress.ip_address(hostname).version == 6
        # Encode the name as the DNS does, where no label is empty or longer than 63 bytes.
        return 0 < len(hostname.removesuffix(".").encode("idna")) <= _LONGEST_NAME
    except ValueError:
        return False


@lru_cache(maxsize=16)
def _is_private(hostname: str) -> bool:
    """Return whether a host is private without a look-up; names are resolved when connecting."""
    try:
        # `inet_aton` also reads forms such as 127.1 and 0x7f000001.
        address = hostname.encode("idna").decode().removesuffix(".")
        hostname = socket.inet_ntoa(socket.inet_aton(address))
    except (OSError, UnicodeError):
        if ":" not in hostname:
            return is_loopback(hostname.lower().removesuffix("."))
    return not is_public(hostname)


def is_public(address: str) -> bool:
    """Return whether an IP address is public: not of this machine, a private network or a link."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if int(ip) >> 32 in _WITH_IPV4:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if embedded is not None:
            return is_public(str(embedded))
        if ip.is_site_local or int(ip) >> 80 == _LOCAL_NAT64:
            return False
    return ip.is_global and not ip.is_multicast


def is_loopback(hostname: str) -> bool:
    """Return whether a name or an IP address stands for this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
