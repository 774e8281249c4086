"""What the command `size` calculates and says."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest

from logplex_handler import LogplexHandler
from logplex_handler.cli import _size, _sizing
from logplex_handler.cli._argument_types import duration
from logplex_handler.cli._commands import parser
from logplex_handler.cli._size import in_words
from logplex_handler.cli._sizing import Load, size
from tests import patience

PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"

FEW = Load(customers=100, lines_per_second=0.1)
PARTNER = Load(customers=50_000, lines_per_second=0.1, processes=20)
BUSY = Load(customers=50_000, lines_per_second=2, processes=20)
ONE_STREAM = Load(customers=1, lines_per_second=1000, latency=0.1)
FLOOD = Load(customers=1, lines_per_second=20_000, latency=0.2, sticky=True)


def test_a_line_a_minute_is_a_request():
    """Nothing else comes within `flush_interval`."""
    assert size(Load(10_000, 1 / 60)).requests == pytest.approx(10_000 / 60.5)


def test_the_lines_of_a_flush_interval_share_a_request():
    """A busy stream has two a second, unless they would be too large."""
    assert size(ONE_STREAM).requests == pytest.approx(2, rel=0.01)
    assert size(Load(1, 18_000)).requests == 18_000 / _sizing.LINES_A_REQUEST


def test_workers_limit_the_requests_until_the_cpu_does():
    """As measured: latency and 5 ms for each."""
    assert size(FEW).capacity == pytest.approx(4 / 0.055)
    assert size(Load(1, 1, workers=64, latency=0.001)).capacity == 1 / _sizing.REQUEST_CPU


def test_twenty_dynos_and_fifty_thousand_customers():
    """The defaults are not enough; what is advised is."""
    needed = size(PARTNER)
    assert (needed.streams, needed.lines) == (50_000, 250)
    assert needed.requests > needed.capacity
    assert needed.processes <= 20
    advised = Load(50_000, 0.1, 20, workers=needed.workers, max_buffer_bytes=48_000_000)
    assert size(advised).lag < 1
    assert size(advised).outage == pytest.approx(600)


def test_too_few_requests_make_lines_late_but_not_ever_later():
    """Streams take turns; fifty thousand at 73 a second, less the pause between two lines."""
    assert size(PARTNER).lag == pytest.approx(50_000 * 0.055 / 4 - 200, rel=0.01)
    assert size(BUSY).lag == pytest.approx(50_000 * 0.055 / 4 - 10, rel=0.01)


@pytest.mark.parametrize(
    "load",
    [FEW, PARTNER, BUSY, ONE_STREAM, Load(50_000, 2, sticky=True), Load(10_001, 9, sticky=True)],
    ids=str,
)
def test_the_number_of_processes_is_enough_and_the_least(load):
    """One less is not."""
    enough = size(load).processes

    def is_enough(processes: int) -> bool:
        needed = size(Load(load.customers, load.lines_per_second, processes, load.sticky))
        is_carried = not math.isinf(needed.lag)
        return needed.workers <= _sizing.MAX_WORKERS and needed.cpu <= 0.5 and is_carried

    assert is_enough(enough)
    assert enough == 1 or not is_enough(enough - 1)


def test_a_stream_that_floods_needs_several_processes_that_write_to_it():
    """It has one request at a time."""
    assert math.isinf(size(FLOOD).lag)
    assert size(FLOOD).processes == 0
    assert size(Load(3, 10_000, latency=0.2, sticky=True)).processes == 0
    assert size(Load(1, 20_000, latency=0.2)).processes > 1


def test_sticky_customers_take_less_memory():
    """Each process has fewer of them."""
    assert size(Load(50_000, 0.1, 20, sticky=True)).memory < size(PARTNER).memory / 10


@pytest.mark.parametrize(
    ("load", "advice"),
    [
        (FEW, "The defaults are enough."),
        (PARTNER, "Use LogplexHandler(…, workers=18, max_buffer_bytes=48_000_000)."),
        (
            Load(1, 2000, outage=3600),
            "Use LogplexHandler(…, max_buffer_bytes=2_304_000_000). A spool on disk takes less",
        ),
        (BUSY, "Not enough: use 145 processes with up to 64 workers, or let one process write"),
        (FLOOD, "No number is enough: let several processes share the lines of a customer."),
    ],
    ids=["few", "partner", "long outage", "busy", "flood"],
)
def test_the_last_line_says_what_to_do(load, advice):
    """It can be copied."""
    assert in_words(load, size(load))[-1].startswith(advice)


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("2s", 2), ("0.5", 0.5), ("10m", 600), ("1h", 3600)]
)
def test_a_time_has_a_unit(text, seconds):
    """Without one, it is in seconds."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "ms", "5x", "0", "-1s", "1e9", "nan", "inf"])
