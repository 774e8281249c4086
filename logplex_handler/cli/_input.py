"""Lines of text out of a pipe, a file or a file that grows, until they end or a signal comes."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from types import FrameType

# Bytes that are read at once; a pipe of Linux holds as many.
_CHUNK = 65_536
# Bytes. A longer line goes on as several records, so that one without an end needs no memory.
_LONGEST = 1_048_576
# Seconds after a signal in which the program before the pipe may say its last.
GRACE = 5.0
# Seconds between looks at a file that grows.
_LOOK_AGAIN = 0.2


class Lines:
    """Cuts bytes into lines of text, whatever pieces they come in."""

    def __init__(self, longest: int = _LONGEST) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole now, without their ends."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [_text(line.removesuffix(b"\r")) for line in whole]
        while len(self._rest) > self._longest:
            cut = self._longest
            # Between two characters: the bytes inside of one begin with the bits 10.
            while cut > self._longest - 4 and self._rest[cut] & 0xC0 == 0x80:
                cut -= 1
            lines.append(_text(self._rest[:cut]))
            self._rest = self._rest[cut:]
        return lines

    def end(self) -> list[str]:
        """The last line, if it has no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


class Stop:
    """SIGINT and SIGTERM ask for an orderly end; the second one does not ask.

    A context manager; signals are as before at its end.
    """

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self._woken, self._wake = os.pipe()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        for pipe_end in (self._woken, self._wake):
            os.set_blocking(pipe_end, False)
        self._wake_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wake_before)
        os.close(self._woken)
        os.close(self._wake)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked_at is not None:
            raise KeyboardInterrupt
        self.asked_at = time.monotonic()

    def wait(self, seconds: float | None, readable: int | None = None) -> bool:
        """Wait for bytes at a descriptor, for a signal, or so long; whether there are bytes."""
        waiting_for = [self._woken] if readable is None else [self._woken, readable]
        ready, _, _ = select.select(waiting_for, [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, 100)
        return readable in ready


def of_descriptor(descriptor: int, stop: Stop) -> Iterator[list[str]]:
    """The lines of a pipe or a file to its end.

    When asked to stop it goes on for a few seconds: the same signal ends the program that writes,
    whose last lines are still to come.
    """
    lines = Lines()
    while True:
        left = None
        if stop.asked_at is not None:
            left = stop.asked_at + GRACE - time.monotonic()
            if left <= 0:
                break
        if not stop.wait(left, descriptor):
            continue
        data = os.read(descriptor, _CHUNK)
        if not data:
            break
        yield lines.feed(data)
    yield lines.end()


def of_growing_file(path: Path, stop: Stop, *, from_start: bool) -> Iterator[list[str]]:
    """The lines that are added to a file, until asked to stop.

    A file of the same name in its place (after a rotation), or one that has become shorter, is
    read from its start; one that is not there is waited for.
    """
    skip = not from_start
    while stop.asked_at is None:
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            skip = False
            stop.wait(_LOOK_AGAIN)
            continue
        with file:
            if skip:
                file.seek(0, os.SEEK_END)
            skip = False
            yield from _of_open_file(file, path, stop)


def _of_open_file(file: FileIO, path: Path, stop: Stop) -> Iterator[list[str]]:
    lines = Lines()
    while True:
        asked, in_place = stop.asked_at is not None, _is_at(file, path)
        if not in_place:
            # Who writes to it may need a moment to notice.
            stop.wait(_LOOK_AGAIN)
        while data := file.read(_CHUNK):
            yield lines.feed(data)
        if asked or not in_place:
            break
        if os.fstat(file.fileno()).st_size < file.tell():
            yield lines.end()
            file.seek(0)
            continue
        stop.wait(_LOOK_AGAIN)
    yield lines.end()


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
