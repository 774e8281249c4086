"""The options of the spool."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict

from logplex_handler._spool import owner_locks
from logplex_handler._spool.store import SpoolOptions
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler._checks import seconds, whole_number

# Bytes of a few chunks and of SQLite's own pages.
_MIN_SPOOL_BYTES = 64 * 1024


class SpoolArguments(TypedDict):
    """The arguments of a handler that concern the spool."""

    spool: str | os.PathLike[str] | None
    max_spool_bytes: int
    spool_interval: float


def spool_options(given: SpoolArguments, environ: Mapping[str, str]) -> SpoolOptions | None:
    """The options of the spool; None if there is none."""
    max_bytes = whole_number("max_spool_bytes", given["max_spool_bytes"], _MIN_SPOOL_BYTES)
    interval = seconds("spool_interval", given["spool_interval"])
    path: object = given["spool"] or environ.get("LOGPLEX_SPOOL")
    if not path:
        return None
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"spool: must be a path, not {type(path).__name__}")
    path = os.fspath(path)
    if not isinstance(path, str) or "\0" in path:
        raise ConfigurationError("spool: must be a path without a NUL character")
    if os.path.basename(path) in ("", ".", "..") or path == ":memory:":
        raise ConfigurationError("spool: must be the path of a file")
    if not owner_locks.are_possible():
        raise ConfigurationError("spool: this system has no POSIX record locks (fcntl)")
    return SpoolOptions(path, max_bytes, interval)
