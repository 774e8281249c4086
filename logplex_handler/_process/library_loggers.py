"""The loggers of the HTTP libraries, during a request of this package."""

from __future__ import annotations

import logging
from functools import partial

from logplex_handler._process.reentrancy import Activity, current_activity

# The first part of the loggers' names.
LIBRARIES = frozenset({"requests", "urllib3"})


def free_library_loggers() -> None:
    """Keep the loggers of the HTTP libraries from taking a lock during a request of ours.

    `dictConfig` holds the lock of the logging module while it waits for handlers to flush. A logger
    takes that lock to find out whether it is enabled, if any level was set since the last time.
    """
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logger = logging.getLogger(f"urllib3.{name}")
        if "isEnabledFor" not in vars(logger):
            logger.isEnabledFor = partial(_is_enabled, logger)  # type: ignore[method-assign]


def _is_enabled(logger: logging.Logger, level: int) -> bool:
    if current_activity.get() is not Activity.REQUEST:
        return logging.Logger.isEnabledFor(logger, level)
    # Without the cache of the logger, which is what the lock guards.
    if logger.disabled or logger.manager.disable >= level:
        return False
    return level >= logger.getEffectiveLevel()
