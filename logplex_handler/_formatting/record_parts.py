"""What a record holds beside its message: its pairs and metrics, and its exception.

One part that cannot be written does not cost the others: something stands in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from logplex_handler._formatting import grammar
from logplex_handler.metrics.metric_pairs import is_metric

# Those that some records have: which formatters add, which choose where a record goes and whose
# source it has, and which Python has had since 3.12.
MAY_BE_MISSING = frozenset({"asctime", "logplex_source", "logplex_stream", "message", "taskName"})
# With those that a record always has. All others came through `extra=`.
NOT_EXTRAS = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | MAY_BE_MISSING


def extras(
    record: logging.LogRecord, omitted: frozenset[str] = NOT_EXTRAS
) -> list[tuple[str, object]]:
    """What came through `extra=`, in the order given, without attributes of these names."""
    return [item for item in record.__dict__.items() if item[0] not in omitted]


def pairs_and_metrics(items: Iterable[tuple[Any, object]]) -> tuple[list[str], list[str]]:
    """The items as pairs, those that are metrics apart."""
    pairs = []
    metrics = []
    for name, value in items:
        if is_metric(name, value):
            metrics.append(f"{name}={value}")
        else:
            pairs.append(grammar.pair(name, value))
    return pairs, metrics


def source(record: logging.LogRecord) -> str:
    """The pair of a source of the record's own; empty if it has none."""
    own = record.__dict__.get("logplex_source")
    # Whether an object that is no text is true may be an error.
    if own is None or (isinstance(own, str) and not own):
        return ""
    return grammar.pair("source", own)


def error_pairs(record: logging.LogRecord) -> list[str]:
    """The exception's kind and text; empty without one."""
    exception = _exception(record)
    if exception is None:
        return []
    kind, error, _ = exception
    try:
        name = kind.__name__
    except Exception:
        name = grammar.unprintable(kind)
    return [
        grammar.pair("error", name),
        grammar.pair("error_msg", "" if error is None else error),
    ]


def long_texts(record: logging.LogRecord, formatter: logging.Formatter) -> list[tuple[str, str]]:
    """The traceback and the stack, as far as there are any, by key."""
    texts = [
        ("traceback", _traceback(record, formatter)),
        ("stack", grammar.text_of(record.stack_info) if record.stack_info else ""),
    ]
    return [(name, text) for name, text in texts if text]


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    if record.exc_text:
        return grammar.text_of(record.exc_text)
    exception = _exception(record)
    if exception is None:
        return ""
    try:
        return grammar.exact(formatter.formatException(exception))
    except Exception:
        return grammar.unprintable(exception[1])


def _exception(record: logging.LogRecord) -> Any:
    """As `sys.exc_info` gives it, or None; a record made by hand may hold the exception alone."""
    given = record.exc_info
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple) and len(given) == 3 and given[0] is not None:
        return given
    return None
