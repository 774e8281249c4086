"""What is kept of streams that are not in use: bytes where that is possible."""

import datetime
import decimal
import math
import uuid

import pytest

from logplex_handler import measure
from logplex_handler._wire.entry import weight
from logplex_handler.streams._pickled import pickled, unpickled

UTC = datetime.timezone.utc
METRIC = measure("web.latency", 4, "ms")["measure#web.latency"]

VALUES = [
    None,
    True,
    0,
    -1,
    2**70,
    -(2**200),
    0.1,
    -0.0,
    math.inf,
    5e-324,
    "",
    "münchen",
    "\udc80 \U0001f600",
    "x" * 3000,
    b"",
    b"\x00\xff",
    (),
    ("nested", (1, (2.5, None))),
    METRIC,
    datetime.datetime(2026, 12, 1, 2, 3, 4, 5, UTC),
    decimal.Decimal("1.50"),
    uuid.UUID(int=7),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_of_records_come_back_as_they_were(value):
    values = ("FOUND", 1.5, (7, value, "last"))
    kept = pickled(values)
    assert type(kept) is bytes
    found = unpickled(kept)
    assert found == values
    assert repr(found) == repr(values)
    assert type(found[2][1]) is type(value)
    assert weight(found[2]) == weight(values[2])


class Text(str):
    """A subclass, as an application may have one."""


class Zone(datetime.tzinfo):
    """One that cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError

    def utcoffset(self, _):
        return datetime.timedelta(hours=1)

    dst = tzname = utcoffset


ZONED = datetime.datetime(2026, 12, 1, tzinfo=Zone())


@pytest.mark.parametrize(
    "value", [Text("text"), object(), (1, (ZONED,))], ids=["text", "object", "zoned"]
)
def test_objects_of_an_application_are_kept_themselves(value):
    values = ("FOUND", value)
    assert pickled(values) is values
    assert unpickled(values) is values
