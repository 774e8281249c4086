"""The scripts that run in the engine: their texts, and the names that it gives them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

# Scripts that change a shard or read it, and so need what they share.
_OF_SHARDS = ("acquire", "look", "push", "release", "renew", "settle", "take")
_OTHERS = ("heartbeat",)


class Script(NamedTuple):
    """A script's text, and the checksum by which the engine knows it."""

    text: str
    sha: str


@cache
def scripts() -> dict[str, Script]:
    """All scripts by name, read when the relay is first used."""
    common = _read("common")
    found = {}
    for name in (*_OF_SHARDS, *_OTHERS):
        # The engine wants the flags of a script in its first line.
        flags, _, text = _read(name).partition("\n")
        whole = f"{flags}\n{common if name in _OF_SHARDS else ''}{text}"
        found[name] = Script(whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())
    return found


def _read(name: str) -> str:
    folder = resources.files("logplex_handler._relay") / "scripts"
    return (folder / f"{name}.lua").read_text("utf-8")
