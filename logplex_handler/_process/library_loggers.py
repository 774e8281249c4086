"""The loggers of the HTTP libraries, while they make a request for this package."""

from __future__ import annotations

import logging
from functools import partial

from logplex_handler._process.reentrancy import Activity, current_activity

# The top of their names.
LIBRARIES = frozenset({"requests", "urllib3"})


def free_library_loggers() -> None:
    """Have the HTTP libraries' loggers take no lock while a request of ours is made.

    `dictConfig` holds the lock of the logging module while it waits for handlers to flush. A logger
    asks for that lock to look up whether it is enabled, whenever any level was set since.
    """
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logger = logging.getLogger(f"urllib3.{name}")
        if "isEnabledFor" not in vars(logger):
            logger.isEnabledFor = partial(_is_enabled, logger)  # type: ignore[method-assign]


def _is_enabled(logger: logging.Logger, level: int) -> bool:
    if current_activity.get() is not Activity.REQUEST:
        return logging.Logger.isEnabledFor(logger, level)
    # What the lock guards is a memory of this.
    if logger.disabled or logger.manager.disable >= level:
        return False
    return level >= logger.getEffectiveLevel()
