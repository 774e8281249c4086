"""Reads lines from a pipe, a file or a growing file, until the input ends or a signal comes."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from logplex_handler.cli._stop_request import StopRequest

# Bytes per read; the capacity of a pipe on Linux.
_CHUNK_BYTES = 65_536
# The longest line, in bytes. A longer one is split into several records, so that an endless line
# needs little memory.
_MAX_LINE_BYTES = 1_048_576
# Seconds after a signal during which the program that writes to the pipe may end.
GRACE_PERIOD = 5.0
# Seconds between reads of a growing file.
_POLL_INTERVAL = 0.2


class LineSplitter:
    """Splits bytes into lines of text, in whatever chunks they come."""

    def __init__(self, max_bytes: int = _MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        # Extended in place, because a line may come byte by byte.
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Add bytes, and return the lines that are now complete, without their line breaks."""
        self._rest += data
        if b"\n" not in data and len(self._rest) <= self._max_bytes:
            return []
        *complete, rest = bytes(self._rest).split(b"\n")
        lines = [_text(line.removesuffix(b"\r")) for line in complete]
        while len(rest) > self._max_bytes:
            cut = self._max_bytes
            # Cut between two characters: continuation bytes of UTF-8 begin with the bits 10.
            while cut > self._max_bytes - 4 and rest[cut] & 0xC0 == 0x80:
                cut -= 1
            lines.append(_text(rest[:cut]))
            rest = rest[cut:]
        self._rest = bytearray(rest)
        return lines

    def end(self) -> list[str]:
        """Return the last line, if it has no line break."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def read_descriptor(descriptor: int, stop: StopRequest) -> Iterator[list[str]]:
    """Read the lines of a pipe or a file to its end.

    After a stop request, reading continues for a few seconds: the same signal also ends the program
    that writes, and its last lines are still to come.
    """
    splitter = LineSplitter()
    while True:
        timeout = None
        if stop.requested_at is not None:
            timeout = stop.requested_at + GRACE_PERIOD - time.monotonic()
            if timeout <= 0:
                break
        if not stop.wait(timeout, descriptor):
            continue
        data = os.read(descriptor, _CHUNK_BYTES)
        if not data:
            break
        yield splitter.feed(data)
    yield splitter.end()


def follow_file(path: Path, stop: StopRequest, *, from_start: bool) -> Iterator[list[str]]:
    """Read the lines that are added to a file, until a stop request.

    After it, the rest of the file is read, for a few seconds at most. A new file under the same
    name (after a rotation), or a file that became shorter, is read from its start. A missing file
    is waited for.
    """
    skip = not from_start
    while stop.requested_at is None:
        try:
            file = FileIO(path, opener=_opened)
        except FileNotFoundError:
            skip = False
            stop.wait(_POLL_INTERVAL)
            continue
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "only a file can be followed", str(path))
            if skip:
                file.seek(0, os.SEEK_END)
            skip = False
            yield from _follow_open_file(file, path, stop)


def _opened(path: str, flags: int) -> int:
    # To open a pipe with a name would wait for a program that writes.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _follow_open_file(file: FileIO, path: Path, stop: StopRequest) -> Iterator[list[str]]:
    splitter = LineSplitter()
    while True:
        stopping, in_place = stop.requested_at is not None, _is_at(file, path)
        if not in_place:
            # The program that writes may not have switched to the new file yet.
            stop.wait(_POLL_INTERVAL)
        while data := file.read(_CHUNK_BYTES):
            yield splitter.feed(data)
            asked_at = stop.requested_at
            if asked_at is not None and time.monotonic() > asked_at + GRACE_PERIOD:
                # A line that was read in part is left out, because its rest is still in the file.
                return
        if stopping or not in_place:
            break
        if os.fstat(file.fileno()).st_size < file.tell():
            yield splitter.end()
            file.seek(0)
            continue
        stop.wait(_POLL_INTERVAL)
    yield splitter.end()


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
