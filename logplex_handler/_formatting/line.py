"""The parts of a key=value line that depend on the formatter, not on the record's extras."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import BuiltinFunctionType
from typing import NamedTuple

from logplex_handler._formatting import grammar, message_template, record_parts
from logplex_handler._formatting.nesting import NestedTooDeeply, nested


class Live(NamedTuple):
    """A pair whose value is computed for each record."""

    key: str
    # Returns the value, or None if the line is to have no such pair. It raises nothing but
    # NestedTooDeeply.
    ask: Callable[[], object]


def live(name: object, call: Callable[[], object]) -> Live:
    """A live pair with the values that a callable of the application returns."""

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
            return f"<failed: {type(error).__name__}>"

    return Live(grammar.key(name), ask)


@dataclass(frozen=True)
class LineForm:
    """What all lines of one formatter have in common.

    Attributes:
        head: The `source` and static pairs, each followed by a blank.
        omitted: The names of a record's attributes that make no pairs.
    """

    head: str
    message_key: str
    live: tuple[Live, ...] = ()
    omitted: frozenset[str] = record_parts.NOT_EXTRAS

    def start(self, level_name: object, logger_name: object) -> str:
        """The pairs at the start of each line, up to the logger."""
        level = grammar.quote(grammar.text_of(level_name).lower())
        name = grammar.quote(grammar.text_of(logger_name))
        return f"{self.head}level={level} logger={name}"

    def live_pairs(self, values: Iterable[object]) -> list[str]:
        """The live pairs with the given values, one for each; None makes no pair."""
        pairs = zip(self.live, values, strict=True)
        return [grammar.pair(pair.key, value) for pair, value in pairs if value is not None]

    def message(self, template: str, arguments: object) -> str:
        """The pairs of a template, filled with its arguments if there are any."""
        try:
            if arguments:
                pairs = message_template.filled_pairs(template, arguments)
            else:
                pairs = message_template.written_pairs(template)
            if pairs is not None:
                return pairs
            # As LogRecord.getMessage does it.
            return self.free_text(template % arguments if arguments else template)
        except Exception as failure:
            return self.failed_message(template, failure)

    def free_text(self, text: str) -> str:
        """The pair of a message that is not key=value by itself."""
        return f"{self.message_key}={grammar.quote(text)}"

    def failed_message(self, message: object, failure: Exception) -> str:
        """The pairs of a message that cannot be formatted: the template and `log_error`."""
        reason = f"{type(failure).__name__}: {grammar.text_of(failure)}"
        template = self.free_text(grammar.text_of(message))
        return f"{template} {grammar.pair('log_error', reason)}"
