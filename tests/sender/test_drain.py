"""How queued entries become the frames of one request."""

import logging
from functools import partial
from unittest.mock import patch

import pytest

from logplex_handler import Destination, KeyValueFormatter
from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._formatting.codec import Codec
from logplex_handler._sender.drain import drain
from logplex_handler._wire.frames import PieceFrame, Run, flattened, frame_count, settle
from logplex_handler._wire.packet import PacketForm

FRAME = 10


def buffer_of(*entries):
    """A accumulator with the entries, each of which is its frames, or an error."""
    accumulator = Accumulator(BufferLimits(10**6, "drop_oldest", 10, 10**6), lambda entry: (10, 1))
    for entry in entries:
        accumulator.append(entry)
    return accumulator


def render(entries):
    for (what,) in entries:
        if isinstance(what, BaseException):
            raise what
        yield [what] if isinstance(what, bytes) else what


def one(number):
    return (b"%010d" % number,)


def settled(accumulator):
    """The entries that are still queued, with nothing being sent."""
    return [what for (what,) in accumulator.take(10_000)]


def test_all_that_waits_goes_into_one_request_if_it_fits():
    """In order, behind what is in it already."""
    accumulator = buffer_of(*map(one, range(2000)))
    frames = [b"own line\n"]
    drain(frames, 10**6, accumulator, render)
    assert flattened(frames) == [b"own line\n", *[b"%010d" % number for number in range(2000)]]
    assert accumulator.counts()[2] == 2000


