"""The command `ship`: takes what waits in a relay, and delivers it to the streams' receivers."""

from __future__ import annotations

import argparse
import os
import sys

from logplex_handler._delivery.shipper import Shipper, ShipperOptions
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.formatter import KeyValueFormatter
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.periodic import Periodic
from logplex_handler._relay.engine import Engine
from logplex_handler._relay.values import EngineAway
from logplex_handler.cli._configuration import configured, imported, problem_of, relay_of
from logplex_handler.cli._stop_request import StopRequest
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.health import Vitals, pairs
from logplex_handler.handler.options import Options
from logplex_handler.metrics import number_format, sample
from logplex_handler.stats import Stats

# Seconds between two tries to reach the relay at the start.
_BETWEEN_TRIES = 1.0
# Seconds that requests may take to end after SIGTERM; Heroku ends a process after 30.
_SHUTDOWN = 25.0
# Seconds to wait for the last metrics at the end.
_HEALTH_PATIENCE = 1.0


def run(options: argparse.Namespace) -> int:
    """Ship until SIGINT or SIGTERM; return 0 then, 2 if the options are invalid."""
    try:
        engine = relay_of(options.relay, options.shards).engine()
        given = _configured(options)
    except ConfigurationError as error:
        _say(problem_of(error))
        return 2
    with StopRequest() as stop:
        try:
            is_usable = _wait_for(engine, stop)
        except ConfigurationError as error:
            _say(problem_of(error))
            return 2
        if not is_usable:
            return 0
        return _ship(engine, given, stop)


def _configured(options: argparse.Namespace) -> Options:
    name = options.streams or os.environ.get("LOGPLEX_STREAMS")
    if not name:
        raise ConfigurationError("LOGPLEX_STREAMS: is not set, and there is no --streams")
    # The relay is for the shipper, and not for a handler.
    environ = {name: text for name, text in os.environ.items() if name != "LOGPLEX_RELAY"}
    given = configured(
        environ,
        streams=imported(name),
        workers=options.workers,
        flush_interval=options.flush_interval,
        allow_http=options.allow_http,
        compress=options.compress,
        health_interval=options.health_interval,
    )
    if given.health_interval is not None and given.destination is None:
        raise ConfigurationError("LOGPLEX_URL: is not set, and is needed for --health-interval")
    return given


def _wait_for(engine: Engine, stop: StopRequest) -> bool:
    """Wait until the relay can be used; False if a signal came first."""
    has_said = False
    while stop.requested_at is None:
        try:
            engine.check()
            return True
        except EngineAway as error:
            if not has_said:
                has_said = True
                _say(f"waits for the relay: {error}")
            stop.wait(_BETWEEN_TRIES)
    return False


def _ship(engine: Engine, given: Options, stop: StopRequest) -> int:
    if given.lookup is None:
        return 2
    shipper = Shipper(
        engine,
        Codec(given.packet, KeyValueFormatter(source=given.source)),
        ShipperOptions(
            flush_interval=given.sender.flush_interval,
            workers=given.workers,
            limits=given.accumulator,
            max_batch_bytes=given.sender.max_batch_bytes,
            transport=given.transport,
            resolver=given.lookup,
            destination=given.destination,
        ),
        Diagnostics(),
    )
    shipper.start()
    _say(f"ships as {shipper.name}")
    health = None
    if given.health_interval is not None:
        health = Periodic(given.health_interval, _Health(shipper).report)
        health.start()
    while stop.requested_at is None:
        stop.wait(None)
    if health is not None:
        health.stop(_HEALTH_PATIENCE)
    is_done = shipper.stop(_SHUTDOWN)
    stats = shipper.stats()
    dropped = sum(stats.dropped.values())
    _say(f"{stats.delivered} lines delivered in {stats.requests} requests, {dropped} dropped")
    if not is_done:
        _say("some requests did not end; another shipper repeats them")
    return 0


class _Health:
    """The metrics of a shipper about itself: those of a handler, and its shards and take-overs."""

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper
        self._vitals = Vitals(Stats(), 0.0, 0.0)
        self._taken_over = 0

    def report(self) -> None:
        shipper, before, taken_over = self._shipper, self._vitals, self._taken_over
        self._vitals = Vitals(shipper.stats(), shipper.requests_took, shipper.fill_ratio)
        self._taken_over = shipper.taken_over
        found = pairs(self._vitals, before)
        # What is put back is taken away again there.
        found.pop("sample#logplex_handler.accepted", None)
        found |= sample("logplex_handler.lag", number_format.short(shipper.max_wait()), "s")
        found |= sample("logplex_handler.shards", shipper.owned)
        found |= sample("logplex_handler.taken_over", self._taken_over - taken_over)
        shipper.report(found)


def _say(text: str) -> None:
    print(f"logplex-handler: {text}", file=sys.stderr, flush=True)
