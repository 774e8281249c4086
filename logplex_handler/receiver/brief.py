"""Prints lines in a form that is quick to read: local times, messages first, and tracebacks whole.

13:07:46.358 web.1: order shipped  order_id=42 city=oslo
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import lru_cache

from logplex_handler.receiver.feed import ReceivedLine
from logplex_handler.receiver.query import tokens
from logplex_handler.receiver.style import harmless
from logplex_handler.receiver.terminal import Terminal, coloured
from logplex_handler.testing.wire_parser import Packet

# Lines of several rows would hide the others.
_MAX_ROWS = 3
# The most characters of a stream's name, and those that a longer one begins and ends with.
_MAX_NAME, _NAME_START, _NAME_END = 16, 7, 8
# The first and the last lines that are shown of a long traceback.
_FIRST, _LAST = 10, 30


class Brief(Terminal):
    """A viewer that leaves out `source`, `logger` and `level=info` at the beginning of a line."""

    def _name(self, stream: str) -> str:
        name = harmless(stream)
        return name if len(name) <= _MAX_NAME else f"{name[:_NAME_START]}…{name[-_NAME_END:]}"

    def _time(self, timestamp: str) -> str:
        return local_time(timestamp, time.localtime()[:3])

    def _process(self, appname: str, procid: str) -> str:
        return f" {procid}:" if appname == "app" else f" {appname}[{procid}]:"

    def _text(self, packet: Packet) -> str:
        level = message = ""
        rest: list[str] = []
        end = 0
        for key, value, place in tokens(packet.text):
            start, end = end, place.end()
            if not (message or rest):
                if key in ("source", "logger"):
                    continue
                if key == "level" and not level:
                    level = place[0]
                    continue
                if key == "msg" and value:
                    message = value
                    continue
            if key != "traceback":
                # With the spaces before it, but for the one behind what is left out.
                rest.append(packet.text[start + (start > 0 and not rest) : end])
        text = self._cut(harmless("  ".join(filter(None, (message, "".join(rest))))))
        if not level or not text:
            return coloured(text or harmless(packet.text), packet.severity, self._style)
        shown = coloured(harmless(level), packet.severity, self._style)
        return text if level == "level=info" else f"{shown} {text}"

    def _shown_line(self, seen: ReceivedLine) -> str:
        line = super()._shown_line(seen)
        if not seen.line.shown or "traceback=" not in seen.line.packet.text:
            return line
        traceback = [
            one
            for key, value, _ in tokens(seen.line.packet.text)
            if key == "traceback"
            for one in value.rstrip("\n").split("\n")
        ]
        more = len(traceback) - _FIRST - _LAST
        if more > 0 and self._style.is_terminal:
            traceback[_FIRST:-_LAST] = [f"... (+{more:,} lines)"]
        return "\n".join([line, *(f"    {harmless(one)}" for one in traceback)])

    def _cut(self, text: str) -> str:
        """Return as much of the text as some rows of the terminal hold."""
        longest = _MAX_ROWS * self._style.size.columns
        if len(text) <= longest or not self._style.is_terminal:
            return text
        return f"{text[:longest]}... (+{len(text) - longest:,} characters)"


def local_time(timestamp: str, today: tuple[int, ...]) -> str:
    """Return a packet's time in the zone of this computer, with the date if it is not today's."""
    second, fraction, zone = timestamp[:19], timestamp[20:26], timestamp[26:]
    local = None
    if timestamp[19:20] == "." and fraction.isascii() and fraction.isdigit():
        local = _local_second(second + zone, today)
    return harmless(timestamp) if local is None else f"{local}.{fraction[:3]}"


# Many lines have the same second.
@lru_cache(maxsize=1_000)
def _local_second(timestamp: str, today: tuple[int, ...]) -> str | None:
    try:
        sent = datetime.fromisoformat(timestamp)
        local = sent.astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    if sent.tzinfo is None:
        return None
    return f"{local:%H:%M:%S}" if local.timetuple()[:3] == today else f"{local:%Y-%m-%d %H:%M:%S}"
