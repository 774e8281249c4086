"""How waiting entries become the frames of one request."""

import logging
from functools import partial
from unittest.mock import patch

import pytest

from logplex_handler import Destination, KeyValueFormatter
from logplex_handler._buffer.accumulator import Buffer, BufferLimits
from logplex_handler._formatting.codec import Entries
from logplex_handler._sender.drain import fill
from logplex_handler._wire.frames import Run, number, singles
from logplex_handler._wire.packet import PacketForm

FRAME = 10


def buffer_of(*entries):
    """A buffer with the entries, each of which is its frames, or an error."""
    buffer = Buffer(BufferLimits(10**6, "drop_oldest", 10, 10**6), lambda entry: (10, 1))
    for entry in entries:
        buffer.put_light(entry)
    return buffer


def render(entries):
    for (what,) in entries:
        if isinstance(what, BaseException):
            raise what
        yield what


def one(number):
    return (b"%010d" % number,)


def settled(buffer):
    """The entries that are still queued, with nothing being sent."""
    return [what for (what,) in buffer.take(10_000)]


def test_all_that_waits_goes_into_one_request_if_it_fits():
    """In order, behind what is in it already."""
    buffer = buffer_of(*map(one, range(2000)))
    frames = [b"own line\n"]
    fill(frames, 10**6, buffer, render)
    assert frames == [b"own line\n", *[b"%010d" % number for number in range(2000)]]
    assert buffer.books()[2] == 2000


@pytest.mark.parametrize("room", [10, 19, 95, 100, 5005, 12_345])
def test_what_does_not_fit_stays_in_its_place(room):
    """As many as fit are taken, whatever their number."""
    buffer = buffer_of(*map(one, range(3000)))
    frames = []
    fill(frames, room, buffer, render)
    assert frames == [b"%010d" % number for number in range(room // FRAME)]
    assert settled(buffer)[:2] == [b"%010d" % (len(frames) + more) for more in (0, 1)]


def rendered_as_runs(entries):
    """Three entries at a time."""
    frames = [what for (what,) in entries]
    return [Run(frames[at : at + 3]) for at in range(0, len(frames), 3)]


@pytest.mark.parametrize("room", [9, 10, 29, 30, 31, 59, 60, 100, 5000, 9999, 10_010, 20_000])
def test_a_run_that_does_not_fit_is_cut(room):
    """As many of its records as fit are taken, and the others stay in their place."""
    buffer = buffer_of(*map(one, range(1001)))
    frames = []
    fill(frames, room, buffer, rendered_as_runs)
    fitting = min(1001, max(1, room // FRAME))
    assert [*singles(frames)] == [b"%010d" % index for index in range(fitting)]
    assert number(frames) == fitting
    assert settled(buffer) == [b"%010d" % left for left in range(fitting, 1001)]


def test_entries_of_all_sizes_fill_the_room():
    """What comes behind a large one does not go before it."""
    buffer = buffer_of((b"a" * 5,), (b"b" * 50,), (b"c" * 50,), (b"d",))
    frames = []
    fill(frames, 60, buffer, render)
    assert frames == [b"a" * 5, b"b" * 50]
    assert settled(buffer) == [b"c" * 50, b"d"]


def test_one_entry_is_taken_however_large_it_is():
    """It would never leave otherwise."""
    buffer = buffer_of((b"a" * 500,), (b"b",))
    frames = []
    fill(frames, 60, buffer, render)
    assert frames == [b"a" * 500]
    assert settled(buffer) == [b"b"]


def test_the_frames_of_one_entry_stay_together():
    """They know of each other."""
    buffer = buffer_of(one(1), ([b"two", b"three"],), ([b"four"],))
    frames = []
    fill(frames, 1000, buffer, render)
    assert frames == [b"0000000001", b"two", b"three", b"four"]
    assert frames[1].record is frames[2].record
    assert type(frames[3]) is bytes


def test_an_entry_without_frames_is_dropped_and_counted():
    """The others go on."""
    buffer = buffer_of(one(1), ([],), one(2), ([],))
    frames = []
    fill(frames, 1000, buffer, render)
    assert frames == [b"0000000001", b"0000000002"]
    buffer.settle(delivered=2)
    assert buffer.books() == (4, 2, 0, {"format_error": 2})


def test_a_slice_of_entries_without_frames_is_no_end():
    """What comes behind them is taken."""
    buffer = buffer_of(*[([],)] * 700, one(1))
    frames = []
    fill(frames, 1000, buffer, render)
    assert frames == [b"0000000001"]
    buffer.settle(delivered=1)
    assert buffer.books() == (701, 1, 0, {"format_error": 700})


def test_what_is_given_back_and_what_is_sent_hold_their_memory_once():
    """A buffer of large entries takes more while a batch of them is sent."""
    limits = BufferLimits(1000, "drop_newest", 10, 10**6)
    buffer = Buffer(limits, lambda entry: (len(entry[0]), 1))
    for _ in range(9):
        buffer.put((b"x" * 100,))
    frames = []
    fill(frames, 250, buffer, render)
    assert len(frames) == 2
    # Beside their bytes, frames hold some of their own.
    buffer.put((b"y",))
    assert buffer.books() == (10, 0, 10, {})


def test_what_a_signal_interrupts_is_neither_lost_nor_doubled():
    """What was added stays, and the rest is given back."""
    buffer = buffer_of(*map(one, range(700)), (KeyboardInterrupt(),), *map(one, range(700, 800)))
    frames = []
    with pytest.raises(KeyboardInterrupt):
        fill(frames, 10**6, buffer, render)
    assert frames == [b"%010d" % number for number in range(700)]
    buffer.settle(delivered=700)
    assert settled(buffer)[1:] == [b"%010d" % number for number in range(700, 800)]


def test_what_does_not_fit_is_not_made_into_frames():
    """A long record would be so again and again."""
    made = []

    def render_and_note(entries):
        for (what,) in entries:
            made.append(what)
            yield what

    fill([], 55, buffer_of(*map(one, range(400))), render_and_note)
    assert made == [b"%010d" % number for number in range(6)]


def test_long_records_are_made_into_frames_once():
    """Those that wait for the next batch are not, however many are taken at a time."""
    form = PacketForm("host", "app", "web.1", 23, True, 10_000)
    entries = Entries(form, KeyValueFormatter())
    buffer = Buffer(BufferLimits(10**7, "drop_oldest", 10, 10**6), entries.weigh)
    for index in range(40):
        text = f"{index} {'x' * 20_000}"
        record = logging.LogRecord("shop", logging.INFO, "", 0, text, (), None)
        buffer.put(entries.entry(record, None)[0])
    written = []
    with patch.object(PacketForm, "frames", autospec=True, side_effect=PacketForm.frames) as frames:
        for _ in range(4):
            batch = []
            render = partial(entries.render, destination=Destination("", "", ""))
            fill(batch, 210_000, buffer, render)
            written.append(len(batch))
    # Each is three packets. Of the first one that does not fit it is only known when it is made.
    assert written == [30, 30, 30, 30]
    assert frames.call_count <= 40 + 4
