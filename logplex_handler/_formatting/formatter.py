"""A record becomes one line of key=value text."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol

from logplex_handler._formatting import grammar, record_parts
from logplex_handler._formatting.line import OWN_KEYS, LineForm, live
from logplex_handler._formatting.message_template import MOST_PAIRS, without_huge
from logplex_handler._formatting.value_text import characters_of, exact, text_of, unprintable
from logplex_handler._process.checks import is_of_logging, listed
from logplex_handler._process.forks import LiveObjects
from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics.metric_pairs import (
    checked_source,
    is_metric,
    metrics_text,
)

__all__ = ["KeyValueFormatter"]

# The most characters that repeating the pairs on every line of a traceback may add. An exception's
# text may have any number of lines.
_MAX_REPEATED = 1_000_000


class Watcher(Protocol):
    def look_again(self) -> None:
        """Stop calling functions that were compiled for a formatter with another `format`."""


# What has functions for the lines of formatters.
watchers: LiveObjects[Watcher] = LiveObjects()


class KeyValueFormatter(logging.Formatter):
    r"""Formats a record as `source=us-east level=info logger=shop msg="order shipped" order_id=42`.

    The pairs are, in this order: `source` and the `static` pairs, if any; `level`; `logger`; the
    `static` pairs whose values are callables; the message; the extras in the order given; `error`,
    `error_msg` and `traceback` for an exception; `stack` for stack info. An extra or a static pair
    with one of these keys, or with `part` or `log_error`, gets a trailing `_`, as in `level_=gold`;
    a key of the message gets one only if the line already has that key. If an extra and the message
    share a key, the line contains both, the extra last.

    A datetime is written in ISO 8601; dicts, lists, tuples, sets and dataclasses as JSON; None as
    `null`, bools in lower case, and all other values as their `str()`.

    A message that is free text becomes one quoted value, `msg="…"`. A message that is already
    key=value text, with names as keys, keeps its pairs, and each argument is quoted separately. A
    mapping as message becomes its pairs. No argument and no extra can add a pair, a metric or a
    line. Text that an f-string puts into the message cannot be told apart from the message, so pass
    values as arguments or extras. A `QueueHandler` or `SocketHandler` merges the arguments into the
    message before this formatter sees it, so every such message is free text. If the arguments do
    not fit the template, the template is the message, and `log_error` has the reason.

    A record with an empty message and no extras except metrics becomes a line of `source` and the
    metrics alone. Metrics are never cut: if the record's line is longer than 1,000 bytes, they
    follow on a line of their own, or on several. `LogplexHandler` splits any other line that is
    too long for a packet into several lines, each of them valid key=value text. Each repeats
    `source`, `static`, `level` and `logger`, says `part=2/3`, and continues the value that was cut.
    To restore a value, join its pieces from all parts.

    Line breaks in values are escaped. If `format` returns several lines, each is a complete line,
    and `LogplexHandler` sends each as a packet.

    Args:
        fmt: Not used; any value except None is an error. The parameter exists because `dictConfig`
            and `fileConfig` pass it, with `datefmt` and `style`.
        datefmt: Not used; the packet has the time.
        style: Not used.
        source: The value of `source=` on every line, which names the machine or the environment. At
            most 200 bytes, without spaces, quotes, `=`, backslashes or control characters. Default:
            no such pair. A `LogplexHandler` that was given no formatter uses the value of
            `LOGPLEX_SOURCE`.
        static: Pairs for every line except those of metrics alone. A value that is a callable, such
            as the `get` of a `contextvars.ContextVar`, is called without arguments for each record,
            possibly more than once, in the thread that formats the record (for `LogplexHandler`,
            the thread that logs). If it returns None or raises a LookupError, the line does not
            have the pair. Default: none.
        message_key: The key of a message that is free text. Default: `msg`.
        exceptions: `inline` writes a traceback or stack info as one value, with `\n` escaped.
            `lines` writes one line for each of its lines, which is easier to read in a terminal;
            each line repeats all other pairs except the metrics. If the repeated pairs would have
            more than 1,000,000 characters in all, they are written `inline`. Default: `inline`.
        omit: Names of extras to leave out, such as the `data` that Celery adds to its records.
            Default: none.

    Raises:
        ConfigurationError: (a ValueError) An argument is invalid; the text names it.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        *,
        source: str | None = None,
        static: Mapping[str, object] | None = None,
        message_key: str = "msg",
        exceptions: Literal["inline", "lines"] = "inline",
        omit: Collection[str] = (),
    ) -> None:
        if fmt is not None:
            raise ConfigurationError(
                "fmt: KeyValueFormatter has a form of its own; leave fmt out, or use a "
                "logging.Formatter"
            )
        if exceptions not in ("inline", "lines"):
            raise ConfigurationError("exceptions: must be 'inline' or 'lines'")
        if static is not None and not isinstance(static, Mapping):
            raise ConfigurationError("static: must be a mapping of keys to values")
        if not isinstance(message_key, str) or grammar.key(message_key) != message_key:
            raise ConfigurationError(
                "message_key: must be a key without spaces, quotes, '=' or control characters"
            )
        if message_key in OWN_KEYS:
            raise ConfigurationError(f"message_key: {message_key} is a key of other pairs")
        if isinstance(omit, list | tuple):
            omit = listed(omit)
        is_list = isinstance(omit, Collection) and not isinstance(omit, str)
        if not is_list or not all(isinstance(name, str) for name in omit):
            raise ConfigurationError("omit: must be a list of names of extras")
        super().__init__()
        self._source = f"source={checked_source('source', source)}" if source else ""
        given = [(name, static[name]) for name in static] if static else []
        own = OWN_KEYS | {message_key} if source else OWN_KEYS - {"source"} | {message_key}
        keyed = [(grammar.key_beside(own, name), value) for name, value in given]
        self._has_source = bool(source) or "source" in dict(keyed)
        self._static = [grammar.pair(key, value) for key, value in keyed if not callable(value)]
        self._live = tuple([live(key, value) for key, value in keyed if callable(value)])
        self._omitted = record_parts.NOT_EXTRAS.union(omit)
        self._message_key = message_key
        self._form = self._form_with(self._source)
        self._one_line_each = exceptions == "lines"

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("format", "__class__"):
            for watcher in watchers.all():
                watcher.look_again()

    def _form_with(self, source: str) -> LineForm:
        pairs = [source, *self._static] if source else self._static
        start = "".join([pair + " " for pair in pairs])
        has_source = bool(source) or self._has_source
        return LineForm(source, start, self._message_key, has_source, self._live, self._omitted)

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as one line, or as several joined by newlines (see the class)."""
        form = self._form
        own_source = record_parts.source(record)
        if own_source:
            form = self._form_with(own_source)
        extras, metrics = record_parts.pairs_and_metrics(
            record_parts.extras(record, form.omitted), form.own_keys
        )
        has_error = record_parts.has_error(record)
        error_keys = record_parts.ERROR_KEYS if has_error else frozenset()
        if _is_of_pairs(record):
            message = _pairs_of_mapping(record.msg, metrics, form, error_keys)  # type: ignore[arg-type]
        else:
            message = _message(record, metrics, own_source, form, error_keys)
        error = record_parts.error_pairs(record) if has_error else []
        texts = record_parts.long_texts(record, self) if has_error else []
        if metrics and not (message or extras or error or texts):
            return form.metric_lines(metrics)

        shared = [
            form.start(record.levelname, record.name),
            *form.live_pairs([pair.ask() for pair in form.live]),
            *([message] if message else []),
            *extras,
            *error,
        ]
        lines = self._one_line_each and _one_line_each(" ".join(shared), texts)
        if not lines:
            quoted = [f"{name}={grammar.quote(text)}" for name, text in texts]
            return form.line(shared, metrics, quoted)
        # Metrics are on one line only: repeated on each line, they would be counted repeatedly.
        return "\n".join([*lines, form.metric_lines(metrics)] if metrics else lines)


def _is_of_pairs(record: logging.LogRecord) -> bool:
    """Return whether the message is a mapping, of which the pairs are written."""
    if type(record.msg) is str or record.args:
        return False
    try:
        return isinstance(record.msg, Mapping) and _own_text(record) is None
    except Exception:
        # A proxy may fail to say what it is.
        return False


def _own_text(record: logging.LogRecord) -> str | None:
    """Return the text of a replaced `getMessage`, or None if `logging` itself would return it.

    The method is that of the record's class, or an attribute of the record.
    """
    of_record = record.__dict__.get("getMessage")
    # It may be an extra, too.
    if type(record).getMessage is _get_message and not callable(of_record):
        return None
    record = _without_huge(record)
    text = exact(str(record.getMessage() if callable(of_record) else _message_of_class(record)))
    return None if text == _standard_message(record.msg, record.args) else text


def _message_of_class(record: logging.LogRecord) -> str:
    return characters_of(type(record).getMessage(record))


def _without_huge(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record, or a copy without numbers of which a `%d` would compute the digits."""
    safe: Any = without_huge(record.msg, record.args)
    if safe is record.args:
        return record
    twin = copy.copy(record)
    twin.args = safe
    return twin


