"""A record becomes one line of key=value text."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from logplex_handler._formatting import grammar, record_parts
from logplex_handler._formatting.line import LineForm, live
from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics.metric_pairs import MAX_LINE_BYTES, in_lines, metrics_text

__all__ = ["KeyValueFormatter"]

_MAX_SOURCE_BYTES = 200
# Characters: pairs that are repeated for each line of a traceback make no more than this together.
# An exception's own text may have any number of lines.
_MAX_REPEATED = 1_000_000


class KeyValueFormatter(logging.Formatter):
    r"""Writes a record as `source=us-east level=info logger=shop msg="order shipped" order_id=42`.

    The pairs are, in this order: `source` and the `static` pairs if there are any, `level`,
    `logger`, those `static` pairs that are callables, the message, the extras in the order given,
    and for an exception `error`, `error_msg` and `traceback`, for stack info `stack`. A key that
    stands twice stands twice, ours first.

    The message is one quoted value, `msg="…"`; a message that is key=value by itself stays pairs,
    each argument quoted by itself; a mapping as message gives its pairs. No argument and no extra
    can add a pair, a metric or a line. What an f-string put into the message cannot be told apart
    from it, so pass values as arguments or extras. A `QueueHandler` or `SocketHandler` in front
    merges the arguments into the message; there every message is free text. Arguments that do not
    fit their template leave the template, with what is wrong beside it as `log_error`.

    A record with an empty message and no extras but metrics is a line of `source` and the metrics
    alone. Metrics are never cut: they follow on a line of their own if the record's line is longer
    than 1,000 bytes, and on more than one if they are. Other text that is too long for a packet is
    cut between characters; only the whole is key=value then.

    All line breaks of values are escaped. Where `format` returns more than one line, each of them
    is a line of its own for the reader, and `LogplexHandler` sends it as one packet.

    Args:
        fmt: Not used: the line has a form of its own, so anything but None is an error. It is here,
            with `datefmt` and `style`, because `dictConfig` and `fileConfig` pass it.
        datefmt: Not used; the time stands in the packet.
        style: Not used.
        source: The value of `source=` on every line: which machine or environment this is. At
            most 200 bytes without spaces, quotes or `=`. Default: no such pair; the formatter that
            `LogplexHandler` uses if none is set has the environment's `LOGPLEX_SOURCE`.
        static: Pairs for every line but those of metrics alone. A value that can be called, such
            as the `get` of a `contextvars.ContextVar`, is called without arguments for each record,
            in the thread that formats it (for `LogplexHandler`, the one that logs), perhaps more
            than once; there is no such pair where it returns None or raises a LookupError.
            Default: none.
        message_key: The key of a message that is free text. Default: `msg`.
        exceptions: `inline` (the default) writes a traceback and stack info as one value with `\n`
            escaped. `lines` writes one line for each of their lines, which repeats all other pairs
            but the metrics: easier to read in a terminal. Where the repeated pairs would come to
            more than 1,000,000 characters, it is `inline` all the same.
        omit: Names of extras that make no pairs, such as the `data` that Celery adds to its
            records. Default: none.

    Raises:
        ConfigurationError: (a ValueError) an argument that cannot be used, by name.
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
        is_list = isinstance(omit, Collection) and not isinstance(omit, str)
        if not is_list or not all(isinstance(name, str) for name in omit):
            raise ConfigurationError("omit: must be a list of names of extras")
        super().__init__()
        self._source = f"source={checked_source('source', source)}" if source else ""
        # By key: the `items` of what `dictConfig` passes know nothing of its `ext://` values.
        given = [(name, static[name]) for name in static] if static else []
        pairs = [grammar.pair(name, value) for name, value in given if not callable(value)]
        self._static = pairs
        self._live = tuple([live(name, value) for name, value in given if callable(value)])
        self._omitted = record_parts.NOT_EXTRAS.union(omit)
        self._message_key = message_key
        self._form = self._form_with(self._source)
        self._one_line_each = exceptions == "lines"

    def _form_with(self, source: str) -> LineForm:
        pairs = [source, *self._static] if source else self._static
        start = "".join([pair + " " for pair in pairs])
        return LineForm(start, self._message_key, self._live, self._omitted)

    def format(self, record: logging.LogRecord) -> str:
        """The record's line; more than one, joined by newlines, only as the class says."""
        source, form = self._source, self._form
        own_source = record_parts.source(record)
        if own_source:
            source = own_source
            form = self._form_with(source)
        extras, metrics = record_parts.pairs_and_metrics(record_parts.extras(record, form.omitted))
        message = self._pairs_of_mapping(record.msg, metrics) if not record.args else None
        if message is None:
            message = self._message(record, metrics, own_source)
        error = record_parts.error_pairs(record)
        texts = record_parts.long_texts(record, self)
        if metrics and not (message or extras or error or texts):
            return "\n".join(_metric_lines(source, metrics))

        shared = [
            form.start(record.levelname, record.name),
            *form.live_pairs(),
            *([message] if message else []),
            *extras,
            *error,
        ]
        lines = self._one_line_each and _one_line_each(" ".join(shared), texts)
        if not lines:
            quoted = [f"{name}={grammar.quote(text)}" for name, text in texts]
            line = " ".join([*shared, *metrics, *quoted])
            if not metrics or len(line.encode("utf-8", "replace")) <= MAX_LINE_BYTES:
                return line
            lines = [" ".join([*shared, *quoted])]
        # In one line only, or they would count more than once; and in one that is never cut.
        return "\n".join([*lines, *_metric_lines(source, metrics)] if metrics else lines)

    def _pairs_of_mapping(self, message: object, metrics: list[str]) -> str | None:
        """A mapping's pairs, its metrics put to the others; None if the message is no mapping."""
        if not isinstance(message, Mapping):
            return None
        try:
            pairs, more = record_parts.pairs_and_metrics(message.items())
        except Exception:
            return self._form.free_text(grammar.unprintable(message))
        metrics += more
        return " ".join(pairs)

    def _message(self, record: logging.LogRecord, metrics: list[str], own_source: str) -> str:
        """The message's pairs; empty beside metrics for one that is empty, or says just these."""
        message = record.msg
        if metrics and type(message) is str and message == metrics_text(metrics, own_source):
            return ""
        # A record class with formatting of its own decides what its message is; the text is free
        # then, as it is for an object: its arguments are in it already. A QueueHandler or
        # SocketHandler in front merges them too, and leaves None in their place.
        if (
            type(message) is str
            and record.args is not None
            and type(record).getMessage is logging.LogRecord.getMessage
        ):
            pairs = self._form.message(message, record.args)
        else:
            try:
                pairs = self._form.free_text(grammar.exact(str(record.getMessage())))
            except Exception as failure:
                pairs = self._form.failed_message(message, failure)
        return "" if metrics and pairs == self._form.free_text("") else pairs


def line_form(formatter: logging.Formatter) -> LineForm | None:
    """The form of a KeyValueFormatter's lines; None for one that may write others."""
    if type(formatter) is not KeyValueFormatter or "format" in vars(formatter):
        return None
    return formatter._form


def _one_line_each(shared: str, texts: list[tuple[str, str]]) -> list[str]:
    """A line for each line of the texts; none if these would be too much to repeat the rest for."""
    each = [f"{name}={grammar.quote(line)}" for name, text in texts for line in text.split("\n")]
    if len(shared) * len(each) > _MAX_REPEATED:
        return []
    return [f"{shared} {line}" for line in each]


def checked_source(option: str, source: object) -> str:
    """The source if consumers would read it back, else an error that names the option."""
    if (
        not isinstance(source, str)
        or grammar.quote(source) != source
        or len(source.encode("utf-8", "replace")) > _MAX_SOURCE_BYTES
    ):
        raise ConfigurationError(
            f"{option}: must be 1 to {_MAX_SOURCE_BYTES} bytes of text without spaces, quotes, "
            "'=', backslashes or control characters"
        )
    return source


def _metric_lines(source: str, metrics: list[str]) -> Iterator[str]:
    return (metrics_text(group, source) for group in in_lines(metrics, source))
