"""The function that renders entries of one call site to frames, in a worker.

A frame is rendered in one expression. Entries that make it fail are handed to a function that works
step by step. Heavy entries, whose texts may be long, are rendered in bytes from the start, because
each copy of a long text takes time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from logplex_handler._formatting import value_kinds
from logplex_handler._formatting.codegen import Source, fill
from logplex_handler._formatting.layout import Layout
from logplex_handler._formatting.line_source import LineSource
from logplex_handler._wire import packet
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import octet_counts
from logplex_handler._wire.packet import PacketForm
from logplex_handler.metrics.metric_pairs import MAX_LINE_BYTES

# A millisecond as `packet.millisecond` returns it; a priority, and the start of its packets.
Millisecond = tuple[float, float, str, str, str]
# A millisecond that contains no time.
NO_MILLISECOND: Millisecond = (0.0, 2.0**62, "", "", "")

# `render(entries, append, append_long, render_slowly, fields, time)` calls `append` with the frame
# of each entry, `append_long` with the fragments of a packet that is too long and the length of its
# header, or `render_slowly` with the entry. `fields` follows the time in the header of the packet.
# `time` is the millisecond of the previous entry; that of the last one is returned.
Render = Callable[
    [
        Iterable[Entry],
        Callable[[bytes], None],
        Callable[[Sequence[bytes], int], None],
        Callable[[Entry], None],
        str,
        Millisecond,
    ],
    Millisecond,
]

# The tables are parameters because locals are read faster. The time is computed with floats alone,
# because mixing floats and integers takes twice as long.
_TEMPLATE = """\
def render(
    entries, append, append_long, render_slowly, fields, time,
    lengths=lengths, lengths_in_bytes=lengths_in_bytes, small=small, three_digits=three_digits,
):
    second, first_microsecond, date, latest_priority, head = time
    if latest_priority != priority:
        head = f"{priority}{date}"
    latest_fields, tail = latest_tail[0]
    if latest_fields is not fields:
        tail = f"{fields}{start}"
        latest_tail[0] = fields, tail
    $limit
    for entry in entries:
        try:
            _, created, $values = entry
            $message
            $first_check
            microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
            if not 0 <= microsecond < 1000:
                created = in_calendar(created)
                second, first_microsecond, date = millisecond(created)
                microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
                head = f"{priority}{date}"
            $frame
        except Exception:
            render_slowly(entry)
    return second, first_microsecond, date, priority, head
"""

# What `$frame` stands for.
_LIGHT_FRAME = """\
packet = (
    $pieces
)
if packet.isascii():
    $check
    append(f"{lengths[len(packet)]}{packet}".encode())
else:
    packet = packet.encode()
    $check
    append(lengths_in_bytes[len(packet)] + packet)
"""
_HEAVY_FRAME = """\
$fragments
length = $length
$check
append(b"".join((b"%d " % length, $packet)))
"""

# The last digits of a packet's time. Looking them up saves 2,000 instructions a packet.
_THREE_DIGITS = [f"{digits:03d}" for digits in range(1000)]
# The longest packet, in bytes, whose length is in the tables. Few light entries make a longer one.
_LONGEST_PACKET = 4096


def render_source(layout: Layout, packet_form: PacketForm) -> Source | None:
    """Return the function for a call site, or None if its messages must be formatted one by one."""
    line = LineSource(layout)
    if not line.complete():
        return None
    start, *texts = line.texts
    if start.startswith("\ufeff"):
        # A packet must not begin with a byte order mark.
        return None
    priority = packet_form.priority(layout.level)
    # With the longest priority, a packet has at most `max_packet_bytes`.
    longest = packet_form.max_packet_bytes + len(priority) - len("<191>1 ")
    lengths, lengths_in_bytes = octet_counts(min(longest, _LONGEST_PACKET))
    names = {
        **value_kinds.NAMES,
        **line.names,
        "floor": math.floor,
        "in_calendar": packet.in_calendar,
        "latest_tail": [("", "")],
        "lengths": lengths,
        "lengths_in_bytes": lengths_in_bytes,
        "millisecond": packet.millisecond,
        "priority": priority,
        "start": start,
        "three_digits": _THREE_DIGITS,
    }
    pieces = ['f"{head}{three_digits[microsecond]}{tail}"']
    fragments = []
    for position, (expression, text) in enumerate(zip(line.expressions, texts, strict=True)):
        piece = f"{{{expression}}}"
        if expression in line.in_bytes:
            fragments += [f"({' '.join(pieces)}).encode()", expression]
            pieces, piece = [], ""
        if text:
            names[f"text_{position}"] = text
            piece += f"{{text_{position}}}"
        pieces.append(f'f"{piece}"')
    fragments.append(f"({' '.join(pieces)}).encode()")
    numbered = [f"fragment_{number}" for number in range(len(fragments))]
    all_fragments = ", ".join(numbered)
    parts = {
        "values": layout.variables,
        "pieces": pieces,
        "fragments": [f"{name} = {each}" for name, each in zip(numbered, fragments, strict=True)],
        "length": " + ".join([f"len({name})" for name in numbered]),
        "packet": all_fragments,
        "message": line.statements,
        **_size_checks(layout, longest, len(priority), all_fragments),
    }
    frame = fill(_LIGHT_FRAME if layout.fit.is_light else _HEAVY_FRAME, parts)
    return Source("render", fill(_TEMPLATE, {**parts, "frame": frame.splitlines()}), names)


def _size_checks(
    layout: Layout, longest: int, priority: int, fragments: str
) -> dict[str, str | list[str]]:
    """Return the parts of the template that depend on how long its packets may be."""
    too_long = ["    raise OverflowError"]
    first_check = []
    # Light packets that are too long are not in the tables.
    if not layout.fit.is_light:
        if layout.metrics:
            # A text that is already too long need not be escaped.
            each = [f"len({value.variable}) > most" for value in layout.values if value.is_text]
            first_check = [f"if {' or '.join(each)}:", *too_long]
        else:
            too_long = ["    header = len(head) + 3 + len(fields)"]
            too_long += [f"    append_long([{fragments}], header)", "    continue"]
    limit = str(longest)
    if layout.metrics:
        # Metrics that make a line too long move to separate lines.
        header = priority + len(packet.timestamp(0)) - len("+00:00")
        limit = f"min({longest}, {header + MAX_LINE_BYTES} + len(fields))"
    is_limited = bool(layout.metrics) or not layout.fit.is_light
    size = "len(packet)" if layout.fit.is_light else "length"
    return {
        "limit": [f"most = {limit}"] if is_limited else [],
        "first_check": first_check,
        "check": [f"if {size} > most:", *too_long] if is_limited else [],
    }
