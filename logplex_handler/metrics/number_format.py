"""Numbers in the form that consumers of metrics read: digits, at most one point, and no sign.

l2met reads `1e3` as 1, ignores values that are negative, infinite or not a number, and drops values
larger than the largest float.
"""

from __future__ import annotations

import math
import numbers
import sys
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction

# Everything that converts to a float: int, float, Decimal, Fraction and numpy's scalars.
Number: TypeAlias = SupportsFloat
_KINDS = (numbers.Real, Decimal)
# The number types that values are reduced to.
Plain: TypeAlias = "int | float | Fraction"

LARGEST = sys.float_info.max
_DECIMALS = 6
# Rounds to so many digits that the decimals of even the largest float stay.
_ENOUGH_DIGITS = Context(prec=330, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
# Significant digits of a computed number, such as a mean. More digits mean nothing, and some
# consumers take a long run of digits for a credit card number.
_DIGITS = 6


def plain(value: object) -> Plain:
    """Return the value as an int, a float or a Fraction.

    Raises:
        TypeError: The value is not a number; neither a bool nor a string of digits is one.
        ValueError: No consumer would read the value.
    """
    number: Plain
    if isinstance(value, bool) or not isinstance(value, _KINDS):
        raise TypeError(f"must be a number, not {type(value).__name__}")
    if isinstance(value, numbers.Integral):
        number = int(value)
    elif isinstance(value, Decimal):
        number = _of_decimal(value)
    elif isinstance(value, numbers.Rational):
        number = fraction(int(value.numerator)) / int(value.denominator)
    else:
        number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError("must be finite and not negative")
    if number > LARGEST:
        raise ValueError("must be at most 1.8e308, the largest float")
    return number


def _of_decimal(value: Decimal) -> Plain:
    """Return the Decimal's value without computing the digits of a huge one such as 1e1000000."""
    if value.is_nan():
        return math.nan
    if not value:
        return 0
    if value.is_infinite() or value.adjusted() > sys.float_info.max_10_exp:
        return -math.inf if value.is_signed() else math.inf
    if value.adjusted() < sys.float_info.min_10_exp:
        return 0
    # The time that a Fraction takes grows with the square of its digits.
    return fraction(_ENOUGH_DIGITS.plus(value))


def fraction(value: int | Decimal) -> Fraction:
    """Return a Fraction, of a module that is only imported here, because few metrics need it."""
    from fractions import Fraction

    return Fraction(value)


def written(value: object) -> str:
    """Return the value in fixed point: whole numbers in full, others with at most six decimals.

    Raises:
        TypeError, ValueError: As `plain` does.
    """
    number = plain(value)
    if isinstance(number, int):
        return str(number)
    if isinstance(number, float):
        digits = f"{abs(number):.{_DECIMALS}f}"
    else:
        whole, decimals = divmod(round(number * 10**_DECIMALS), 10**_DECIMALS)
        digits = f"{whole}.{decimals:0{_DECIMALS}}"
    return digits.rstrip("0").rstrip(".")


def short(value: float) -> float:
    """Return a computed number, rounded to six significant digits, or to an integer of more."""
    if not 0 < value < math.inf:
        return value
    return round(value, max(0, _DIGITS - 1 - math.floor(math.log10(value))))