@pytest.mark.parametrize("room", [10, 19, 95, 100, 5005, 12_345])
def test_what_does_not_fit_stays_in_its_place(room):
    """As many as fit are taken, whatever their number."""
    accumulator = buffer_of(*map(one, range(3000)))
    frames = []
    drain(frames, room, accumulator, render)
    assert flattened(frames) == [b"%010d" % number for number in range(room // FRAME)]
    assert settled(accumulator)[:2] == [b"%010d" % (frame_count(frames) + more) for more in (0, 1)]


def rendered_as_runs(entries):
    """Three entries at a time."""
    frames = [what for (what,) in entries]
    return [Run(frames[at : at + 3]) for at in range(0, len(frames), 3)]


@pytest.mark.parametrize("room", [9, 10, 29, 30, 31, 59, 60, 100, 5000, 9999, 10_010, 20_000])
def test_a_run_that_does_not_fit_is_cut(room):
    """As many of its records as fit are taken, and the others stay in their place."""
    accumulator = buffer_of(*map(one, range(1001)))
    frames = []
    drain(frames, room, accumulator, rendered_as_runs)
    fitting = min(1001, max(1, room // FRAME))
    assert [*flattened(frames)] == [b"%010d" % index for index in range(fitting)]
    assert frame_count(frames) == fitting
    assert settled(accumulator) == [b"%010d" % left for left in range(fitting, 1001)]


def rendered_with_splits(entries):
    """Four entries at a time, of one, three, one and two frames."""
    frames = [what for (what,) in entries]
    for at in range(0, len(frames), 4):
        run, split = [], []
        for entry, number in zip(frames[at : at + 4], (1, 3, 1, 2), strict=False):
            if number > 1:
                split.append((len(run), number))
            run += [entry] * number
        yield Run(run, split)


@pytest.mark.parametrize("room", [9, 10, 39, 40, 49, 50, 60, 69, 70, 80, 110, 1750, 5000])
def test_a_run_is_cut_between_its_records(room):
    """In bytes as in frames; the frames of one record know of each other."""
    for max_bytes, more in [(room, {}), (10**6, {"max_frames": max(1, room // FRAME)})]:
        accumulator = buffer_of(*map(one, range(1000)))
        frames = []
        drain(frames, max_bytes, accumulator, rendered_with_splits, **more)
        numbers = [1, 3, 1, 2] * 250
        fitting = max(n for n in range(1, 1001) if n == 1 or sum(numbers[:n]) <= room // FRAME)
        expected = [b"%010d" % index for index in range(fitting) for _ in range(numbers[index])]
        flat = flattened(frames)
        assert flat == expected
        assert settle(frames, delivered=True) == (fitting, 0)
        assert settled(accumulator) == [b"%010d" % left for left in range(fitting, 1000)]
        of_several = [frame.record for frame in flat if isinstance(frame, PieceFrame)]
        assert len({*map(id, of_several)}) == sum(number > 1 for number in numbers[:fitting])


def test_entries_of_all_sizes_fill_the_room():
    """What comes behind a large one does not go before it."""
    accumulator = buffer_of((b"a" * 5,), (b"b" * 50,), (b"c" * 50,), (b"d",))
    frames = []
    drain(frames, 60, accumulator, render)
    assert flattened(frames) == [b"a" * 5, b"b" * 50]
    assert settled(accumulator) == [b"c" * 50, b"d"]


def test_one_entry_is_taken_however_large_it_is():
    """It would never leave otherwise."""
    accumulator = buffer_of((b"a" * 500,), (b"b",))
    frames = []
    drain(frames, 60, accumulator, render)
    assert flattened(frames) == [b"a" * 500]
    assert settled(accumulator) == [b"b"]


def test_the_frames_of_one_entry_stay_together():
    """They know of each other."""
    accumulator = buffer_of(one(1), ([b"two", b"three"],), ([b"four"],))
    frames = []
    drain(frames, 1000, accumulator, render)
    assert flattened(frames) == [b"0000000001", b"two", b"three", b"four"]
    flat = flattened(frames)
    assert flat[1].record is flat[2].record
    assert type(flat[3]) is bytes


def test_an_entry_without_frames_is_dropped_and_counted():
    """The others go on."""
    accumulator = buffer_of(one(1), ([],), one(2), ([],))
    frames = []
    drain(frames, 1000, accumulator, render)
    assert flattened(frames) == [b"0000000001", b"0000000002"]
    accumulator.settle(delivered=2)
    assert accumulator.counts() == (4, 2, 0, {"format_error": 2})


@pytest.mark.parametrize("before", [0, 3, 600])
def test_an_entry_that_cannot_be_rendered_is_dropped_and_counted(before):
    """Whatever the error is; the others go on."""
    others = [*map(one, range(before + 2))]
    broken = (ValueError(),)
    accumulator = buffer_of(*others[:before], broken, others[before], broken, others[-1])
    frames = []
    drain(frames, 10**6, accumulator, render)
    assert flattened(frames) == [what for (what,) in others]
    accumulator.settle(delivered=len(others))
    assert accumulator.counts() == (before + 4, before + 2, 0, {"format_error": 2})


def test_a_slice_of_entries_without_frames_is_no_end():
    """What comes behind them is taken."""
    accumulator = buffer_of(*[([],)] * 700, one(1))
    frames = []
    drain(frames, 1000, accumulator, render)
    assert flattened(frames) == [b"0000000001"]
    accumulator.settle(delivered=1)
    assert accumulator.counts() == (701, 1, 0, {"format_error": 700})


def test_what_is_given_back_and_what_is_sent_hold_their_memory_once():
    """A accumulator of large entries takes more while a batch of them is sent."""
    limits = BufferLimits(1000, "drop_newest", 10, 10**6)
    accumulator = Accumulator(limits, lambda entry: (len(entry[0]), 1))
    for _ in range(9):
        accumulator.put((b"x" * 100,))
    frames = []
    drain(frames, 250, accumulator, render)
    assert frame_count(frames) == 2
    # Beside their bytes, frames hold some of their own.
    accumulator.put((b"y",))
    assert accumulator.counts() == (10, 0, 10, {})


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, RecursionError])
def test_what_a_signal_interrupts_is_neither_lost_nor_doubled(interrupt):
    """What was added stays, and the rest of what was taken is given back."""
    accumulator = buffer_of(*map(one, range(700)), (interrupt(),), *map(one, range(700, 800)))
    frames = []
    with pytest.raises(interrupt):
        drain(frames, 10**6, accumulator, render)
    sent = flattened(frames)
    assert sent == [b"%010d" % number for number in range(500)]
    accumulator.settle(delivered=500)
    left = [*range(500, 700), *range(700, 800)]
    assert [one for one in settled(accumulator) if isinstance(one, bytes)] == [
        b"%010d" % number for number in left
    ]


def test_what_does_not_fit_is_not_made_into_frames():
    """A long record would be so again and again."""
    made = []

    def render_and_note(entries):
        for (what,) in entries:
            made.append(what)
            yield [what]

    drain([], 55, buffer_of(*map(one, range(400))), render_and_note)
    assert made == [b"%010d" % number for number in range(6)]


def test_long_records_are_made_into_frames_once():
    """Those that wait for the next batch are not, however many are taken at a time."""
    form = PacketForm("host", "app", "web.1", 23, True, 10_000)
    entries = Codec(form, KeyValueFormatter())
    accumulator = Accumulator(BufferLimits(10**7, "drop_oldest", 10, 10**6), entries.weigh)
    for index in range(40):
        text = f"{index} {'x' * 20_000}"
        record = logging.LogRecord("shop", logging.INFO, "", 0, text, (), None)
        accumulator.put(entries.entry(record, None)[0])
    written = []
    with patch.object(PacketForm, "frames", autospec=True, side_effect=PacketForm.frames) as frames:
        for _ in range(4):
            batch = []
            render = partial(entries.render, destination=Destination("", "", ""))
            drain(batch, 210_000, accumulator, render)
            written.append(frame_count(batch))
    # Each is three packets. Of the first one that does not fit it is only known when it is made.
    assert written == [30, 30, 30, 30]
    assert frames.call_count <= 40 + 4


@pytest.mark.parametrize("characters", [2_500, 9_000, 20_000])
def test_long_records_of_one_size_are_taken_at_once(characters):
    """Their memory says how many fit, though their frames take less of it."""
    form = PacketForm("host", "app", "web.1", 23, True, 10_000)
    codec = Codec(form, KeyValueFormatter())
    accumulator = Accumulator(BufferLimits(10**8, "drop_oldest", 10, 10**8), codec.weigh)

    def put():
        args = ("x" * characters,)
        record = logging.LogRecord("shop", logging.INFO, "", 0, "said %s", args, None)
        accumulator.put(codec.entry(record, None)[0])

    for _ in range(30):
        put()
    accumulator.settle(delivered=len(accumulator.take(30)))
    for _ in range(1_200_000 // characters):
        put()
    render = partial(codec.render, destination=Destination("", "", ""))
    with patch.object(Accumulator, "take", autospec=True, side_effect=Accumulator.take) as take:
        drain(batch := [], 1_000_000, accumulator, render)
    assert 1_000_000 - 1.1 * characters < sum(map(len, flattened(batch))) <= 1_000_000
    assert take.call_count <= 2


def test_records_longer_than_a_batch_are_sent_one_by_one():
    """Once a batch is more than full, no number of further records fits."""
    accumulator = Accumulator(
        BufferLimits(10**6, "drop_oldest", 10, 10**6), lambda entry: (9000, 1)
    )
    for number in range(3):
        accumulator.put((b"%09000d" % number,))
    for number in range(3):
        frames = [b"own line\n"] if number else []
        drain(frames, 1000, accumulator, render)
        assert flattened(frames)[-1:] == ([b"own line\n"] if number else [b"%09000d" % number])
