"""Numbers as the readers of metrics take them: digits, at most one point, and no sign.

l2met reads `1e3` as 1, ignores what is negative, infinite or no number, and drops what is larger
than the largest float.
"""

from __future__ import annotations

import math
import numbers
import sys
from decimal import Decimal
from fractions import Fraction
from typing import SupportsFloat, TypeAlias

# What has a float's value, so not only int and float: Decimal, Fraction and numpy's scalars too.
Number: TypeAlias = SupportsFloat
_KINDS = (numbers.Real, Decimal)
# Python's own among them.
Plain: TypeAlias = int | float | Fraction

LARGEST = sys.float_info.max
_DECIMALS = 6
# Digits of a number that has been calculated, such as a mean: a longer tail says nothing, and looks
# to some consumers like the number of a credit card.
_DIGITS = 6


def plain(value: object) -> Plain:
    """The value as one of Python's own numbers, unless no consumer would read it.

    Raises:
        TypeError: It is no number; a bool is none here, and neither is a text of digits.
        ValueError: It is negative, not finite, or larger than the largest float.
    """
    number: Plain
    if isinstance(value, bool) or not isinstance(value, _KINDS):
        raise TypeError(f"must be a number, not {type(value).__name__}")
    if isinstance(value, numbers.Integral):
        number = int(value)
    elif isinstance(value, Decimal):
        number = _of_decimal(value)
    elif isinstance(value, numbers.Rational):
        number = Fraction(int(value.numerator), int(value.denominator))
    else:
        number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError("must be finite and not negative")
    if number > LARGEST:
        raise ValueError("must be at most 1.8e308, the largest float")
    return number


def _of_decimal(value: Decimal) -> Plain:
    """Its value, without writing out what an exponent of a million stands for."""
    if value.is_nan():
        return math.nan
    if not value:
        return 0
    if value.is_infinite() or value.adjusted() > sys.float_info.max_10_exp:
        return -math.inf if value.is_signed() else math.inf
    return Fraction(value) if value.adjusted() >= sys.float_info.min_10_exp else 0


def written(value: object) -> str:
    """The value in fixed point: whole numbers in full, others with at most six decimals.

    Raises:
        TypeError, ValueError: as `plain` does.
    """
    number = plain(value)
    if isinstance(number, int):
        return str(number)
    if isinstance(number, Fraction):
        whole, decimals = divmod(round(number * 10**_DECIMALS), 10**_DECIMALS)
        digits = f"{whole}.{decimals:0{_DECIMALS}}"
    else:
        digits = f"{abs(number):.{_DECIMALS}f}"
    return digits.rstrip("0").rstrip(".")


def short(value: float) -> float:
    """A number that has been calculated, to six digits; more if it has more before the point."""
    if not 0 < value < math.inf:
        return value
    return round(value, max(0, _DIGITS - 1 - math.floor(math.log10(value))))
