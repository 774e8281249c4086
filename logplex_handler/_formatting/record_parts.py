"""The parts of a record other than its message: extras, metrics, source, exception, stack info.

A part that cannot be written is replaced by a text that says so; the other parts remain.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

from logplex_handler._formatting import grammar, tracebacks
from logplex_handler._formatting.value_text import exact, name_of, text_of, unprintable
from logplex_handler.metrics.metric_pairs import MetricSource, is_metric

# Attributes that only some records have: formatters add `asctime` and `message`, `logplex_stream`
# chooses the stream, and Python has `taskName` since 3.12.
MAY_BE_MISSING = frozenset({"asctime", "logplex_stream", "message", "taskName"})
# The attributes that did not come through `extra=`.
NOT_EXTRAS = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | MAY_BE_MISSING

# Attributes that may be extras, too: it depends on their values.
_MAY_BE_EXTRAS = frozenset({"getMessage", "logplex_source"})

# The keys of an exception and of stack info.
ERROR_KEYS = frozenset({"error", "error_msg", "traceback", "stack"})


def extras(
    record: logging.LogRecord, omitted: frozenset[str] = NOT_EXTRAS
) -> list[tuple[str, object]]:
    attributes = record.__dict__
    # Most records of the general path have none.
    if attributes.keys() <= omitted:
        return []
    return [
        (name, value)
        for name, value in attributes.items()
        if name not in omitted and (name not in _MAY_BE_EXTRAS or _is_extra(name, value))
    ]


def _is_extra(name: str, value: object) -> bool:
    """Return whether it is an extra, and neither a source of metrics nor a filter's method."""
    return type(value) is not MetricSource if name == "logplex_source" else not callable(value)


def pairs_and_metrics(
    items: Iterable[tuple[str, object]], own: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return the items as pairs: those that are no metrics, and the metrics.

    `own` are the line's own keys.
    """
    pairs, metrics = [], []
    for name, value in items:
        if is_metric(name, value):
            metrics.append(f"{name}={value}")
        else:
            key = grammar.key_beside(own, name)
            pairs.append(f"{key}={grammar.quote(text_of(value))}")
    return pairs, metrics


def source(record: logging.LogRecord) -> str:
    """Return the pair of the source that `Metrics` has given the record, or empty without one."""
    own = record.__dict__.get("logplex_source")
    return f"source={own}" if type(own) is MetricSource else ""


def has_error(record: logging.LogRecord) -> bool:
    """Return whether the line may have a pair of `ERROR_KEYS`."""
    return bool(record.exc_info or record.exc_text or record.stack_info)


def error_pairs(record: logging.LogRecord) -> list[str]:
    """Return the pairs of the exception's type and text; empty without an exception."""
    exception = exception_of(record)
    if exception is None:
        return []
    kind, error, _ = exception
    name = name_of(kind) if isinstance(kind, type) else unprintable(kind)
    text = "" if error is None else error
    return [f"error={grammar.quote(name)}", f"error_msg={grammar.quote(text_of(text))}"]


def long_texts(record: logging.LogRecord, formatter: logging.Formatter) -> list[tuple[str, str]]:
    """Return the traceback and the stack info as texts with their keys, without empty ones."""
    stack = _stack(record.stack_info, formatter) if record.stack_info else ""
    texts = [("traceback", _traceback(record, formatter)), ("stack", stack)]
    return [(name, text) for name, text in texts if text]


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    exception = exception_of(record)
    if exception is None:
        # The exception was lost on the way from another process.
        return text_of(record.exc_text) if record.exc_text else ""
    # `exc_text` is not used: the formatter of another handler may have left its own text there.
    try:
        return exact(tracebacks.written(formatter, exception))
    except Exception:
        return unprintable(exception[1])


def _stack(stack_info: str, formatter: logging.Formatter) -> str:
    try:
        return text_of(formatter.formatStack(stack_info))
    except Exception:
        return unprintable(stack_info)


def exception_of(record: logging.LogRecord) -> tracebacks.ExcInfo | None:
    """Return the exception as `sys.exc_info` returns it, or None."""
    # Any, because a record that was made by hand may hold the exception alone. Types are compared,
    # because `isinstance` may ask a value for its `__class__`.
    given: Any = record.exc_info
    if issubclass(type(given), BaseException):
        return type(given), given, given.__traceback__
    if issubclass(type(given), tuple) and len(given) == 3 and given[0] is not None:
        exception: tracebacks.ExcInfo = given
        return exception
    return None
