"""What stands between a logger and its stream: the answer to "why does nothing arrive?"."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from dataclasses import dataclass, replace

from logplex_handler._process.diagnostics import name_of, shown
from logplex_handler.handler._emitting_handler import state_of
from logplex_handler.handler._handler import LogplexHandler, all_handlers
from logplex_handler.handler.arguments import level_above_zero, logger_of

__all__ = ["Obstacle", "diagnose"]

_REPLACED = (
    "A later `dictConfig` or `basicConfig(force=True)` may have replaced it; "
    "`basicConfig` without `force=True` does nothing if the root logger has a handler."
)
_CURE_OF_DROPS = {
    "buffer_full": "Raise `max_buffer_bytes`, log less, or set `spool`.",
    "refused": "The receiver, or a firewall before it, refuses certain packets; stderr says why.",
    "closed": "Records were logged after `close` or `logging.shutdown`.",
    "shutdown": "Raise `shutdown_timeout`, or call `flush()` earlier.",
    "format_error": "The formatter raises an exception; `logging` prints it to stderr.",
    "unknown_stream": "Name a stream that `streams` knows, or give the handler a URL of its own.",
    "stream_gone": "The look-up says that the stream has ended.",
    "spool_lost": "The spool's file was damaged.",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps the records of a logger from its stream.

    Attributes:
        message: The obstacle in words.
        cure: The remedy.
        certain: True if it keeps every such record away; False if it may keep some away.
    """

    message: str
    cure: str
    certain: bool = True

    def __str__(self) -> str:
        return f"{'' if self.certain else 'possibly: '}{self.message}. {self.cure}"


def diagnose(
    logger: logging.Logger | str | None = None, *, level: int | str = logging.INFO
) -> list[Obstacle]:
    """Return what stands between a logger and its stream, in the order of a record's way.

    The call logs nothing and changes nothing. Make it in the process whose lines are missing, after
    `logging` is configured: `print(*diagnose("shop.orders"), sep="\\n")`.

    Args:
        logger: The logger, or its name. Default: the root logger.
        level: The level of the missing records. Default: `logging.INFO`.

    Returns:
        The obstacles; an empty list if such a record reaches a handler that delivers.

    Raises:
        ConfigurationError: (a ValueError) It is no logger, or `logging` does not know the level or
            logs nothing at it.
    """
    logger, number = logger_of(logger), level_above_zero(level)
    found = list(_handlers_on_the_way(logger))
    obstacles = list(_of_the_logger(logger, number))
    if not found:
        obstacles += _of_the_way(logger)
    return obstacles + _of_any([_of_the_handler(*one, number) for one in found])


def _of_any(handlers: list[list[Obstacle]]) -> list[Obstacle]:
    """Return the obstacles of several handlers, of which one that delivers is enough."""
    found = [obstacle for of_one in handlers for obstacle in of_one]
    may_deliver = [of_one for of_one in handlers if not any(one.certain for one in of_one)]
    if not may_deliver:
        return found
    if not all(may_deliver):
        # One handler delivers, whatever keeps records from the others.
        return [obstacle for of_one in may_deliver for obstacle in of_one]
    return [replace(obstacle, certain=False) for obstacle in found]


def _named(logger: logging.Logger) -> str:
    return "the root logger" if logger is logging.getLogger() else f"the logger {logger.name!r}"


def _settable(level: int) -> int | str:
    """Return the level as `setLevel` takes it: its name, if it has one."""
    name = logging.getLevelName(level)
    return name if logging.getLevelName(name) == level else level


def _names(things: list[object]) -> str:
    return ", ".join(map(name_of, things))


def _way(logger: logging.Logger) -> Iterator[logging.Logger]:
    """Yield the loggers whose handlers get a record, up to the root or the first that stops it."""
    above: logging.Logger | None = logger
    while above is not None:
        yield above
        above = above.parent if above.propagate else None


def _handlers_on_the_way(
    logger: logging.Logger,
) -> Iterator[tuple[logging.Handler, logging.Logger]]:
    """Yield the handlers that lead to a stream, and those that pass records on to another."""
    for owner in _way(logger):
        for handler in owner.handlers:
            if _leads_on(handler):
                yield handler, owner


def _leads_on(handler: logging.Handler) -> bool:
    passes_on = logging.handlers.QueueHandler | logging.handlers.MemoryHandler
    return isinstance(handler, LogplexHandler | passes_on)


def _of_the_logger(logger: logging.Logger, level: int) -> Iterator[Obstacle]:
    if logger.manager.disable >= level:
        disabled = _settable(logger.manager.disable)
        yield Obstacle(
            f"logging.disable({disabled}) was called", "Call `logging.disable(logging.NOTSET)`."
        )
    if logger.disabled:
        yield Obstacle(
            f"{_named(logger)} is disabled",
            'Configure `logging` with `"disable_existing_loggers": False`.',
        )
    if logger.getEffectiveLevel() > level:
        decisive = next(one for one in _ancestors(logger) if one.level)
        yield Obstacle(
            f"{_named(decisive)} has the level {logging.getLevelName(decisive.level)}",
            f"Call `setLevel({_settable(level)!r})` on {_named(logger)}.",
        )
    if logger.filters:
        yield Obstacle(
            f"{_named(logger)} has filters ({_names(list(logger.filters))})",
            "See whether they let the record pass.",
            certain=False,
        )


def _ancestors(logger: logging.Logger) -> Iterator[logging.Logger]:
    above: logging.Logger | None = logger
    while above is not None:
        yield above
        above = above.parent


