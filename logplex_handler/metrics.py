"""Metrics in a log line: what `extra=` takes to make `measure#`, `sample#` and `count#` pairs."""

from __future__ import annotations

import re

from logplex_handler import _keyvalue

__all__ = ["count", "measure", "sample"]

# What a consumer would take for the end of the name, or for another kind of metric.
_NAME = r"""[^\x00-\x20="'\\#\x7f-\x9f\ud800-\udfff]+"""
_KEY = re.compile(rf"(?:measure|sample|count)#{_NAME}")
# With these two, one metric with its source always fits the smallest packet allowed.
_MAX_NAME_BYTES = 200
_MAX_UNIT_LETTERS = 20
_UNIT = re.compile(rf"[A-Za-z]{{0,{_MAX_UNIT_LETTERS}}}")


class MetricValue(str):
    """A number with its unit that was checked when it was written, so it is never quoted."""

    __slots__ = ()


def is_metric(key: str, value: object) -> bool:
    """Whether the two stand together as one of the functions below has made them."""
    return type(value) is MetricValue and _KEY.fullmatch(key) is not None


def measure(name: str, value: float, unit: str = "") -> dict[str, str]:
    """One event worth aggregating, such as the time of one request: `measure#web.latency=4ms`.

    Use it as `extra=`, alone or joined with other pairs by `|`:
    `logger.info("", extra=measure("web.latency", 4, "ms") | {"path": "/"})`.

    Args:
        name: Dotted, from least to most specific, at most 200 bytes; no spaces, quotes, `=`, `#`
            or backslashes.
        value: A finite number that is not negative; written in fixed point, rounded to six
            decimals.
        unit: Letters a-z and A-Z only, at most 20. Keep to one unit for one name: it is part of
            the metric's identity.

    Raises:
        TypeError: The value is no int or float (a bool or a string, say), or the name or unit is
            no string.
        ValueError: The name, the value or the unit could not be read back by a consumer.
    """
    return _metric("measure", name, value, unit)


def sample(name: str, value: float, unit: str = "") -> dict[str, str]:
    """A statistic that is aggregated already, about once a minute: `sample#db_size=21.5MB`.

    Arguments and errors as for `measure`.
    """
    return _metric("sample", name, value, unit)


def count(name: str, n: float = 1) -> dict[str, str]:
    """An increment of a counter, 1 by default: `count#db.queries=2`.

    Arguments and errors as for `measure`; a count has no unit.
    """
    return _metric("count", name, n, "")


def _metric(kind: str, name: str, value: float, unit: str) -> dict[str, str]:
    if not isinstance(name, str):
        raise TypeError(f"{kind}: the name must be a string, not {type(name).__name__}")
    if not re.fullmatch(_NAME, name) or len(name.encode()) > _MAX_NAME_BYTES:
        raise ValueError(
            f"{kind}: the name {name[:_MAX_NAME_BYTES]!r} must be 1 to {_MAX_NAME_BYTES} bytes "
            "without spaces, control characters, quotes, '=', '#' or backslashes"
        )
    if not isinstance(unit, str):
        raise TypeError(f"{kind} {name}: the unit must be a string, not {type(unit).__name__}")
    if not _UNIT.fullmatch(unit):
        raise ValueError(
            f"{kind} {name}: the unit {unit[:_MAX_UNIT_LETTERS]!r} must be at most "
            f"{_MAX_UNIT_LETTERS} letters a-z or A-Z"
        )
    try:
        digits = _keyvalue.number(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{kind} {name}: the value {_shown(value)} {error}") from None
    return {f"{kind}#{name}": MetricValue(digits + unit)}


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        # An int of more digits than Python turns into text, or a failing __repr__.
        return f"of type {type(value).__name__}"
    return text if len(text) <= 100 else text[:100] + "…"
