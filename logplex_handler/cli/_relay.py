"""The command `relay`: what waits in a relay, who ships it, and whether its books balance."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from logplex_handler._relay.values import EngineAway, ShardBooks
from logplex_handler.cli._configuration import problem_of, relay_of
from logplex_handler.errors import ConfigurationError

_SUMS = (
    "pushed", "waiting", "in_flight", "delivered", "repeated", "retaken", "bytes", "streams",
    "set_aside",
)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the books; return 0 if they balance, 1 if not or if the relay is away, 2 if the options
    are invalid."""
    try:
        engine = relay_of(options.relay, options.shards).engine()
        books = engine.look()
        engine.close()
    except ConfigurationError as error:
        print(f"logplex-handler: {problem_of(error)}", file=sys.stderr)
        return 2
    except EngineAway as error:
        print(f"logplex-handler: the relay is away: {error}", file=sys.stderr)
        return 1
    totals = _totals(books)
    if options.json:
        print(json.dumps({**totals, "shards": [_as_json(one) for one in books]}, indent=2))
    else:
        for line in _lines(books, totals):
            print(line)
    return 0 if totals["balances"] else 1


def _totals(books: Sequence[ShardBooks]) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    for one in books:
        dropped.update(one.dropped)
    return {
        "balances": all(one.balances for one in books),
        "lag": round(max((one.lag for one in books), default=0.0), 3),
        **{name: sum(getattr(one, name) for one in books) for name in _SUMS},
        "dropped": dict(dropped),
    }


def _as_json(one: ShardBooks) -> dict[str, Any]:
    values = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    return {**values, "dropped": dict(one.dropped), "balances": one.balances}


def _lines(books: Sequence[ShardBooks], totals: dict[str, Any]) -> Iterator[str]:
    owners = sorted({one.owner for one in books if one.owner is not None})
    yield f"{'owner':<40} {'shards':>6} {'waiting':>9} {'in flight':>9} {'set aside':>9} {'lag':>8}"
    for owner in [*owners, None]:
        of_owner = [one for one in books if one.owner == owner]
        if of_owner:
            sums = _totals(of_owner)
            name = "(nobody)" if owner is None else ascii(owner)[1:-1]
            yield (
                f"{name:<40} {len(of_owner):>6} {sums['waiting']:>9} "
                f"{sums['in_flight']:>9} {sums['set_aside']:>9} {sums['lag']:>6.1f} s"
            )
    yield ""
    yield f"streams with lines that wait: {totals['streams']}, set aside: {totals['set_aside']}"
    yield f"bytes: {totals['bytes']}, oldest line that is due: {totals['lag']:.1f} s"
    yield f"pushed twice, stored once: {totals['repeated']} chunks"
    yield f"taken over from another shipper: {totals['retaken']} batches"
    yield ""
    dropped = totals["dropped"]
    yield f"{totals['pushed']:>12} lines were pushed. Of these:"
    for name in ("delivered", "waiting", "in_flight"):
        yield f"{totals[name]:>12} {name.replace('_', ' ')}"
    for cause, number in sorted(dropped.items()):
        yield f"{number:>12} dropped ({ascii(cause)[1:-1]})"
    yield "The books balance." if totals["balances"] else "The books DO NOT balance:"
    for one in books:
        if not one.balances:
            accounted = one.waiting + one.in_flight + one.delivered + sum(one.dropped.values())
            yield f"  shard {one.shard}: {one.pushed} were pushed, {accounted} are accounted for"
