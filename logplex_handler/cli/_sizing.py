"""The arithmetic of `logplex-handler size`: a load comes in, what one process needs comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

# Rounded figures of `benchmarks/sizing.py`, which docs/sizing.md shows.
# Seconds of a request in addition to the receiver's latency.
_REQUEST = 0.005
# Seconds of CPU of a request, and of a line with its logging call.
REQUEST_CPU = 0.0007
LINE_CPU = 0.000_025
# Lines of one stream that leave in one request while many wait.
LINES_A_REQUEST = 1_800
# Bytes of memory of a silent stream, and of one with a waiting line.
SILENT_STREAM = 2_000
WAITING_STREAM = 4_000
# Bytes of `max_buffer_bytes` for a line, in addition to its length.
LINE_OVERHEAD = 220

# Seconds for which a line waits for others, the default of `flush_interval`.
_FLUSH_INTERVAL = 0.5
# Seconds after which a silent stream is released.
_RELEASE = 5.0
# The most workers that the handler accepts.
MAX_WORKERS = 64
# Share of what is possible that may be in use, so that a slow minute of the receiver causes no lag.
_HEADROOM = 0.8
# Cores that a process may spend on delivery: the rest of its interpreter is the application's.
_MOST_CPU = 0.5


@dataclass(frozen=True)
class Load:
    """The load that an application writes.

    Attributes:
        customers: Streams of all processes.
        lines_per_second: Lines of each customer per second, from all processes together.
        sticky: Whether all lines of a customer come from one process.
        latency: Seconds until the receiver answers.
        outage: Seconds without the receiver that the buffer must outlast.
        line_length: Characters of a line.
        max_buffer_bytes: The option of the handler.
    """

    customers: int
    lines_per_second: float
    processes: int = 1
    sticky: bool = False
    latency: float = 0.05
    workers: int = 4
    outage: float = 600.0
    line_length: int = 100
    max_buffer_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True)
class Size:
    """What each process needs for a load.

    Attributes:
        streams: That it writes to.
        lines: A second.
        requests: A second that are needed.
        capacity: Requests per second that the process can make.
        workers: Workers that are needed; more than `MAX_WORKERS` if one process is not enough.
        processes: Processes that are needed, with as many workers as it takes.
        lag: Seconds that a line waits; infinite if the lag grows for ever.
        cpu: CPU cores in use.
        memory: Bytes of the streams, without the lines that wait.
        outage: Seconds that the buffer outlasts.
        outage_memory: Bytes of the streams in an outage of the given length.
        max_buffer_bytes: The bytes that the given outage needs.
    """

    streams: int
    lines: float
    requests: float
    capacity: float
    workers: int
    processes: int
    lag: float
    cpu: float
    memory: int
    outage: float
    outage_memory: int
    max_buffer_bytes: int


def size(load: Load) -> Size:
    """Return what each process needs for a load."""
    streams, lines, requests = _share(load)
    of_stream = lines / streams
    capacity = min(load.workers / (load.latency + _REQUEST), 1 / REQUEST_CPU)
    line_bytes = LINE_OVERHEAD + load.line_length
    awake = min(streams, requests * (_FLUSH_INTERVAL + _RELEASE))
    silent_in_outage = math.exp(-of_stream * load.outage)
    return Size(
        streams=streams,
        lines=lines,
        requests=requests,
        capacity=capacity,
        workers=_workers(load),
        processes=_processes(load),
        lag=_lag(load, capacity),
        cpu=_cpu(load),
        memory=round(streams * SILENT_STREAM + awake * (WAITING_STREAM - SILENT_STREAM)),
        outage=load.max_buffer_bytes / (lines * line_bytes),
        outage_memory=round(
            streams * (WAITING_STREAM - (WAITING_STREAM - SILENT_STREAM) * silent_in_outage)
        ),
        max_buffer_bytes=round(lines * line_bytes * load.outage),
    )


def _share(load: Load) -> tuple[int, float, float]:
    """Return the streams of one process, and its lines and requests a second."""
    streams = math.ceil(load.customers / load.processes) if load.sticky else load.customers
    lines = (streams if load.sticky else load.customers / load.processes) * load.lines_per_second
    # A stream's next request has the lines of `flush_interval` from the next line on.
    requests = lines / (1 + lines / streams * _FLUSH_INTERVAL)
    return streams, lines, max(requests, lines / LINES_A_REQUEST)


def _workers(load: Load) -> int:
    requests = _share(load)[2]
    return max(math.ceil(requests * (load.latency + _REQUEST) / _HEADROOM), 1)


def _cpu(load: Load) -> float:
    _, lines, requests = _share(load)
    return requests * REQUEST_CPU + lines * LINE_CPU


def _is_enough(load: Load) -> bool:
    """Return whether one of the processes can do its share, with enough workers."""
    return _workers(load) <= MAX_WORKERS and _cpu(load) <= _MOST_CPU and not _is_flood(load)


def _is_flood(load: Load) -> bool:
    """Return whether each stream has more lines than leave it: it has one request at a time."""
    streams, lines, _ = _share(load)
    seconds = load.latency + _REQUEST + LINES_A_REQUEST * LINE_CPU
    return lines / streams * seconds > LINES_A_REQUEST


def _processes(load: Load) -> int:
    """Return the smallest number of processes that is enough, or 0 if no number is."""
    few, many = 0, 1
    while not _is_enough(replace(load, processes=many)):
        if load.sticky and many >= load.customers:
            return 0
        few, many = many, many * 2
    while many - few > 1:
        middle = (few + many) // 2
        if _is_enough(replace(load, processes=middle)):
            many = middle
        else:
            few = middle
    return many


def _lag(load: Load, capacity: float) -> float:
    """Return the seconds from a line to its answer."""
    streams, lines, requests = _share(load)
    least = _FLUSH_INTERVAL + load.latency
    if _is_flood(load):
        return math.inf
    if requests <= capacity:
        return least
    # Streams take turns, and each request has the lines that the stream has had since its last.
    return max(streams / capacity - streams / lines, 0) + least
