"""What waits of a record, and the frames that it becomes: either side of the buffer."""

from __future__ import annotations

import logging
import sys
from collections import Counter

from logplex_handler import metrics
from logplex_handler._buffer import Entry
from logplex_handler._packet import PacketForm, one_line
from logplex_handler._telling import in_words
from logplex_handler.formatter import KeyValueFormatter

# Bytes that an entry holds beside its text: a tuple of five, two numbers, a place in the queue.
_ENTRY_BYTES = 160
# The last second that a time stamp with a year of four digits can name.
_LAST_SECOND = 253_402_300_799


class Entries:
    """Makes entries of records, and frames of entries, in one sender's form."""

    def __init__(self, packet: PacketForm, default_formatter: KeyValueFormatter) -> None:
        self._packet = packet
        self._default_formatter = default_formatter

    def entry(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Entry:
        """The record's size, its packets, and what they will be made of.

        Raises:
            Exception: what the formatter raises, or says wrong, and what no packet can be made of.
        """
        if formatter is None:
            text = self._default_formatter.format(record)
        else:
            text = formatter.format(record)
            if not isinstance(text, str):
                raise TypeError(f"the formatter returned {type(text).__name__}, not a string")
            if type(text) is not str:
                # A class of its own could say another thing each time.
                text = str.__str__(text)
            if not isinstance(formatter, KeyValueFormatter):
                # A line break in it is no end of a line, as it is in the text of ours.
                text = one_line(text)
        if not 0 <= record.created <= _LAST_SECOND:
            raise ValueError("the record's time is none that a packet can hold")
        if not isinstance(record.levelno, int):
            raise TypeError("the record's level is no number")
        size = sys.getsizeof(text) + _ENTRY_BYTES
        return (size, self._packet.count(text), record.created, record.levelno, text)

    def render(self, entry: Entry) -> list[bytes]:
        """The frames of an entry."""
        _, _, created, level, text = entry
        return self._packet.frames(created, level, text)

    def notice(self, dropped: Counter[str], formatter: logging.Formatter | None) -> list[bytes]:
        """The frames that tell a stream of the records dropped, by cause.

        In the application's own form if that is key=value, so with its source.
        """
        record = logging.LogRecord(
            "logplex_handler", logging.WARNING, __file__, 0, "%s", (in_words(dropped),), None
        )
        record.__dict__.update(metrics.count("logplex_handler.dropped", dropped.total()))
        if type(formatter) is not KeyValueFormatter:
            formatter = self._default_formatter
        return self._packet.frames(record.created, record.levelno, formatter.format(record))
