"""How numbers are written, so that l2met reads the same value."""

from __future__ import annotations

import math
import time
from decimal import Decimal, FloatOperation, localcontext
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler.metrics import number_format

LARGEST = int(1.7976931348623157e308)


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (0, "0"),
        (-0.0, "0"),
        (4, "4"),
        (10**308, "1" + "0" * 308),
        (LARGEST, str(LARGEST)),
        (2**64 + 1, "18446744073709551617"),
        (0.5, "0.5"),
        (4.0, "4"),
        (100.0, "100"),
        (21.50, "21.5"),
        (0.1 + 0.2, "0.3"),
        (1e-6, "0.000001"),
        (1e-7, "0"),
        (0.0000005001, "0.000001"),
        (1e3, "1000"),
        (1e21, "1" + "0" * 21),
        (1e300, str(int(1e300))),
        (1.7976931348623157e308, str(LARGEST)),
        (Decimal("4.50"), "4.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0"), "0"),
        (Decimal("0E+999999"), "0"),
        (Decimal("1E-999999"), "0"),
        (Decimal("9007199254740993.25"), "9007199254740993.25"),
        (Fraction(1, 3), "0.333333"),
        (Fraction(2, 3), "0.666667"),
        (Fraction(10**30, 1), "1" + "0" * 30),
        (numpy.int64(2**62), str(2**62)),
        (numpy.uint8(255), "255"),
        (numpy.float32(0.5), "0.5"),
        (numpy.float64(21.5), "21.5"),
        (numpy.longdouble("1.25"), "1.25"),
    ],
)
def test_numbers_are_fixed_point_with_at_most_six_decimals(value, digits):
    """No exponent, no trailing zeros, no sign: the digits that l2met reads as they are meant."""
    assert number_format.written(value) == digits


@pytest.mark.parametrize(
    "value", [True, False, None, "4", b"4", 4j, [4], numpy.bool_(True), numpy.array([4])]
)
def test_what_is_no_number_is_refused(value):
    """Also bools and strings of digits, which are probably mistakes."""
    with pytest.raises(TypeError, match="must be a number, not "):
        number_format.written(value)


@pytest.mark.parametrize(
    "value",
    [
        *[
            -1,
            -0.1,
            -(10**310),
            math.nan,
            math.inf,
            -math.inf,
            Fraction(-1, 3),
            Decimal("-1E+9999"),
        ],
        *[Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-0.5"), numpy.int8(-1)],
        *[numpy.float32("nan"), numpy.float64("inf")],
    ],
)
def test_what_l2met_drops_is_refused(value):
    """Negative, infinite and undefined values."""
    with pytest.raises(ValueError, match="must be finite and not negative"):
        number_format.written(value)


@pytest.mark.parametrize(
    "value",
    [LARGEST + 1, 10**310, 10**5000, Fraction(10**309, 1), Decimal("1E+400")],
    ids=["one more", "310 zeros", "5,000 zeros", "a Fraction", "a Decimal"],
)
def test_what_is_no_float_any_more_is_refused(value):
    """l2met reads a float, and drops larger values."""
    with pytest.raises(ValueError, match="must be "):
        number_format.written(value)


def test_a_decimal_with_a_huge_exponent_costs_nothing():
    """It is refused or rounded without writing its zeros."""
    begin = time.process_time()
    assert number_format.written(Decimal("1E-99999999")) == "0"
    with pytest.raises(ValueError, match="must be finite"):
        number_format.written(Decimal("1E+99999999"))
    assert time.process_time() - begin < 1


def test_a_decimal_of_many_digits_takes_time_in_proportion():
    """A fraction of a million digits takes minutes."""
    digits = Decimal("12." + "3" * 2_000_000)
    begin = time.process_time()
    assert number_format.written(digits) == "12.333333"
    assert time.process_time() - begin < 5


def test_the_decimal_context_of_the_application_does_not_matter():
    """Neither its precision nor its traps."""
    with localcontext() as context:
        context.prec = 2
        context.traps[FloatOperation] = True
        assert number_format.written(Decimal("12345.678")) == "12345.678"


@settings(max_examples=300)
@given(
    st.floats(min_value=0, allow_infinity=False)
    | st.integers(0, LARGEST)
    | st.decimals(min_value=0, max_value=10**20, allow_nan=False)
    | st.fractions(min_value=0, max_value=10**20)
)
def test_l2met_reads_the_number_that_was_meant(value):
    """Any number that is accepted is read back within half of the sixth decimal."""
    digits = number_format.written(value)
    assert set(digits) <= set("0123456789.")
    assert abs(Fraction(digits) - Fraction(value)) <= Fraction(5, 10**7)
    assert math.isfinite(float(digits))


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (0.0, "0"),
        (123.456789, "123.457"),
        (0.000123456789, "0.000123"),
        (1234567.891, "1234568"),
        (99.99999, "100"),
        (4.5, "4.5"),
    ],
)
def test_a_calculated_number_keeps_six_digits(value, digits):
    """More if there are more before the point."""
    assert number_format.written(number_format.short(value)) == digits
