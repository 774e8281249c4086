"""What `check` says about a relay."""

from __future__ import annotations

from collections.abc import Iterator

from logplex_handler._relay.values import EngineAway, Health
from logplex_handler.cli._configuration import problem_of
from logplex_handler.cli._reachability import Finding
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.relay_options import RelayOptions

_SETTINGS = "See `LOGPLEX_RELAY`, and the settings of the server."
_UNREACHABLE = "Does the server run, and does a firewall let connections to it pass?"
_MEBIBYTE = 1024 * 1024


def findings(relay: RelayOptions) -> Iterator[Finding]:
    """Look at each server of the relay: may it be used, and what should an operator know?"""
    engine = relay.engine()
    try:
        servers = engine.check()
    except ConfigurationError as error:
        yield Finding(False, "relay", problem_of(error).partition(": ")[2], _SETTINGS)
        return
    except EngineAway as error:
        yield Finding(False, "relay", f"does not answer: {error}", _UNREACHABLE)
        return
    finally:
        engine.close()
    for health in servers:
        yield Finding(True, "relay", _in_words(health))
        for warning in health.warnings:
            yield Finding(None, "relay", f"{health.server}: {warning}")


def _in_words(health: Health) -> str:
    used, most = health.connections
    memory = f"{health.used_memory / _MEBIBYTE:.1f} MiB used"
    if health.max_memory:
        memory += f" of {health.max_memory / _MEBIBYTE:.1f}"
    return (
        f"{health.server}: {health.version}, {health.policy}, {memory}, {used} of {most} "
        f"connections, answers within {health.latency * 1000:.1f} ms"
    )
