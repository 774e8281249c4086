"""Metrics in a log line: what `extra=` takes to make `measure#`, `sample#` and `count#` pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

from logplex_handler.metrics import number_format
from logplex_handler.metrics.number_format import Number, Plain

__all__ = ["count", "measure", "sample"]

# What a consumer would take for the end of the name, or for another kind of metric.
_NAME = r"""[^\x00-\x20="'\\#\x7f-\x9f\ud800-\udfff]+"""
_KEY = re.compile(rf"(?:measure|sample|count)#{_NAME}")
# With these two, one metric with its source always fits the smallest packet allowed.
MAX_NAME_BYTES = 200
_MAX_UNIT_LETTERS = 20
_UNIT = re.compile(rf"[A-Za-z]{{0,{_MAX_UNIT_LETTERS}}}")
# With a header of at most 480 bytes, a line of metrics then fits the smallest packet allowed
# (2,048 bytes), so it is never cut.
MAX_LINE_BYTES = 1000


class MetricValue(str):
    """A number with its unit that was checked when it was written, so it is never quoted."""

    __slots__ = ()


def is_metric(key: str, value: object) -> bool:
    """Whether the two stand together as one of the functions below has made them."""
    return type(value) is MetricValue and _KEY.fullmatch(key) is not None


def measure(name: str, value: Number | timedelta, unit: str = "") -> dict[str, str]:
    """One event worth aggregating, such as the time of one request: `measure#web.latency=4ms`.

    Use it as `extra=`, alone or joined with other pairs by `|`:
    `logger.info("", extra=measure("web.latency", 4, "ms") | {"path": "/"})`.

    Args:
        name: Dotted, from least to most specific, at most 200 bytes; no spaces, quotes, `=`, `#`
            or backslashes.
        value: A finite number that is not negative, such as an int, a float, a Decimal, a Fraction
            or a scalar of numpy. Whole numbers are written in full, others in fixed point, rounded
            to six decimals. A timedelta is written in milliseconds.
        unit: Letters a-z and A-Z only, at most 20. Keep to one unit for one name: it is part of
            the metric's identity. Default: none; `ms` for a timedelta, which takes no other.

    Raises:
        TypeError: The value is no number (a bool or a string, say), or the name or unit is no
            string.
        ValueError: The name, the value or the unit could not be read back by a consumer: l2met
            takes a negative number or one above 1.8e308 for none at all.
    """
    return _metric("measure", name, value, unit)


def sample(name: str, value: Number | timedelta, unit: str = "") -> dict[str, str]:
    """A statistic that is aggregated already, about once a minute: `sample#db_size=21.5MB`.

    Arguments and errors as for `measure`.
    """
    return _metric("sample", name, value, unit)


def count(name: str, n: Number = 1) -> dict[str, str]:
    """An increment of a counter, 1 by default: `count#db.queries=2`.

    Arguments and errors as for `measure`; a count has no unit, and is no time.
    """
    return _metric("count", name, n, "")


def _metric(kind: str, name: str, value: object, unit: str) -> dict[str, str]:
    check(kind, name, unit)
    value, unit = number_and_unit(kind, name, value, unit)
    return {f"{kind}#{name}": MetricValue(number_format.written(value) + unit)}


def check(kind: str, name: str, unit: str = "", max_name_bytes: int = MAX_NAME_BYTES) -> None:
    """Raise the error of a name or unit that could not be read back."""
    if not isinstance(name, str):
        raise TypeError(f"{kind}: the name must be a string, not {type(name).__name__}")
    if not isinstance(unit, str):
        raise TypeError(f"{kind} {name}: the unit must be a string, not {type(unit).__name__}")
    _check(kind, name, unit, max_name_bytes)


# A program has few names and uses them often.
@lru_cache(maxsize=1024)
def _check(kind: str, name: str, unit: str, max_name_bytes: int) -> None:
    if not re.fullmatch(_NAME, name) or len(name.encode()) > max_name_bytes:
        raise ValueError(
            f"{kind}: the name {name[:MAX_NAME_BYTES]!r} must be 1 to {max_name_bytes} bytes "
            "without spaces, control characters, quotes, '=', '#' or backslashes"
        )
    if not _UNIT.fullmatch(unit):
        raise ValueError(
            f"{kind} {name}: the unit {unit[:_MAX_UNIT_LETTERS]!r} must be at most "
            f"{_MAX_UNIT_LETTERS} letters a-z or A-Z"
        )


def number_and_unit(kind: str, name: str, value: object, unit: str) -> tuple[Plain, str]:
    """The value as one of Python's own numbers, with its unit; else the error that says why not."""
    number = value
    if isinstance(value, timedelta) and kind != "count":
        if unit not in ("", "ms"):
            raise ValueError(f"{kind} {name}: a timedelta is written in ms, not in {unit}")
        # In whole microseconds, as it is held, so that nothing is lost to a float.
        number, unit = Fraction(value // timedelta(microseconds=1), 1000), "ms"
    try:
        return number_format.plain(number), unit
    except (TypeError, ValueError) as error:
        raise type(error)(f"{kind} {name}: the value {_shown(value)} {error}") from None


def metrics_text(metrics: list[str], source: str) -> str:
    """A line of metrics alone. `source` is the pair, or empty."""
    return " ".join([source, *metrics] if source else metrics)


def in_lines(metrics: Iterable[str], source: str) -> Iterator[list[str]]:
    """Pairs of metrics in groups for lines of at most 1,000 bytes with the source; each has one at
    least."""
    line: list[str] = []
    start = used = len(source.encode())
    for metric in metrics:
        size = len(metric.encode("utf-8", "replace")) + 1
        if line and used + size > MAX_LINE_BYTES:
            yield line
            line, used = [], start
        line.append(metric)
        used += size
    if line:
        yield line


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        # An int of more digits than Python turns into text, or a failing __repr__.
        return f"of type {type(value).__name__}"
    return text if len(text) <= 100 else text[:100] + "…"
