"""Writes text to an output, at once or in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO

# The characters that may wait for an output that nobody reads.
_MAX_WAITING = 16 * 1024 * 1024
# The characters that are written at a time: a reader may be slow.
_PIECE = 8 * 1024


class Printer:
    """Writes to an output at once.

    Attributes:
        reader_is_gone: Set when the output is closed, for example because `head` has read enough.
    """

    def __init__(self, output: Callable[[], TextIO]) -> None:
        self._output = output
        self.reader_is_gone = threading.Event()

    def write(self, text: str) -> None:
        if self.reader_is_gone.is_set():
            return
        try:
            output = self._output()
            output.write(text)
            output.flush()
        except (OSError, ValueError):
            self.reader_is_gone.set()


class PatientPrinter(Printer):
    """Writes to an output in a thread of its own, so that no sender waits for its reader.

    Nobody reads a terminal after Ctrl-S, or the output to a pager while a page is being read. The
    text that waits is bounded: what comes then is left out, and counted.
    """

    def __init__(
        self,
        output: Callable[[], TextIO],
        say: Callable[[str], object],
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        """Call `say` with a text that says how many lines were left out."""
        super().__init__(output)
        self._say = say
        self._max_waiting = max_waiting
        # Guards the attributes below. Notified when there is a text to write, and when a piece
        # of it is written.
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._characters = 0
        self._left_out = 0
        self._is_writing = False
        threading.Thread(target=self._write_all, name="logplex-printer", daemon=True).start()

    def write(self, text: str) -> None:
        with self._changed:
            if self._characters > self._max_waiting:
                self._left_out += text.count("\n")
                return
            self._waiting.append(text)
            self._characters += len(text)
            self._changed.notify_all()

    def finish(self, timeout: float) -> bool:
        """Wait until all is written, or nothing for `timeout` seconds; return whether all is."""
        with self._changed:
            while self._waiting or self._is_writing:
                # Each piece that is written wakes it.
                if not self._changed.wait(timeout):
                    return False
            return True

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._is_writing = True
                text, left_out = "".join(self._waiting), self._left_out
                self._waiting, self._characters, self._left_out = [], 0, 0
            for start in range(0, len(text), _PIECE):
                super().write(text[start : start + _PIECE])
                with self._changed:
                    self._changed.notify_all()
            if left_out:
                self._say(f"  - {left_out:,} lines are left out here: the output was not read")
