"""The parts of a record other than its message: extras, metrics, source, exception, stack info.

A part that cannot be written is replaced by a text that says so; the other parts remain.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Any, TypeGuard

from logplex_handler._formatting import grammar, message_template, tracebacks
from logplex_handler._formatting.value_text import exact, name_of, text_of, unprintable
from logplex_handler._wire.entry import WIDEST
from logplex_handler.metrics.metric_pairs import MetricSource, is_metric

# The precision of a conversion, which may cut its argument.
_PRECISION = re.compile(r"%[^a-zA-Z%.]*\.([\d*]*)[hlL]?[sra]")
# The most bytes of memory that a character takes in a line: the longest escape has six characters.
_MOST_BYTES = 6 * WIDEST
# A character that is not ASCII once it is escaped.
_WIDE = re.compile("[^\x00-\x9f]")

# Attributes that only some records have: formatters add `asctime` and `message`, `logplex_stream`
# chooses the stream, and Python has `taskName` since 3.12.
MAY_BE_MISSING = frozenset({"asctime", "logplex_stream", "message", "taskName"})
# The number of attributes of a record without extras.
_ALWAYS = len(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
# The attributes that did not come through `extra=`.
NOT_EXTRAS = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | MAY_BE_MISSING

# The keys of an exception and of stack info.
ERROR_KEYS = frozenset({"error", "error_msg", "traceback", "stack"})


def extras(
    record: logging.LogRecord, omitted: frozenset[str] = NOT_EXTRAS
) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in record.__dict__.items()
        if name not in omitted and (type(value) is not MetricSource or name != "logplex_source")
    ]


def fits(record: logging.LogRecord, omitted: frozenset[str], max_bytes: float) -> bool:
    """Return whether the record's line may fit into memory, judged by its texts."""
    message, arguments = record.msg, record.args
    template = message if type(message) is str else ""
    values: list[object] = []
    if type(message) is dict:
        values += message.values()
    elif issubclass(type(message), BaseException) and not arguments:
        values.append(_plain_text(message))
    elif type(arguments) is tuple and template:
        values += _at_least(template, arguments)
    elif type(arguments) is dict and template:
        values += _named(template, arguments)
    if len(record.__dict__) > _ALWAYS:
        values += [value for _, value in extras(record, omitted)]
    if record.exc_info:
        exception = _exception(record)
        values.append(_plain_text(exception[1]) if exception else "")
    texts = [exact(value) for value in values if _is_plain(value)]
    inner = sum(map(_characters_within, values))
    characters = len(template) + sum(map(len, texts)) + inner
    if characters * _MOST_BYTES <= max_bytes or characters > max_bytes:
        return characters <= max_bytes
    # The quotes and backslashes of a message that is key=value are not escaped.
    texts.append(template.replace('"', "").replace("\\", ""))
    size = sum(map(grammar.escaped_length, texts)) + inner
    return size * (WIDEST if any(map(_WIDE.search, texts)) else 1) <= max_bytes


def _at_least(template: str, arguments: tuple[object, ...]) -> list[object]:
    """Return the arguments, cut to the lowest precision that the template has, if any."""
    precisions = _PRECISION.findall(template)
    if not precisions:
        return [*arguments]
    # A precision `*` is itself an argument.
    least = min([int(one) if one.isdecimal() and len(one) < 10 else 0 for one in precisions])
    return [one[:least] for one in arguments if type(one) is str]


def _named(template: str, arguments: dict[object, object]) -> list[object]:
    """Return the arguments that the template names, unless it may cut them."""
    found = message_template.by_position(template)
    if found is None or _PRECISION.search(found[0]):
        return []
    return [arguments[name] for name in {*found[1]} if name in arguments]


def _is_plain(value: object) -> TypeGuard[str]:
    """Return whether a value is a string, maybe of a subclass, whose text is its characters."""
    # Not `isinstance`, which may call the value's own `__class__`.
    kind = type(value)
    return kind is str or (
        issubclass(kind, str) and kind.__str__ is str.__str__ and kind.__repr__ is str.__repr__
    )


def _characters_within(value: object) -> int:
    """Return the number of characters that the texts directly in a container have at least."""
    if type(value) is bytes:
        return len(value)
    inner = [*value.values()] if type(value) is dict else value
    if type(inner) is not list and type(inner) is not tuple:
        return 0
    return sum([len(one) for one in [*inner] if type(one) is str])


# Any, because the value need not be an exception.
def _plain_text(error: Any) -> str:
    """Return the text of the exception, or empty if its class writes its own text."""
    kind = type(error)
    if not issubclass(kind, BaseException) or kind.__str__ is not BaseException.__str__:
        return ""
    # A class's own property might raise an error.
    arguments: tuple[Any, ...] = error.args if kind.args is BaseException.args else ()
    return arguments[0] if len(arguments) == 1 and type(arguments[0]) is str else ""


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
    exception = _exception(record)
    if exception is None:
        return []
    kind, error, _ = exception
    name = name_of(kind) if isinstance(kind, type) else unprintable(kind)
    text = "" if error is None else error
    return [grammar.pair("error", name), grammar.pair("error_msg", text)]


def long_texts(record: logging.LogRecord, formatter: logging.Formatter) -> list[tuple[str, str]]:
    """Return the traceback and the stack info as texts with their keys, without empty ones."""
    stack = _stack(record.stack_info, formatter) if record.stack_info else ""
    texts = [("traceback", _traceback(record, formatter)), ("stack", stack)]
    return [(name, text) for name, text in texts if text]


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    exception = _exception(record)
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


def _exception(record: logging.LogRecord) -> tracebacks.ExcInfo | None:
    """Return the exception as `sys.exc_info` returns it, or None."""
    given = record.exc_info
    # A record that was made by hand may hold the exception alone.
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple) and len(given) == 3 and given[0] is not None:
        return given
    return None