def _of_the_way(logger: logging.Logger) -> Iterator[Obstacle]:
    """Yield why no handler on the way leads to a stream."""
    last = list(_way(logger))[-1]
    owners = [owner for owner in _all_loggers() if any(map(_leads_on, owner.handlers))]
    stops = last is not logging.getLogger()
    if stops and last.parent is None:
        yield Obstacle(
            f"{_named(last)} has no parent, because it was not made by `logging.getLogger`",
            "Use `logging.getLogger`.",
        )
    elif stops and any(owner in set(_ancestors(last)) for owner in owners):
        yield Obstacle(
            f"{_named(last)} has `propagate = False`, so its records stop there",
            f"Set `propagate` to True, or attach the handler to {_named(last)}.",
        )
    elif owners:
        where = ", ".join(_named(owner) for owner in owners)
        above, or_root = " or above it", " or to the root logger"
        if logger is logging.getLogger():
            above = or_root = ""
        yield Obstacle(
            f"a handler is attached to {where}, but not to {_named(logger)}{above}",
            f"Attach it to {_named(logger)}{or_root}.",
        )
    elif all_handlers.all():
        yield Obstacle(
            "there is a LogplexHandler, but no logger has it", f"Attach it to a logger. {_REPLACED}"
        )
    else:
        yield Obstacle(
            "this process has no LogplexHandler", "Create one, and attach it to a logger."
        )


def _all_loggers() -> list[logging.Logger]:
    root = logging.getLogger()
    known = list(root.manager.loggerDict.values())
    return [root, *(one for one in known if isinstance(one, logging.Logger))]


def _of_the_handler(
    handler: logging.Handler,
    owner: logging.Logger,
    level: int,
    *,
    respects_level: bool = True,
    before: tuple[logging.Handler, ...] = (),
) -> list[Obstacle]:
    name = f"{type(handler).__name__} of {_named(owner)}"
    if handler in before:
        return [Obstacle(f"the {name} gets its own records again", "Pass them to another handler.")]
    obstacles = []
    if respects_level and handler.level > level:
        obstacles.append(
            Obstacle(
                f"the {name} has the level {logging.getLevelName(handler.level)}",
                f"Call its `setLevel({_settable(level)!r})`.",
            )
        )
    if handler.filters:
        obstacles.append(
            Obstacle(
                f"the {name} has filters ({_names(list(handler.filters))})",
                "See whether they let the record pass.",
                certain=False,
            )
        )
    if isinstance(handler, LogplexHandler):
        return [*obstacles, *_of_delivery(handler, name)]
    return [*obstacles, *_of_passing_on(handler, name, owner, level, (*before, handler))]


def _of_passing_on(
    handler: logging.Handler,
    name: str,
    owner: logging.Logger,
    level: int,
    before: tuple[logging.Handler, ...],
) -> Iterator[Obstacle]:
    """Yield what keeps a record from the handlers behind a queue or a memory handler."""
    if isinstance(handler, logging.handlers.MemoryHandler):
        if handler.target is None:
            yield Obstacle(f"the {name} has no target", "Call its `setTarget`.")
        elif not _leads_on(handler.target):
            yield Obstacle(
                f"the target of the {name} is no LogplexHandler", "Call its `setTarget`."
            )
        else:
            if handler.capacity > 1 and level < handler.flushLevel:
                flush_level = logging.getLevelName(handler.flushLevel)
                yield Obstacle(
                    f"the {name} keeps up to {handler.capacity} records below {flush_level}",
                    "Call its `flush`, or make it with a lower `flushLevel` or `capacity`.",
                    certain=False,
                )
            # A MemoryHandler calls `handle`, which does not check the level.
            yield from _of_the_handler(
                handler.target, owner, level, respects_level=False, before=before
            )
        return
    # `dictConfig` sets `listener` from Python 3.12 on; other programs keep their listener
    # themselves.
    listener = getattr(handler, "listener", None)
    if not isinstance(listener, logging.handlers.QueueListener):
        yield Obstacle(
            f"the {name} passes records to a queue",
            "Its QueueListener must have a LogplexHandler, and must have been started.",
            certain=False,
        )
        return
    if getattr(listener, "_thread", None) is None:
        yield Obstacle(f"the listener of the {name} is not running", "Call its `start()`.")
    behind = [one for one in listener.handlers if _leads_on(one)]
    if not behind:
        yield Obstacle(f"the listener of the {name} has no LogplexHandler", "Give it one.")
    # A listener ignores its handlers' levels unless it is set to respect them.
    respects = listener.respect_handler_level
    yield from _of_any(
        [
            _of_the_handler(one, owner, level, respects_level=respects, before=before)
            for one in behind
        ]
    )


def _of_delivery(handler: LogplexHandler, name: str) -> Iterator[Obstacle]:
    """Yield what the handler itself knows of the records that it was given."""
    state = state_of(handler)
    if state == "inactive":
        yield Obstacle(f"the {name} is inactive", "Set `url` or LOGPLEX_URL.")
        return
    if state == "closed":
        yield Obstacle(
            f"the {name} is closed", f"Create a new one, and attach it to the logger. {_REPLACED}"
        )
    elif state == "without url":
        yield Obstacle(
            f"the {name} has no URL for records that name no stream",
            'Set `url`, or name one by `use_stream` or `extra={"logplex_stream": ID}`.',
            certain=False,
        )
    for aside in handler.set_aside():
        is_own = aside.stream is None
        stream = "its URL" if is_own else f"the stream {shown(aside.stream)}"
        yield Obstacle(
            f"the {name} keeps the records of {stream}: {aside.reason}",
            "`logplex-handler check` tries the URL."
            if is_own
            else "See what `streams` returns for it.",
            certain=is_own,
        )
    stats = handler.stats()
    for cause, number in stats.dropped.items():
        yield Obstacle(
            f"the {name} has dropped {number} of {stats.accepted} records: {cause}",
            _CURE_OF_DROPS.get(cause, "See `Stats.dropped`."),
            certain=False,
        )
