"""Records of compiled call sites, and the lines that the formatter writes for them."""

import dataclasses
import datetime
import decimal
import enum
import logging
import uuid
import zoneinfo
from fractions import Fraction
from unittest import mock

from logplex_handler import Destination, KeyValueFormatter
from logplex_handler._formatting import call_sites
from logplex_handler._formatting.call_site import NO_ENTRY
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.long_lines import parts
from logplex_handler._wire.packet import PacketForm

PACKET = PacketForm("host", "app", "web.1", 23, True, 10_000)
DESTINATION = Destination("http://127.0.0.1/logs", "token", "t.0")
FORMATTER = KeyValueFormatter(source="us-east", static={"team": "a%b"})


def make(message, args=(), extra=None, *, name="shop", level=logging.INFO, created=1e9 + 0.25):
    """A record as a logger makes it."""
    record = logging.getLogger(name).makeRecord(
        name, level, "here.py", 1, message, args, None, extra=extra
    )
    record.created = created
    return record


def codec_that_knows(*records, formatter=FORMATTER, packet=PACKET):
    """A codec that has compiled the call site of each record, at its first one.

    The records before the one for which it is compiled are only counted.
    """
    codec = Codec(packet, FORMATTER)
    with mock.patch.object(call_sites, "_RECORDS_BEFORE_COMPILING", 1):
        for record in records:
            codec.entry(record, formatter)
    return codec


def frames(codec, entry):
    (rendered,) = codec.render([entry], DESTINATION)
    return rendered


def formatted(record, formatter=FORMATTER):
    return PACKET.frames(record.created, record.levelno, formatter.format(record), parts)


def is_compiled(entry):
    return entry[0] > 0


class Colour(enum.Enum):
    RED = 1


class Sneaky(str):
    def __str__(self):
        return 'x" y=1\nz'

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


@dataclasses.dataclass
class Point:
    x: int
    y: str
    hidden: str = dataclasses.field(default="no", repr=False)


class Odd:
    def __str__(self):
        return 'odd "one"\n'


VALUES = [
    "berlin",
    "",
    "new york",
    'a "quoted" \\ one',
    "line\nbreak\r\ttab\x00\x1b[31m",
    "a=b c=d",
    "ünïcödé",
    "\u2028\x85\xa0",
    "\ufeffbom",
    "surrogate \ud800",
    "emoji 🎉",
    "x" * 5000,
    "100%",
    "%s",
    "{x}",
    "'",
    "'a' b=c",
    0,
    -1,
    7,
    2**70,
    2**200,
    -(2**200),
    1.5,
    -0.0,
    1e300,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    Colour.RED,
    uuid.UUID(int=5),
    decimal.Decimal("1.50"),
    Fraction(1, 3),
    b"bytes",
    [1, "two"],
    {"a": 1},
    {"a": ["'", 'b "c"', True, None]},
    (1, "é\x85", decimal.Decimal("1.50")),
    {uuid.UUID(int=5)},
    datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zoneinfo.ZoneInfo("UTC")),
    datetime.date(2026, 1, 2),
    Point(1, "x y"),
    Sneaky("sneaky"),
    Odd(),
    10**4000,
]


def known_entry(codec, record, formatter=FORMATTER):
    """Return the entry that the handler finds at once, or None."""
    entry = codec.call_sites.latest_entry(record, formatter)
    if entry is NO_ENTRY:
        entry = codec.call_sites.other_entry(record, formatter)
    return None if entry is NO_ENTRY else entry
