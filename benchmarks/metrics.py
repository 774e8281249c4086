"""Measures the cost of recording a metric, compared with prometheus_client and statsd.

Prints a table; --write also writes it to docs/metrics.md. All subjects run in this process and take
turns: each round times every subject once, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import logging
import platform
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median

import prometheus_client
import statsd

from logplex_handler import Metrics

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
BEGIN, END = "<!-- costs -->\n", "\n<!-- end -->"

Subject = Callable[[Sequence[float]], object]
# The subjects of each operation; the others are compared with the first.
Subjects = dict[str, dict[str, Subject]]
BASELINE = "a dict under a lock"
OURS = "**Metrics**"


@contextmanager
def subjects() -> Iterator[Subjects]:
    """All measured subjects. statsd sends to a socket that no one reads."""
    logger = logging.getLogger("benchmark")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    logger.setLevel(logging.INFO)
    metrics = Metrics(logger, interval=3600)
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("requests", "requests", registry=registry)
    histogram = prometheus_client.Histogram("latency", "latency", registry=registry)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        client = statsd.StatsClient(*sink.getsockname())
        yield {
            "`count`": {
                BASELINE: locked,
                OURS: lambda values: count(metrics, values),
                "prometheus_client": lambda values: increase(counter, values),
                "statsd": lambda values: incr(client, values),
            },
            "`measure(aggregate=True)`": {
                OURS: lambda values: measure(metrics, values),
                "prometheus_client": lambda values: observe(histogram, values),
                "statsd": lambda values: timing(client, values),
            },
            "`with timer(aggregate=True)`": {
                OURS: lambda values: timer(metrics, values),
                "prometheus_client": lambda values: time_block(histogram, values),
                "statsd": lambda values: timer(client, values),
            },
        }
    metrics.close()


def locked(values: Sequence[float]) -> None:
    lock, counts, name, n = threading.Lock(), {"web.requests": 0}, "web.requests", 1
    for _ in values:
        with lock:
            counts[name] += n


def count(metrics: Metrics, values: Sequence[float]) -> None:
    for _ in values:
        metrics.count("web.requests")


def increase(counter: prometheus_client.Counter, values: Sequence[float]) -> None:
    for _ in values:
        counter.inc()


def incr(client: statsd.StatsClient, values: Sequence[float]) -> None:
    for _ in values:
        client.incr("web.requests")


def measure(metrics: Metrics, values: Sequence[float]) -> None:
    for value in values:
        metrics.measure("web.latency", value, "ms", aggregate=True)


def observe(histogram: prometheus_client.Histogram, values: Sequence[float]) -> None:
    for value in values:
        histogram.observe(value)


def timing(client: statsd.StatsClient, values: Sequence[float]) -> None:
    for value in values:
        client.timing("web.latency", value)


def timer(client: Metrics | statsd.StatsClient, values: Sequence[float]) -> None:
    if isinstance(client, Metrics):
        for _ in values:
            with client.timer("web.work", aggregate=True):
                pass
    else:
        for _ in values:
            with client.timer("web.work"):
                pass


def time_block(histogram: prometheus_client.Histogram, values: Sequence[float]) -> None:
    for _ in values:
        with histogram.time():
            pass


def nanoseconds(subject: Subject, values: Sequence[float]) -> float:
    """CPU time of this thread for one call, including the loop's own."""
    begin = time.thread_time_ns()
    subject(values)
    return (time.thread_time_ns() - begin) / len(values)


def measured(calls: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The nanoseconds of a call in each round, by operation and subject."""
    generator = random.Random(1)
    values = [generator.lognormvariate(3, 1) for _ in range(calls)]
    results: dict[str, dict[str, list[float]]] = {}
    with subjects() as operations:
        for _ in range(rounds):
            for operation, by_name in operations.items():
                for name, subject in by_name.items():
                    taken = nanoseconds(subject, values)
                    results.setdefault(operation, {}).setdefault(name, []).append(taken)
    return results


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """A table of medians, with each cost as a multiple of ours."""
    lines = ["| call | by | ns | ÷ ours |", "| --- | --- | --- | --- |"]
    for operation, by_name in results.items():
        ours = by_name[OURS]
        for name, taken in by_name.items():
            ratio = median(one / mine for one, mine in zip(taken, ours, strict=True))
            shown = "1" if name == OURS else f"{ratio:.2f}"
            lines.append(f"| {operation} | {name} | {median(taken):,.0f} | {shown} |")
    baseline, ours = results["`count`"][BASELINE], results["`count`"][OURS]
    ratios = [mine / one for one, mine in zip(baseline, ours, strict=True)]
    lines += [
        "",
        f"`Metrics.count` ÷ a locked `d[k] += n`: {median(ratios):.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}), at most 2.00.",
    ]
    return "\n".join(lines)


def about(calls: int, rounds: int) -> str:
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("ddsketch", "prometheus-client", "statsd")
    )
    return (
        f"`python benchmarks/metrics.py`, Python {platform.python_version()},"
        f" {rounds} rounds of {calls:,} calls; {versions}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    given = parser.parse_args()
    results = measured(given.calls, given.rounds)
    text = f"{table(results)}\n\n{about(given.calls, given.rounds)}"
    print(text)
    if given.write:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + BEGIN + text + END + after)


if __name__ == "__main__":
    main()
