"""Colours for terminals, and text that is safe to print there."""

from __future__ import annotations

import os
import re
import zlib
from typing import TextIO

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# The colours that `heroku logs` gives to processes: readable on dark and on light; none is red.
_PROCESS_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Style:
    """Colours text if the output supports it."""

    def __init__(self, stream: TextIO) -> None:
        """Use colours if `stream` is a terminal; `NO_COLOR` and `FORCE_COLOR` override this."""
        self.is_terminal = _is_terminal(stream)
        wanted = bool(os.environ.get("FORCE_COLOR")) or self.is_terminal
        self.is_on = wanted and not os.environ.get("NO_COLOR")

    def paint(self, text: str, name: str) -> str:
        """The text in bold, dim, red, green, yellow or cyan."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self.is_on else text

    def of_process(self, text: str, process: str) -> str:
        """The text in the colour of a process, the same in every run."""
        if not self.is_on:
            return text
        code = _PROCESS_COLOURS[zlib.crc32(process.encode()) % len(_PROCESS_COLOURS)]
        return f"\x1b[{code}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """The text with control characters written as escapes, so that none reaches the terminal."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False
