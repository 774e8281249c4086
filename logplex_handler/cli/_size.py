"""The command `size`: says what a process carries, and what to set."""

from __future__ import annotations

import argparse
import math
from dataclasses import fields

from logplex_handler.cli._argument_types import count, duration, within
from logplex_handler.cli._sizing import MAX_WORKERS, Load, Size, size

# Bytes of a buffer from which on lines are better kept on disk, the default of `max_spool_bytes`.
_MUCH_MEMORY = 256 * 1024 * 1024

_YEAR = 365 * 86_400
# The default of `timeout`, in seconds: no request succeeds if the receiver takes longer.
_TIMEOUT = 5.0


def _latency(text: str) -> float:
    latency = duration(text)
    if latency > _TIMEOUT:
        raise argparse.ArgumentTypeError(f"must be at most {_TIMEOUT:g}s, the handler's `timeout`")
    return latency


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--customers", type=count, required=True, help="streams of all processes")
    command.add_argument(
        "--lines-per-second",
        type=within(float, 1e-9, 1e6, "a number, more than 0 and at most 1000000"),
        required=True,
        metavar="LINES",
        help="from each customer, over all processes",
    )
    command.add_argument("--processes", type=count, default=1, help="how many (default: 1)")
    command.add_argument(
        "--sticky",
        action="store_true",
        help="all lines of a customer come from one process; by default any process writes them, "
        "as behind a load balancer",
    )
    command.add_argument(
        "--latency",
        type=_latency,
        default=Load.latency,
        metavar="TIME",
        help="how long the receiver takes to answer; at most 5s, the handler's `timeout` "
        "(default: 50ms)",
    )
    command.add_argument(
        "--workers",
        type=within(int, 1, MAX_WORKERS, f"a number from 1 to {MAX_WORKERS}"),
        default=Load.workers,
        help="of each process (default: 4)",
    )
    command.add_argument(
        "--outage",
        type=duration,
        default=Load.outage,
        metavar="TIME",
        help="how long the receiver may be unreachable before lines are lost (default: 10m)",
    )
    command.add_argument(
        "--line-length",
        type=count,
        default=Load.line_length,
        metavar="CHARACTERS",
        help="of a line's message and values (default: 100)",
    )
    command.add_argument(
        "--max-buffer-bytes",
        type=count,
        default=Load.max_buffer_bytes,
        metavar="BYTES",
        help="as given to the handler (default: 16 MiB, as there)",
    )


def run(options: argparse.Namespace) -> int:
    """Print what each process needs, and what to set."""
    load = Load(**{field.name: getattr(options, field.name) for field in fields(Load)})
    print("\n".join(in_words(load, size(load))))
    return 0


def in_words(load: Load, needed: Size) -> list[str]:
    """Return the lines of the report."""
    # One customer's lines do not spread over several processes.
    busy = min(load.processes, load.customers) if load.sticky else load.processes
    which = f"Each of {busy:,} processes has" if busy > 1 else "One process has"
    is_enough = load.processes >= needed.processes > 0
    return [
        f"{which} {_counted(needed.streams, 'stream')}, with {_counted(needed.lines, 'line')} and "
        f"{_counted(needed.requests, 'request')} a second.",
        "",
        f"  requests  {_requests(load, needed)}",
        f"  lag       {_lag(load, needed)}",
        f"  CPU       {needed.cpu:.2f} cores",
        f"  memory    {_megabytes(needed.memory)} for the streams beside the buffer; "
        f"{_megabytes(needed.outage_memory)} in an outage of {_span(load.outage)}",
        f"  buffer    is full after {_span(needed.outage)}; "
        f"{_span(load.outage)} take {needed.max_buffer_bytes:,} bytes",
        "",
        _advice(load, needed) if is_enough else _not_enough(load, needed),
    ]


def _requests(load: Load, needed: Size) -> str:
    can = f"{_counted(load.workers, 'worker')} can make {_rounded(needed.capacity)} a second"
    if needed.requests > needed.capacity:
        return f"{can}: not enough"
    return f"{can}, {_percent(needed.requests / needed.capacity)} of which are in use"


def _lag(load: Load, needed: Size) -> str:
    if math.isinf(needed.lag):
        return "grows: one stream has more lines than its requests, one at a time, can carry"
    if needed.lag > needed.outage:
        return f"about {_span(needed.lag)}, but the buffer is full earlier: lines are dropped"
    return f"about {_span(needed.lag)}"


def _advice(load: Load, needed: Size) -> str:
    workers = max(needed.workers, load.workers)
    buffer = max(needed.max_buffer_bytes, load.max_buffer_bytes)
    arguments = [f"workers={workers}"] if workers > Load.workers else []
    if buffer > Load.max_buffer_bytes:
        arguments.append(f"max_buffer_bytes={_round_up(buffer):_}")
    if not arguments:
        return "The defaults are enough."
    hint = " A spool on disk takes less memory." if buffer > _MUCH_MEMORY else ""
    return f"Use LogplexHandler(…, {', '.join(arguments)}).{hint}"


def _not_enough(load: Load, needed: Size) -> str:
    if not needed.processes:
        return "No number is enough: let several processes share the lines of a customer."
    hint = "" if load.sticky else ", or let one process write all lines of a customer (--sticky)"
    return f"Not enough: use {needed.processes:,} processes with up to {MAX_WORKERS} workers{hint}."


def _counted(number: float, what: str) -> str:
    text = _rounded(number)
    return f"{text} {what}{'' if text == '1' else 's'}"


def _rounded(number: float) -> str:
    """Write a number with two significant digits."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _percent(share: float) -> str:
    return "less than 1%" if share < 0.01 else f"{share:.0%}"


def _megabytes(size: float) -> str:
    return f"{_rounded(size / 1e6)} MB" if size >= 1e6 else "less than 1 MB"


def _round_up(size: int) -> int:
    """Round up to a million."""
    return math.ceil(size / 1_000_000) * 1_000_000


def _span(seconds: float) -> str:
    """Write a time in its largest suitable unit."""
    if seconds > _YEAR:
        return "more than a year"
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{_rounded(seconds / length)} {unit}"
    return f"{_rounded(seconds)} seconds"
