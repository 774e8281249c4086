"""The way to a receiver, step by step: the proxy or the host's name, the connection, TLS."""

from __future__ import annotations

import importlib
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from logplex_handler._wire.destination import Destination


@dataclass(frozen=True)
class Finding:
    """The result of one step: `good` is None for a hint; `cure` is the remedy."""

    good: bool | None
    step: str
    message: str
    cure: str = ""


@dataclass(frozen=True)
class Proxy:
    """The proxy that requests to a destination go through; `variable` is the one that names it."""

    variable: str
    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, destination: Destination) -> Proxy | None:
        """Return the proxy that the environment names for a destination, or None without one."""
        if destination.is_loopback:
            return None
        endpoint = urlsplit(destination.endpoint)
        proxies = requests.utils.get_environ_proxies(destination.endpoint)
        url = requests.utils.select_proxy(destination.endpoint, proxies)
        if not url:
            return None
        names = [f"{endpoint.scheme}_proxy", "all_proxy"]
        variables = [case for name in names for case in (name, name.upper())]
        variable = next(filter(os.environ.get, variables), "the system")
        # The proxy's URL may hold its own credentials.
        try:
            proxy = urlsplit(url if "://" in url else f"http://{url}")
            port = proxy.port or {"https": 443, "http": 80}.get(proxy.scheme, 1080)
        except ValueError:
            return cls(variable, "", "", 0, endpoint.hostname or "")
        return cls(variable, proxy.scheme, proxy.hostname or "", port, endpoint.hostname or "")

    def findings(self, timeout: float) -> Iterator[Finding]:
        if self.scheme.startswith("socks"):
            try:
                importlib.import_module("socks")
            except ImportError:
                message = f"{self.variable} names a SOCKS proxy, and PySocks is not installed"
                yield Finding(False, "proxy", message, "pip install 'requests[socks]'")
                return
        if not self.host:
            message = f"{self.variable} names no proxy"
            yield Finding(False, "proxy", message, f"Correct or unset {self.variable}.")
            return
        try:
            socket.create_connection((self.host, self.port), timeout=timeout).close()
        except (OSError, UnicodeError) as error:
            message = (
                f"cannot connect to {self.host} port {self.port}, which {self.variable} names "
                f"({_reason(error)})"
            )
            cure = f"Correct or unset {self.variable}; NO_PROXY={self.target} goes around it."
            yield Finding(False, "proxy", message, cure)
            return
        message = f"requests go through {self.host}, which {self.variable} names"
        yield Finding(None, "proxy", f"{message}, so only that is tried")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or type(error).__name__


def connected(destination: Destination, timeout: float) -> Iterator[Finding]:
    parts = urlsplit(destination.endpoint)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"{host} has no address ({_reason(error)})"
        cure = "Is the host's name right, and is there a network and a name server?"
        yield Finding(False, "DNS", message, cure)
        return
    addresses = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
    yield Finding(True, "DNS", f"{host} is {addresses}")
    try:
        connection = socket.create_connection((host, port), timeout=timeout)
    except OSError as error:
        message = f"cannot connect to {host} port {port} ({_reason(error)})"
        cure = "Is the receiver running there, is the port right, and does a firewall let you out?"
        yield Finding(False, "connection", message, cure)
        return
    with connection:
        yield Finding(True, "connection", f"to {host} port {port}")
        if parts.scheme == "https":
            yield _tls(connection, host)


def _tls(connection: socket.socket, host: str) -> Finding:
    bundle = (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or requests.utils.DEFAULT_CA_BUNDLE_PATH
    )
    try:
        is_directory = os.path.isdir(bundle)
        context = ssl.create_default_context(
            cafile=None if is_directory else bundle, capath=bundle if is_directory else None
        )
    except OSError:
        message = "the CA bundle that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be read"
        return Finding(False, "TLS", message, "Correct or unset it.")
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            return Finding(True, "TLS", f"{secured.version()}, the certificate is trusted")
    except ssl.SSLCertVerificationError as error:
        message = f"the certificate is not trusted: {error.verify_message}"
        cure = (
            "Is the host's name right? For a CA of your own set REQUESTS_CA_BUNDLE; "
            "certificates are always verified."
        )
    except OSError as error:
        message = f"the other side does not speak TLS as it should ({type(error).__name__})"
        cure = "Is it a port for https? For a receiver on this machine the URL begins with http://."
    return Finding(False, "TLS", message, cure)
