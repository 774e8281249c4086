"""The servers of a relay, and which of them has which shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from logplex_handler._relay.address import addresses_of
from logplex_handler._relay.inspection import Inspection, Place, inspected
from logplex_handler._relay.server import Call, Server
from logplex_handler._relay.values import Health
from logplex_handler.errors import ConfigurationError

# The bytes of all chunks on a server.
TOTAL = "lp:bytes"


class Command(NamedTuple):
    """A script for one shard: its arguments, and its keys in addition to the shard's lease."""

    shard: int
    script: str
    args: Sequence[Any] = ()
    keys: Sequence[str] = ()


def lease_key(shard: int) -> str:
    """The key of a shard's lease, from which the scripts make all others of the shard."""
    return f"lp:{{{shard}}}:lease"


class Servers:
    """All servers of a relay: shard k is on the one with the number k modulo how many there are."""

    def __init__(
        self,
        urls: str | Iterable[str],
        shards: int,
        *,
        ca: str | None,
        timeout: float,
        replicas: int,
    ) -> None:
        addresses = addresses_of(urls, ca)
        if shards < len(addresses):
            raise ConfigurationError(f"relay: {shards} shards are too few for its servers")
        self.shards = shards
        self._servers = [
            Server(
                address,
                timeout=timeout,
                replicas=replicas,
                rests=len(addresses) > 1,
                inspect=self._inspect,
            )
            for address in addresses
        ]
        self._inspections: dict[str, Inspection] = {}

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def __len__(self) -> int:
        return len(self._servers)

    @property
    def first(self) -> Server:
        return self._servers[0]

    def of(self, shard: int) -> Server:
        return self._servers[shard % len(self._servers)]

    def max_bytes(self, server: Server) -> int:
        """Bytes that chunks may have on a server that was inspected."""
        return self._inspections[server.name].max_bytes

    def answering_first(self) -> list[tuple[int, Server]]:
        """The servers with their numbers; those that may keep the caller waiting come last."""
        return sorted(enumerate(self._servers), key=lambda numbered: numbered[1].rest)

    def check(self) -> tuple[Health, ...]:
        for server in self._servers:
            server.inspect_again()
        return tuple(self._inspections[server.name].health for server in self._servers)

    def run(self, commands: Sequence[Command], *, safely: bool = False) -> list[Any]:
        """Run scripts, in one exchange with each server; return their results."""
        results: list[Any] = [None] * len(commands)
        for _, server in self.answering_first():
            mine = [i for i, command in enumerate(commands) if self.of(command.shard) is server]
            calls = [
                Call(name, (lease_key(shard), *keys), args)
                for shard, name, args, keys in [commands[i] for i in mine]
            ]
            if calls:
                for i, result in zip(mine, server.run(calls, safely=safely), strict=True):
                    results[i] = result
        return results

    def _inspect(self, server: Server, client: Any) -> None:
        place = Place(self._servers.index(server), len(self._servers), self.shards)
        self._inspections[server.name] = inspected(client, server.name, place)
