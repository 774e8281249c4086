"""How long handlers and receivers wait in tests, where a test does not say it.

The package's own times are those of production, and on a busy machine a thread may stand still for
longer: a request would be given up though its lines have arrived, and made again, or what waits at
the end would be left behind. Nor may the clock's full minute or hour come in the middle of a test.
"""

from __future__ import annotations

from typing import Any

from logplex_handler import LogplexHandler
from logplex_handler._process.periodic import Periodic
from logplex_handler._transport import transport
from logplex_handler.handler import _pipeline
from logplex_handler.heroku import AppInfoAPI, PlatformAPI
from logplex_handler.testing import LogplexCapture, LogplexReceiver

PATIENCE = 60.0
# Periods of so many seconds or more do not end in a test; those of the clock do in the year 2096.
_LONG, _ENDLESS = 60.0, 4e9


def _defaults(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = function.__kwdefaults__
    return found


# Seconds for which a handler waits for an answer in production.
TIMEOUT = _defaults(LogplexHandler.__init__)["timeout"]

_init = Periodic.__init__


def _init_without_long_periods(periodic: Periodic, *arguments: Any) -> None:
    _init(periodic, *arguments)
    if periodic._interval >= _LONG:
        periodic._interval = _ENDLESS


def be_patient() -> None:
    """Have what must come waited for as long as a busy machine needs."""
    _defaults(LogplexHandler.__init__).update(timeout=PATIENCE, shutdown_timeout=PATIENCE)
    for looks_up in (AppInfoAPI, PlatformAPI):
        _defaults(looks_up.__init__)["timeout"] = PATIENCE
    _pipeline._HEALTH_PATIENCE = PATIENCE
    # Less than receivers wait on an idle connection.
    transport._MAX_IDLE = PATIENCE / 2
    _defaults(LogplexReceiver.__init__)["idle_timeout"] = PATIENCE
    LogplexReceiver.wait_for.__defaults__ = (PATIENCE,)
    _defaults(LogplexCapture.wait_for)["timeout"] = PATIENCE
    LogplexCapture.settle.__defaults__ = (PATIENCE,)
    Periodic.__init__ = _init_without_long_periods  # type: ignore[method-assign, assignment]
