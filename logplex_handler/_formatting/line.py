"""The parts of a key=value line that do not depend on what else a record holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._formatting import grammar, message_template, record_parts


class Live(NamedTuple):
    """A pair whose value is asked for at each record: its key, made safe, and who is asked.

    `ask` raises nothing; where it returns None, there is no such pair.
    """

    key: str
    ask: Callable[[], object]


def live(name: object, call: Callable[[], object]) -> Live:
    """A pair of what a callable of the application's returns."""

    def ask() -> object:
        try:
            return call()
        except LookupError:
            # A ContextVar without a value, as it is outside of a request.
            return None
        except Exception as error:
            return f"<failed: {type(error).__name__}>"

    return Live(grammar.key(name), ask)


@dataclass(frozen=True)
class LineForm:
    """What all lines of one formatter share.

    Attributes:
        head: The pairs that each line but those of metrics begins with, each with a blank after it.
        message_key: The key of a message that is free text.
        live: The pairs that stand before the message.
        omitted: The attributes of a record that make no pairs.
    """

    head: str
    message_key: str
    live: tuple[Live, ...] = ()
    omitted: frozenset[str] = record_parts.NOT_EXTRAS

    def start(self, level_name: object, logger_name: object) -> str:
        """The pairs that each line begins with."""
        level = grammar.quote(grammar.text_of(level_name).lower())
        name = grammar.quote(grammar.text_of(logger_name))
        return f"{self.head}level={level} logger={name}"

    def live_pairs(self) -> list[str]:
        """The pairs that are asked for now."""
        return self.written_live_pairs([pair.ask() for pair in self.live])

    def written_live_pairs(self, values: Iterable[object]) -> list[str]:
        """The live pairs with these values, one for each; None makes no pair."""
        pairs = zip(self.live, values, strict=True)
        return [grammar.pair(pair.key, value) for pair, value in pairs if value is not None]

    def message(self, template: str, arguments: object) -> str:
        """A template's pairs with its arguments, if there are any.

        Arguments that do not fit leave the template, with what is wrong beside it.
        """
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
        """A message's pair if it is not key=value by itself."""
        return f"{self.message_key}={grammar.quote(text)}"

    def failed_message(self, message: object, failure: Exception) -> str:
        """What stands for a message that cannot be formatted."""
        said = f"{type(failure).__name__}: {grammar.text_of(failure)}"
        shown = self.free_text(grammar.text_of(message))
        return f"{shown} {grammar.pair('log_error', said)}"
