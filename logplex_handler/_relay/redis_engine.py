"""The engine on Redis or Valkey: scripts, each of which changes one shard in one step."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from logplex_handler._relay.chunk import MAX_BODY, MAX_FRAMES, Chunk
from logplex_handler._relay.engine import LEASE, MAX_STREAM_BYTES, MAX_TAKE, SHARDS
from logplex_handler._relay.pushing import PushCall, PushOrder
from logplex_handler._relay.reading import books_of, outcome_args, owner_of, taken_of
from logplex_handler._relay.routing import TOTAL, Command, Servers, lease_key
from logplex_handler._relay.server import Call, Problem, Server, check_installed
from logplex_handler._relay.values import (
    EngineAway,
    Fate,
    Fleet,
    Health,
    Lease,
    Outcome,
    Pushed,
    Settled,
    ShardBooks,
    Taken,
    Takes,
)
from logplex_handler.errors import ConfigurationError

# The names of all shippers that are alive, on the first server.
_SHIPPERS = "lp:shippers"


@dataclass(slots=True, eq=False)
class _LeaseTakes:
    """What was taken with a lease.

    Attributes:
        last: The number of the last call of `take`.
        answered: That of the last one whose answer came.
        in_hand: The streams of which something is in hand, and the number of the call that took it.
    """

    last: int = 0
    answered: int = 0
    in_hand: dict[bytes, int] = field(default_factory=dict)


class RedisEngine:
    """See `engine.Engine`.

    Args:
        urls: Of one server, or of several: shard k is on server k modulo their number. All
            processes must give the same ones in the same order.
        shards: Must be the same for all processes; the first one decides.
        max_stream_bytes: Bytes of one stream that wait at most.
        max_relay_bytes: Bytes of all chunks on one server. Default: 60 % of its `maxmemory`, or of
            the machine's memory.
        replicas: Replicas that must have what was pushed, taken and parted before it counts.
            Without them, one that takes over from its primary may lack the last moments: what was
            pushed then is lost, and what was taken may be sent again under another frame id.
        ca: The path of a file with the certificates that sign those of the servers. Default: the
            system's.
        timeout: Seconds that connecting may take, and each answer.
        lease: Seconds that a lease lasts, and that a shipper counts as alive after a heartbeat.

    Raises:
        ConfigurationError: A URL or an option cannot be used, or redis-py is missing.
    """

    def __init__(
        self,
        urls: str | Iterable[str],
        *,
        shards: int = SHARDS,
        max_stream_bytes: int = MAX_STREAM_BYTES,
        max_relay_bytes: int | None = None,
        replicas: int = 0,
        ca: str | None = None,
        timeout: float = 5.0,
        lease: float = LEASE,
    ) -> None:
        check_installed()
        self._servers = Servers(urls, shards, ca=ca, timeout=timeout, replicas=replicas)
        self._max_stream_bytes = max_stream_bytes
        self._max_relay_bytes = max_relay_bytes
        self._lease = lease
        # By the token of a lease: what was taken with it.
        self._takes: dict[str, _LeaseTakes] = {}
        # Guards the takes: leases may be renewed and released while others are used.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RedisEngine({', '.join(server.name for server in self._servers)})"

    @property
    def shards(self) -> int:
        return self._servers.shards

    @property
    def problem(self) -> str:
        found = [f"{server.name}: {server.problem}" for server in self._servers if server.problem]
        return ", ".join(found)

    def check(self) -> tuple[Health, ...]:
        return self._servers.check()

    def push(
        self, chunks: Sequence[Chunk], *, settled: Mapping[str, int] | None = None
    ) -> list[Pushed]:
        results = [Pushed.AWAY] * len(chunks)
        order = PushOrder(chunks, self.shards, len(self._servers))
        for index, server in self._servers.answering_first():
            # A call of each producer in an exchange: none is made if an earlier one fails.
            while calls := order.next_calls(index):
                try:
                    server.make_usable()
                except EngineAway:
                    order.give_up(index)
                    break
                made = [self._push_call(server, order, call, settled or {}) for call in calls]
                answers = server.run(made, safely=True)
                for call, answer in zip(calls, answers, strict=True):
                    if not _is_numbers(answer, len(call.places)):
                        is_full = isinstance(answer, Problem) and answer.is_full
                        failed = Pushed.FULL if is_full else Pushed.AWAY
                        for place in [*call.places, *order.give_up(index, call.producer)]:
                            results[place] = failed
                        continue
                    for place, is_new in zip(call.places, answer, strict=True):
                        results[place] = Pushed.STORED if is_new else Pushed.KNOWN
        return results

    def _push_call(
        self, server: Server, order: PushOrder, call: PushCall, settled: Mapping[str, int]
    ) -> Call:
        max_bytes = self._max_relay_bytes or self._servers.max_bytes(server)
        args: list[Any] = [
            call.producer,
            settled.get(call.producer, ""),
            self._max_stream_bytes,
            max_bytes,
            call.shard % len(self._servers),
            len(self._servers),
            self.shards,
        ]
        order.add_args(call, args)
        return Call("push", (lease_key(call.shard), TOTAL), args)

    def heartbeat(self, shipper: str) -> Fleet:
        answer = self._servers.first.run([Call("heartbeat", (_SHIPPERS,), (shipper, self._lease))])[
            0
        ]
        if not isinstance(answer, list) or not {*map(type, answer)} <= {bytes}:
            name = answer.name if isinstance(answer, Problem) else "its answer makes no sense"
            raise EngineAway(f"{self._servers.first.name}: {name}")
        owners: dict[int, str | None] = {}
        for index, server in enumerate(self._servers):
            shards = range(index, self.shards, len(self._servers))
            with contextlib.suppress(EngineAway):
                tokens = server.ask("MGET", *(lease_key(shard) for shard in shards))
                owners.update(zip(shards, map(owner_of, tokens), strict=True))
        return Fleet(frozenset(name.decode("utf-8", "replace") for name in answer), owners)

    def leave(self, shipper: str) -> None:
        with contextlib.suppress(EngineAway, ConfigurationError):
            self._servers.first.ask("ZREM", _SHIPPERS, shipper)

    @property
    def _lease_ms(self) -> int:
        return int(self._lease * 1000)

    def acquire(self, shards: Collection[int], shipper: str) -> list[Lease]:
        # Before the engine's time, so that the lease ends here first.
        until = time.monotonic() + self._lease
        wanted = [Lease(shard, f"{shipper} {uuid.uuid4().hex}", shipper, until) for shard in shards]
        answers = self._servers.run(
            [Command(lease.shard, "acquire", (lease.token, self._lease_ms)) for lease in wanted]
        )
        return [lease for lease, answer in zip(wanted, answers, strict=True) if answer == 1]

    def renew(self, leases: Collection[Lease]) -> list[Lease]:
        now = time.monotonic()
        answers = self._servers.run(
            [Command(lease.shard, "renew", (lease.token, self._lease_ms)) for lease in leases]
        )
        held = []
        for lease, answer in zip(leases, answers, strict=True):
            if answer == 1:
                held.append(replace(lease, until=now + self._lease))
            elif isinstance(answer, Problem) and lease.until > time.monotonic():
                held.append(lease)
        return held

    def release(self, leases: Collection[Lease]) -> None:
        with contextlib.suppress(ConfigurationError):
            self._servers.run([Command(one.shard, "release", (one.token,)) for one in leases])
        with self._lock:
            for lease in leases:
                self._takes.pop(lease.token, None)

    def take(
        self,
        leases: Collection[Lease],
        *,
        linger: float = 0.0,
        max_streams: int = 64,
        max_bytes: int = MAX_TAKE,
    ) -> Takes:
        room = max(1, max_bytes // max(1, len(leases)))
        limits = linger, max_streams, room, MAX_FRAMES, MAX_BODY
        calls = [self._next_take(lease) for lease in leases]
        answers = self._servers.run(
            [
                Command(lease.shard, "take", (lease.token, *call, *limits, os.urandom(12).hex()))
                for lease, call in zip(leases, calls, strict=True)
            ],
            safely=True,
        )
        taken: list[Taken] = []
        lost: list[Outcome] = []
        fenced, away = set(), set()
        is_all = True
        for lease, (call, *_), answer in zip(leases, calls, answers, strict=True):
            if isinstance(answer, Problem):
                away.add(lease.shard)
                continue
            if answer == 0:
                fenced.add(lease.shard)
                continue
            try:
                has_taken_all = answer[0] == 1
                found = [taken_of(lease, float(answer[1]), one) for one in answer[2:]]
            except Exception:
                # No answer of the script. What it has taken, if anything, is due again.
                away.add(lease.shard)
                continue
            with self._lock:
                of_lease = self._takes.setdefault(lease.token, _LeaseTakes())
                of_lease.answered = call
                # What is lost is due again unless its outcome is settled.
                keys = [one.key for one in found if isinstance(one, Taken)]
                of_lease.in_hand.update(dict.fromkeys(keys, call))
            is_all = is_all and has_taken_all
            taken += [one for one in found if isinstance(one, Taken)]
            lost += [one for one in found if isinstance(one, Outcome)]
        self.settle(lost)
        return Takes(tuple(taken), frozenset(fenced), frozenset(away), is_all)

    def _next_take(self, lease: Lease) -> tuple[int, int, int]:
        """The number of the next call of `take`, of the last one whose answer came, and of the
        first one of which something is in hand.

        What others have taken is due again: their answers were lost, or the engine has lost the
        outcomes, as a replica may that is promoted.
        """
        with self._lock:
            of_lease = self._takes.setdefault(lease.token, _LeaseTakes())
            of_lease.last += 1
            first = min(of_lease.in_hand.values(), default=of_lease.last)
            return of_lease.last, of_lease.answered, first

    def settle(self, outcomes: Sequence[Outcome]) -> list[Settled]:
        of_leases: dict[tuple[int, str], list[int]] = {}
        for place, outcome in enumerate(outcomes):
            lease = outcome.taken.lease
            of_leases.setdefault((lease.shard, lease.token), []).append(place)
        commands = []
        for (shard, token), places in of_leases.items():
            args: list[Any] = [token]
            for place in places:
                args += outcome_args(outcomes[place])
            commands.append(Command(shard, "settle", args, (TOTAL,)))
        # What is held is sent under frame ids that must be on record, as when it is taken.
        is_held = any(outcome.fate is Fate.HELD for outcome in outcomes)
        answers = self._servers.run(commands, safely=is_held)
        results = [Settled.AWAY] * len(outcomes)
        for places, answer in zip(of_leases.values(), answers, strict=True):
            for number, place in enumerate(places):
                if answer == 0:
                    results[place] = Settled.FENCED
                elif _is_numbers(answer, len(places)):
                    results[place] = Settled.DONE if answer[number] else Settled.STALE
                if results[place] is not Settled.AWAY and outcomes[place].fate is not Fate.HELD:
                    self._lay_down(outcomes[place].taken)
        return results

    def _lay_down(self, taken: Taken) -> None:
        with self._lock:
            of_lease = self._takes.get(taken.lease.token)
            if of_lease is not None:
                of_lease.in_hand.pop(taken.key, None)

    def look(self) -> tuple[ShardBooks, ...]:
        answers = self._servers.run([Command(shard, "look") for shard in range(self.shards)])
        for shard, answer in enumerate(answers):
            if isinstance(answer, Problem):
                raise EngineAway(f"{self._servers.of(shard).name}: {answer.name}")
        return tuple(books_of(shard, answer) for shard, answer in enumerate(answers))

    def close(self) -> None:
        for server in self._servers:
            server.close()


def _is_numbers(answer: object, length: int) -> bool:
    """Return whether a script's answer is so many numbers, and no `Problem` or nonsense."""
    return isinstance(answer, list) and [*map(type, answer)] == [int] * length
