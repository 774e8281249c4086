"""The parts of a key=value line that depend on the formatter, not on the record's extras."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import BuiltinFunctionType
from typing import NamedTuple

from logplex_handler._formatting import grammar, message_template, record_parts
from logplex_handler._formatting.nesting import NestedTooDeeply, nested
from logplex_handler._formatting.value_text import name_of, text_of
from logplex_handler.metrics.metric_pairs import MAX_LINE_BYTES, in_lines, metrics_text

# `part` is in the parts of a long line.
_KEYS_OF_EACH_LINE = frozenset({"level", "logger", "part"})
# The keys of a line other than those of its extras and its message.
OWN_KEYS = _KEYS_OF_EACH_LINE | {"source", "log_error"} | record_parts.ERROR_KEYS


class Live(NamedTuple):
    """A pair whose value is computed for each record."""

    key: str
    # Returns the value, or None if the line has no such pair. Raises nothing but NestedTooDeeply.
    ask: Callable[[], object]


def live(key: str, call: Callable[[], object]) -> Live:
    """Return a live pair with the values that an application's callable returns."""

    # A function in C, such as the `get` of a ContextVar, logs nothing.
    may_log = type(call) is not BuiltinFunctionType

    def ask() -> object:
        try:
            return nested(call) if may_log else call()
        except LookupError:
            # A ContextVar without a value, as outside a request.
            return None
        except NestedTooDeeply:
            raise
        except Exception as error:
            return f"<failed: {name_of(type(error))}>"

    return Live(key, ask)


def _level_and_logger(level_name: str, logger_name: str) -> str:
    return f"level={grammar.quote(level_name.lower())} logger={grammar.quote(logger_name)}"


# A program has few loggers, and uses them often.
_known_level_and_logger = lru_cache(maxsize=256)(_level_and_logger)
# The most characters of names that are worth keeping.
_LONGEST_NAMES = 1000


@dataclass(frozen=True, eq=False, repr=False)
class LineForm:
    """What all lines of one formatter have in common.

    Attributes:
        source: The `source` pair, or empty.
        head: The `source` and static pairs, each followed by a blank.
        has_source: Whether one of these pairs is `source`.
        omitted: The names of a record's attributes that make no pairs.
    """

    source: str
    head: str
    message_key: str
    has_source: bool
    live: tuple[Live, ...] = ()
    omitted: frozenset[str] = record_parts.NOT_EXTRAS

    @cached_property
    def own_keys(self) -> frozenset[str]:
        """The keys that no extra may have."""
        return OWN_KEYS | {self.message_key}

    @cached_property
    def beside_message(self) -> frozenset[str]:
        """The keys that each line has, so that no message may have them."""
        return _KEYS_OF_EACH_LINE | {"source"} if self.has_source else _KEYS_OF_EACH_LINE

    def start(self, level_name: object, logger_name: object) -> str:
        """Return the pairs at the start of each line, up to the logger."""
        level, logger = text_of(level_name), text_of(logger_name)
        is_short = len(level) + len(logger) <= _LONGEST_NAMES
        make = _known_level_and_logger if is_short else _level_and_logger
        return self.head + make(level, logger)

    def line(self, shared: Iterable[str], metrics: list[str], last: Iterable[str] = ()) -> str:
        """Return the line of the pairs; metrics that make it too long follow in separate lines."""
        if not metrics:
            return " ".join([*shared, *last])
        line = " ".join([*shared, *metrics, *last])
        if len(line.encode("utf-8", "replace")) <= MAX_LINE_BYTES:
            return line
        # A line of metrics alone is never cut.
        return "\n".join([" ".join([*shared, *last]), self.metric_lines(metrics)])

    def metric_lines(self, metrics: list[str]) -> str:
        """Return the metrics alone, in as many lines as they need."""
        groups = in_lines(metrics, self.source)
        return "\n".join([metrics_text(group, self.source) for group in groups])

    def live_pairs(self, values: Iterable[object]) -> list[str]:
        """Return the live pairs with the given values, one for each; None makes no pair."""
        pairs = zip(self.live, values, strict=True)
        return [grammar.pair(pair.key, value) for pair, value in pairs if value is not None]

    def message(
        self,
        template: str,
        arguments: object,
        more_keys: frozenset[str] = frozenset(),
        logged: object = None,
    ) -> str:
        """Return the pairs of a template, filled with its arguments if there are any.

        `more_keys` are the line's own keys in addition to the keys of each line. `logged` is shown
        in place of the template if the arguments do not fit it.
        """
        if not arguments and "=" not in template:
            return self.free_text(template)
        own = self.beside_message | more_keys if more_keys else self.beside_message
        try:
            if arguments:
                arguments = message_template.without_huge(template, arguments)
                pairs = message_template.filled_pairs(template, arguments, own)
            else:
                pairs = message_template.written_pairs(template, own)
            if pairs is not None:
                return pairs
            # LogRecord.getMessage does the same.
            return self.free_text(template % arguments if arguments else template)
        except Exception as failure:
            return self.failed_message(logged or template, failure)

    def free_text(self, text: str) -> str:
        """Return the pair of a message that is not key=value by itself."""
        return f"{self.message_key}={grammar.quote(text)}"

    def failed_message(self, message: object, failure: Exception) -> str:
        """Return the pairs of a message that cannot be formatted: the template and `log_error`."""
        reason = f"{name_of(type(failure))}: {text_of(failure)}"
        template = self.free_text(text_of(message))
        return f"{template} {grammar.pair('log_error', reason)}"