def _pairs_of_mapping(
    message: Mapping[str, object], metrics: list[str], form: LineForm, more_keys: frozenset[str]
) -> str:
    """Return the pairs of a message that is a mapping, and add its metrics to `metrics`."""
    try:
        if len(message) > MOST_PAIRS and not any(is_metric(*item) for item in message.items()):
            return form.free_text(text_of(message))
        pairs, more = record_parts.pairs_and_metrics(
            message.items(), form.beside_message | more_keys
        )
    except Exception:
        return form.free_text(unprintable(message))
    metrics += more
    return " ".join(pairs)


def _message(
    record: logging.LogRecord,
    metrics: list[str],
    own_source: str,
    form: LineForm,
    more_keys: frozenset[str],
) -> str:
    """Return the pairs of the message.

    If there are metrics, a message that is empty or repeats them (as that of `Metrics` does) has no
    pair.
    """
    message = record.msg
    if metrics and type(message) is str and message == metrics_text(metrics, own_source):
        return ""
    # A QueueHandler or SocketHandler has merged the arguments, and leaves None in their place. An
    # object's text is free text, too.
    has_pairs = type(message) is str and record.args is not None
    try:
        # A replaced `getMessage` decides what the message is. Its text has the arguments in it.
        text = _own_text(record)
        if text is None and has_pairs:
            pairs = form.message(message, record.args, more_keys)
        else:
            text = _message_of_class(_without_huge(record)) if text is None else text
            pairs = form.free_text(text)
    except Exception as failure:
        pairs = form.failed_message(message, failure)
    return "" if metrics and pairs == form.free_text("") else pairs


