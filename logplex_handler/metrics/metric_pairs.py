"""Metrics in a log line: the `measure#`, `sample#` and `count#` pairs that `extra=` takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import lru_cache

from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import number_format
from logplex_handler.metrics.number_format import Number, Plain

# A name holds no character that a consumer would take for the end of the name, or for another kind
# of metric.
_NAME = r"""[^\x00-\x20="'\\#\x7f-\x9f\ud800-\udfff]+"""
_KEY = re.compile(rf"(?:measure|sample|count)#{_NAME}")
# With these two limits, one metric with its source always fits in the smallest packet allowed.
MAX_NAME_BYTES = 200
_LONGEST_KEY = len("measure#") + MAX_NAME_BYTES
_MAX_UNIT_LETTERS = 20
_UNIT = re.compile(rf"[A-Za-z]{{0,{_MAX_UNIT_LETTERS}}}")
# A source needs no quotes in a line.
_SOURCE = re.compile(r"""(?!')[^\x00-\x20="\\\x7f-\x9f]+""")
_MAX_SOURCE_BYTES = 200
# Together with a header of at most 480 bytes, such a line fits in the smallest packet allowed
# (2,048 bytes), so a line of metrics is never cut.
MAX_LINE_BYTES = 1000


class MetricValue(str):
    """A checked number with its unit, which never needs quotes."""

    __slots__ = ()


class MetricSource(str):
    """The checked source of a line of metrics, which an application's extra cannot be."""

    __slots__ = ()


def is_metric(key: str, value: object) -> bool:
    """Return whether the pair was made by `measure`, `sample` or `count`."""
    return type(value) is MetricValue and len(key) <= _LONGEST_KEY and _is_metric_key(key)


@lru_cache(maxsize=1024)
def _is_metric_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


def measure(name: str, value: Number | timedelta, unit: str = "") -> dict[str, str]:
    """Make the pair for one event, such as the time of one request: `measure#web.latency=4ms`.

    Pass it as `extra=`, alone or joined with other pairs by `|`:
    `logger.info("", extra=measure("web.latency", 4, "ms") | {"path": "/"})`.

    Args:
        name: Dotted, from least to most specific, at most 200 bytes; no spaces, control
            characters, quotes, `=`, `#` or backslashes.
        value: A finite number that is not negative, such as an int, a float, a Decimal, a Fraction
            or a numpy scalar. Whole numbers are written in full, others in fixed point, rounded
            to six decimals: use a smaller unit for values below 0.000001, such as 250 `ns` for
            2.5e-7 seconds, which would be written as 0. A timedelta is written in milliseconds.
        unit: At most 20 letters a-z and A-Z. Use one unit for each name: the unit is part of the
            metric's identity. Default: none; `ms` for a timedelta, which takes no other unit.

    Raises:
        TypeError: The value is not a number (for example a bool or a string), or the name or unit
            is not a string.
        ValueError: A consumer could not read the name, the value or the unit. (l2met ignores a
            value that is negative or above 1.8e308.)
    """
    return _metric("measure", name, value, unit)


def sample(name: str, value: Number | timedelta, unit: str = "") -> dict[str, str]:
    """Make the pair for an aggregated value, logged about once a minute: `sample#db_size=21.5MB`.

    The arguments and errors are those of `measure`.
    """
    return _metric("sample", name, value, unit)


def count(name: str, n: Number = 1) -> dict[str, str]:
    """Make the pair for an increment of a counter, 1 by default: `count#db.queries=2`.

    The arguments and errors are those of `measure`, but a count has no unit and cannot be a
    timedelta.
    """
    return _metric("count", name, n, "")


def _metric(kind: str, name: str, value: object, unit: str) -> dict[str, str]:
    name, unit = check(kind, name, unit)
    value, unit = number_and_unit(kind, name, value, unit)
    return {f"{kind}#{name}": MetricValue(number_format.written(value) + unit)}


def check(
    kind: str, name: str, unit: str = "", max_name_bytes: int = MAX_NAME_BYTES
) -> tuple[str, str]:
    """Raise an error for a name or unit that a consumer could not read, or return both as `str`.

    A member of an Enum, for example, is formatted as another text than the one that it is.
    """
    if not isinstance(name, str):
        raise TypeError(f"{kind}: the name must be a string, not {type(name).__name__}")
    if not isinstance(unit, str):
        raise TypeError(f"{kind} {name}: the unit must be a string, not {type(unit).__name__}")
    name, unit = str.__str__(name), str.__str__(unit)
    _check(kind, name, unit, max_name_bytes)
    return name, unit


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
    """Return the value as an int, a float or a Fraction, and its unit. Errors name the metric."""
    number = value
    if isinstance(value, timedelta) and kind != "count":
        if unit not in ("", "ms"):
            raise ValueError(f"{kind} {name}: a timedelta is written in ms, not in {unit}")
        # A timedelta holds whole microseconds; a float would round them.
        number, unit = number_format.fraction(value // timedelta(microseconds=1)) / 1000, "ms"
    try:
        return number_format.plain(number), unit
    except (TypeError, ValueError) as error:
        raise type(error)(f"{kind} {name}: the value {_shown(value)} {error}") from None


def checked_source(option: str, source: object) -> str:
    """Return the source as `str`, or raise an error that names the option if it cannot be read."""
    if (
        not isinstance(source, str)
        or not _SOURCE.fullmatch(source)
        or len(source.encode("utf-8", "replace")) > _MAX_SOURCE_BYTES
    ):
        raise ConfigurationError(
            f"{option}: must be 1 to {_MAX_SOURCE_BYTES} bytes of text without spaces, quotes, "
            "'=', backslashes or control characters"
        )
    return str.__str__(source)


def metrics_text(metrics: list[str], source: str) -> str:
    """Return a line of metrics alone. `source` is the whole pair, or empty."""
    return " ".join([source, *metrics] if source else metrics)


def in_lines(metrics: Iterable[str], source: str) -> Iterator[list[str]]:
    """Yield the metrics in groups, one for each line.

    A line has at most 1,000 bytes, source included, unless it holds a single metric.
    """
    line: list[str] = []
    start = used = len(source.encode("utf-8", "replace"))
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
        # The int has more digits than Python converts to text, or __repr__ fails.
        return f"of type {type(value).__name__}"
    return text if len(text) <= 100 else text[:100] + "…"
