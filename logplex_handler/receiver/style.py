"""Colours, and text without control characters: what is printed is harmless to the terminal."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from typing import TextIO

_CONTROL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# The colours that `heroku logs` gives to processes, the brightest last; none is red.
_COLOURS = ("36", "32", "35", "34", "33", "96", "93", "92", "95", "94")


class Style:
    """Colours text if the output supports it."""

    def __init__(self, stream: TextIO) -> None:
        """Use colours if `stream` is a terminal; `NO_COLOR` and `FORCE_COLOR` override this."""
        self.is_terminal = _is_terminal(stream)
        wanted = bool(os.environ.get("FORCE_COLOR")) or self.is_terminal
        self.is_on = wanted and not os.environ.get("NO_COLOR")
        self.measure()
        self.arrow = "→" if _can_show(stream, "→") else "->"

    def measure(self) -> None:
        """Set `size` to the columns and rows of the terminal, or to those that most have."""
        self.size = shutil.get_terminal_size((96, 24))

    @property
    def width(self) -> int:
        """The columns for explanations: those of the terminal, but few enough to read easily."""
        return min(96, self.size.columns)

    def paint(self, text: str, name: str) -> str:
        """Return the text in bold, dim, red, green, yellow or cyan."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self.is_on else text

    def of_process(self, text: str, process: str) -> str:
        """Return the text in the colour of a process, the same in every run."""
        return self.of_number(text, zlib.crc32(process.encode()))

    def of_number(self, text: str, number: int) -> str:
        """Return the text in the colour with this number."""
        if not self.is_on:
            return text
        return f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """Return the text with control characters as escapes, so that none reaches the terminal."""
    # All of them are not printable, and so a text that is has none.
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _can_show(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False