def _standard_message(message: object, arguments: object) -> str | None:
    """Return what `logging` makes of a message, or None if the arguments do not fit it."""
    try:
        return str(message) % arguments if arguments else str(message)
    except Exception:
        return None


def line_form(formatter: logging.Formatter) -> LineForm | None:
    """Return the form of a KeyValueFormatter's lines, or None if a formatter may write others.

    Some programs and tools replace methods of a formatter, or of the classes.
    """
    if (
        type(formatter) is not KeyValueFormatter
        or "format" in vars(formatter)
        or KeyValueFormatter.format is not _format
        or logging.LogRecord.getMessage is not _get_message
    ):
        return None
    return formatter._form


_format = KeyValueFormatter.format
# That of `logging`; None if it was replaced before.
_get_message = logging.LogRecord.getMessage if is_of_logging(logging.LogRecord.getMessage) else None


def own_line(formatter: KeyValueFormatter, record: logging.LogRecord) -> str:
    """Return the line of a record of the handler itself, which no caller logs.

    A callable pair may itself log, and its value belongs to a caller's request. A replaced `format`
    may expect attributes that only the application's records have; if it raised an error, nothing
    of the stream would be sent.
    """
    twin = copy.copy(formatter)
    twin._live = ()
    twin._form = twin._form_with(twin._source)
    return _format(twin, record)


def _one_line_each(shared: str, texts: list[tuple[str, str]]) -> list[str]:
    """Return a line for each line of the texts, or none if that repeats too many characters."""
    each = [f"{name}={grammar.quote(line)}" for name, text in texts for line in text.split("\n")]
    if len(shared) * len(each) > _MAX_REPEATED:
        return []
    return [f"{shared} {line}" for line in each]
