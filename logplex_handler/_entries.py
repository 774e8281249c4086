"""What waits of a record, and the frames that it becomes: either side of the buffer."""

from __future__ import annotations

import logging
from collections import Counter

from logplex_handler import _packet, metrics
from logplex_handler._buffer import Entry
from logplex_handler._packet import PacketForm, one_line
from logplex_handler._shapes import Shapes
from logplex_handler._telling import in_words
from logplex_handler._weight import LIGHT, weight
from logplex_handler.formatter import KeyValueFormatter, line_form

# The last second that a time stamp with a year of four digits can name.
_LAST_SECOND = 253_402_300_799
# In place of the number of an entry's shape, where it has none.
_FORMATTED = 0


class Entries:
    """Makes entries of records, and frames of entries, in one sender's form.

    An entry is the number of a shape, the record's time, and the values that a line of this shape
    is made of; or without a shape, the record's level and the text of its line. These are tuples of
    immutable built-ins, which give a garbage collection no work, however many wait.
    """

    def __init__(self, packet: PacketForm, default_formatter: KeyValueFormatter) -> None:
        self._packet = packet
        self._default_formatter = default_formatter
        self._longest = packet.max_packet_bytes
        self._shapes = Shapes(packet.head)
        self._shape_of = self._shapes.by_number
        self._shapes.form_lines(line_form(default_formatter))
        # Whose lines the shapes have; None for the default one.
        self._formatter: logging.Formatter | None = None
        # The start of a second and its date, for the sender alone.
        self._second = _packet.second(0)

    def light_entry(
        self, record: logging.LogRecord, formatter: logging.Formatter | None
    ) -> Entry | None:
        """What has to wait of a record, if that is quickly said, and light."""
        return self._shapes.light_entry(record) if formatter is self._formatter else None

    def entry(
        self, record: logging.LogRecord, formatter: logging.Formatter | None
    ) -> tuple[Entry, bool]:
        """What has to wait of any record, and whether it is light.

        Raises:
            Exception: what the formatter raises, or says wrong, and what no packet can be made of.
        """
        if formatter is not self._formatter:
            self._shapes.form_lines(line_form(formatter or self._default_formatter))
            self._formatter = formatter
        return self._shapes.entry(record) or (self._formatted(record, formatter), False)

    def _formatted(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Entry:
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
        return (_FORMATTED, record.created, record.levelno, text)

    def weigh(self, entry: Entry) -> tuple[int, int]:
        """Bytes that an entry holds, and packets that it will make, or an estimate of them."""
        size = weight(entry)
        if entry[0] == _FORMATTED:
            return size, self._packet.count(entry[-1])
        return size, 1 if size <= LIGHT else size // self._packet.room + 1

    def render(self, entry: Entry) -> bytes | list[bytes]:
        """The frame of an entry, or its frames where it needs several.

        Raises:
            Exception: what no packet can be made of.
        """
        number = entry[0]
        if number == _FORMATTED:
            return self._packet.frames(*entry[1:])
        shape = self._shape_of[number]
        created = entry[1]
        start, date = self._second
        offset = created - start
        if not 0.0 <= offset < 0.999999:
            start, date = self._second = _packet.second(created)
            offset = created - start
        try:
            microsecond = "%06d" % (offset * 1e6 + 0.5)  # noqa: UP031 (it takes a float)
            packet = shape.packet(date, microsecond, entry)
        except Exception:
            # An argument does not fit, and the line says so.
            return self._packet.frames(created, shape.level, shape.line(entry))
        # In ASCII a character is a byte.
        length = len(packet)
        if packet.isascii() and length <= self._longest:
            return f"{length} {packet}".encode()
        return self._packet.frames(created, shape.level, shape.line(entry))

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
