"""The options of a relay, checked as far as that is possible without asking it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logplex_handler._process.checks import listed
from logplex_handler.errors import ConfigurationError

if TYPE_CHECKING:
    from logplex_handler._relay.engine import Engine

_MAX_SHARDS = 4096
_MAX_REPLICAS = 9


@dataclass(frozen=True, repr=False)
class RelayOptions:
    """Where a relay is. The URLs hold passwords.

    Attributes:
        ca: The path of a file with the certificates that sign those of the servers. Default: the
            system's.
        shards: The number of its shards; None stands for the engine's default.
        timeout: Seconds that connecting may take, and each answer.
        replicas: Replicas that must have what is stored or taken before it counts.
    """

    urls: tuple[str, ...]
    ca: str | None = None
    shards: int | None = None
    timeout: float = 5.0
    replicas: int = 0

    def engine(self) -> Engine:
        """A new engine, which connects when it is first used.

        Raises:
            ConfigurationError: A URL cannot be used, or redis-py is missing.
        """
        from logplex_handler._relay.engine import SHARDS
        from logplex_handler._relay.redis_engine import RedisEngine

        return RedisEngine(
            self.urls,
            shards=self.shards or SHARDS,
            ca=self.ca,
            timeout=self.timeout,
            replicas=self.replicas,
        )


def relay_options(
    given: object, environ: Mapping[str, str], *, shards: int | None = None, timeout: float = 5.0
) -> RelayOptions | None:
    """The options of an argument or of the environment; None without either.

    Raises:
        ConfigurationError: An option cannot be used. The text shows no URL.
    """
    urls = given or environ.get("LOGPLEX_RELAY", "").strip()
    if not urls:
        return None
    if isinstance(urls, str):
        urls = urls.split(",")
    urls = listed(urls) if isinstance(urls, list | tuple) else None
    if urls is None or not all(isinstance(url, str) for url in urls):
        raise ConfigurationError("relay: must be a URL, or a list of URLs")
    if shards is None:
        shards = _number(environ, "LOGPLEX_RELAY_SHARDS", 1, _MAX_SHARDS)
    replicas = _number(environ, "LOGPLEX_RELAY_REPLICAS", 0, _MAX_REPLICAS) or 0
    ca = _file(environ.get("LOGPLEX_RELAY_CA"))
    options = RelayOptions(tuple(str.strip(url) for url in urls), ca, shards, timeout, replicas)
    # The URLs are parsed, and the library is imported, where an error reaches the program.
    options.engine().close()
    return options


def _file(path: str | None) -> str | None:
    """The absolute path of the certificates: a forked child may work elsewhere."""
    if not path:
        return None
    # Not looked for again in a forked child, where nobody expects an error.
    if not os.path.isfile(path):
        raise ConfigurationError("relay: there is no file with that certificate")
    return os.path.abspath(path)


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = environ.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ConfigurationError(f"{name}: must be from {least} to {most:,}")
    return int(text)