def test_a_time_that_is_none_is_refused(text, capsys):
    """With examples."""
    with pytest.raises(SystemExit):
        parser().parse_args(["size", "--customers=1", "--lines-per-second=1", f"--latency={text}"])
    assert "must be a time such as 50ms" in capsys.readouterr().err


def test_the_figures_are_those_of_the_page():
    """Within a half: the page has medians of a machine that others use too."""
    page = PAGE.read_text(encoding="utf-8")

    def figures(label: str) -> list[float]:
        [row] = re.findall(rf"^\| {label} \|(.*)$", page, re.MULTILINE)
        return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,.]*", row)]

    cheapest, dearest = figures("CPU of a request with one line")
    assert cheapest <= _sizing.REQUEST_CPU * 1000 <= dearest
    for label, constant in {
        "CPU of a line in a large request, with the logging call": _sizing.LINE_CPU * 1e6,
        "memory of a silent stream": _sizing.SILENT_STREAM,
        "memory of a stream with a waiting line": _sizing.WAITING_STREAM,
        "`max_buffer_bytes` for a line of 36 characters": _sizing.LINE_OVERHEAD + 36,
    }.items():
        [measured] = figures(label)
        assert measured == pytest.approx(constant, rel=0.5), label
    for latency in (20, 100, 500):
        for workers, measured in zip((4, 16), figures(f"{latency} ms"), strict=False):
            load = Load(1, 1, latency=latency / 1000, workers=workers)
            assert measured == pytest.approx(size(load).capacity, rel=0.3), (latency, workers)
    for latency in (100, 500):
        # The load that is just carried, by the last column.
        most = figures(f"{latency} ms")[-1]
        seconds = latency / 1000
        assert math.isinf(size(Load(1, most * 1.3, latency=seconds)).lag)
        assert not math.isinf(size(Load(1, most / 1.3, latency=seconds)).lag)


def test_the_defaults_and_bounds_are_the_handler_s():
    defaults = inspect.signature(LogplexHandler).parameters
    assert Load.workers == defaults["workers"].default
    assert Load.max_buffer_bytes == defaults["max_buffer_bytes"].default
    assert defaults["flush_interval"].default == _sizing._FLUSH_INTERVAL
    assert defaults["max_spool_bytes"].default == _size._MUCH_MEMORY
    assert patience.TIMEOUT == _size._TIMEOUT
    LogplexHandler(workers=_sizing.MAX_WORKERS).close()
    with pytest.raises(ValueError, match="workers"):
        LogplexHandler(workers=_sizing.MAX_WORKERS + 1)


def test_a_latency_beyond_the_timeout_is_refused(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["size", "--customers=1", "--lines-per-second=1", "--latency=6s"])
    assert "must be at most 5s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (Load(3, 1, 20, sticky=True), "Each of 3 processes has 1 stream, with 1 line and"),
        (Load(1, 1, 20, sticky=True), "One process has 1 stream"),
        (Load(1, 1e-6), "less than 1% of which are in use"),
        (Load(1, 1e-6), "buffer    is full after more than a year"),
    ],
    ids=["few customers", "one customer", "idle", "years"],
)
def test_extremes_are_said_in_plain_words(load, words):
    assert words in "\n".join(in_words(load, size(load)))
