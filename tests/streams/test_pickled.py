"""What is kept of streams that are not in use: bytes where that is possible."""

import copyreg
import datetime
import math
import sys

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


class Interrupting(str):
    def __reduce__(self):
        raise KeyboardInterrupt


class Span(datetime.timedelta):
    """Another class, which a time zone keeps."""


class Zone(datetime.tzinfo):
    """One that cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError

    def utcoffset(self, _):
        return datetime.timedelta(hours=1)

    dst = tzname = utcoffset


def at(zone):
    return datetime.datetime(2026, 12, 1, tzinfo=zone)


OBJECTS = {
    "text": Text("text"),
    "object": object(),
    "class": (1, Text),
    "zoned": (1, (at(Zone()),)),
    "named zone": (1, at(datetime.timezone(datetime.timedelta(hours=1), Text("CET")))),
    "span of a zone": (1, at(datetime.timezone(Span(hours=1)))),
    # As the hostname of a destination, for example.
    "text within": ("https://logs.example.com/logs", "token", "t.1", Text("web"), True),
    "interrupting": (1, Interrupting("text")),
}


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS)
def test_objects_of_an_application_are_kept_themselves(value):
    """Their classes may not be found again, or be others then."""
    values = ("FOUND", value)
    assert pickled(values) is values
    assert unpickled(values) is values


OF_KNOWN_TYPES = ("FOUND", (METRIC, at(datetime.timezone.utc), at(None)))


def test_an_application_may_replace_modules_and_classes_meanwhile(monkeypatch):
    kept = pickled(OF_KNOWN_TYPES)
    assert type(kept) is bytes
    monkeypatch.setattr(datetime, "datetime", None)
    monkeypatch.setitem(sys.modules, type(METRIC).__module__, None)
    found = unpickled(kept)
    assert found == OF_KNOWN_TYPES
    assert [*map(type, found[1])] == [*map(type, OF_KNOWN_TYPES[1])]


def test_an_application_may_tell_pickle_how_to_treat_these_types(monkeypatch):
    def interrupting(_):
        raise KeyboardInterrupt

    for value in OF_KNOWN_TYPES[1]:
        monkeypatch.setitem(copyreg.dispatch_table, type(value), interrupting)
    assert unpickled(pickled(OF_KNOWN_TYPES)) == OF_KNOWN_TYPES
