"""The parts of a key=value line that do not depend on what else a record holds."""

from __future__ import annotations

from dataclasses import dataclass

from logplex_handler import _keyvalue, _template


@dataclass(frozen=True)
class LineForm:
    """What all lines of one formatter share.

    Attributes:
        head: The pairs that each line but those of metrics begins with, each with a blank after it.
        message_key: The key of a message that is free text.
    """

    head: str
    message_key: str

    def start(self, level_name: object, logger_name: object) -> str:
        """The pairs before the message."""
        level = _keyvalue.quote(_keyvalue.text_of(level_name).lower())
        name = _keyvalue.quote(_keyvalue.text_of(logger_name))
        return f"{self.head}level={level} logger={name}"

    def message(self, template: str, arguments: object) -> str:
        """A template's pairs with its arguments, if there are any.

        Arguments that do not fit leave the template, with what is wrong beside it.
        """
        try:
            if arguments:
                pairs = _template.filled_pairs(template, arguments)
            else:
                pairs = _template.written_pairs(template)
            if pairs is not None:
                return pairs
            # As LogRecord.getMessage does it.
            return self.free_text(template % arguments if arguments else template)
        except Exception as failure:
            return self.failed_message(template, failure)

    def filled_text(self, template: str, arguments: tuple[object, ...]) -> str:
        """The same for a template that is known to be free text."""
        try:
            return self.free_text(template % arguments)
        except Exception as failure:
            return self.failed_message(template, failure)

    def free_text(self, text: str) -> str:
        """A message's pair if it is not key=value by itself."""
        return f"{self.message_key}={_keyvalue.quote(text)}"

    def failed_message(self, message: object, failure: Exception) -> str:
        """What stands for a message that cannot be formatted."""
        said = f"{type(failure).__name__}: {_keyvalue.text_of(failure)}"
        shown = self.free_text(_keyvalue.text_of(message))
        return f"{shown} {_keyvalue.pair('log_error', said)}"
