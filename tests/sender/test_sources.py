"""What a batch takes from a source and gives back: the same in memory and on disk."""

from __future__ import annotations

import contextlib
import math
import sqlite3

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.disk_queue import DiskQueue
from logplex_handler._sender.disk_source import DiskOptions, DiskSource
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.retry_policy import Action, Decision
from logplex_handler._sender.source import Lease, LeaseForm, Source
from logplex_handler._spool.spool import Spool, SpoolOptions
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import flattened

DESTINATION = Destination("http://host.test/logs", "user", "token")
MOST = 10_000
FORM = LeaseForm(MOST)


def frame(number):
    packet = b"<190>1 2026-11-29T12:00:00.000000+00:00 host app web.1 - %04d\n" % number
    return b"%d %b" % (len(packet), packet)


class Codec:
    """Entries are numbers of frames, which are the same for every destination."""

    def render(self, entries, destination):
        return [[frame(number)] for (number,) in entries]

    def created(self, entry):
        return 0.0

    def readdress(self, frame, old, new):
        return frame

    def drop_notice(self, dropped, destination):
        return [b"notice"]

    def health_lines(self, pairs, destination):
        return [b"6 probe\n"]


def persisted(source):
    """How many taken records could not be written."""
    for _ in source.persist():
        pass
    return source.unwritten


class Harness:
    """A source with its accumulator, and how to look at what it has."""

    def __init__(self, kind, path, form=FORM):
        self.path = str(path)
        self.accumulator = Accumulator(
            BufferLimits(10**6, "drop_oldest", 10, 10**6, has_disk=kind == "disk"),
            lambda entry: (10, 1),
        )
        diagnostics = Diagnostics()
        if kind == "memory":
            self.source = Source(self.accumulator, form, Codec())
        else:
            self.spool = Spool(SpoolOptions(self.path, 10**7, 0.1))
            self.source = DiskSource(
                DiskQueue("a", self.spool, self.accumulator, diagnostics),
                self.accumulator,
                DiskOptions(form, batch_frames=10, has_token=False),
                Codec(),
            )

    def log(self, *numbers):
        for number in numbers:
            self.accumulator.append((number,))

    def lease(self, room=MOST):
        lease = Lease(DESTINATION)
        self.source.fill(lease, room)
        return lease

    def ack(self, lease, delivered, dropped):
        self.source.forget(lease)
        self.accumulator.settle(delivered=delivered, dropped=dropped, recovered=lease.recovered)

    def replace(self, lease, left, delivered=0, dropped=0):
        self.source.replace(lease, left)
        self.accumulator.settle(delivered=delivered, dropped=dropped, through=False)

    def counts(self):
        """Delivered, pending, dropped."""
        _, delivered, pending, dropped = self.accumulator.counts()
        return delivered, pending, sum(dropped.values())

    def stored(self):
        """The bodies on disk by frame id, in their order; there are none in memory."""
        if not isinstance(self.source, DiskSource):
            return None
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return db.execute(
                "SELECT frame_id, body FROM chunks JOIN bodies USING (id) ORDER BY place, part"
            ).fetchall()


@pytest.fixture(params=["memory", "disk"])
def harness(request, tmp_path):
    return Harness(request.param, tmp_path / "spool")


def test_a_lease_has_what_waits_in_its_order(harness):
    """It stays in the counts until it is settled, and is on disk under its frame id if there is
    one."""
    harness.log(*range(50))
    lease = harness.lease()
    assert flattened(lease.take_frames()) == [frame(number) for number in range(50)]
    assert harness.counts() == (0, 50, 0)
    assert lease.held_bytes > 50 * len(frame(0))
    assert not lease.recovered
    if harness.stored() is not None:
        body = b"".join(frame(number) for number in range(50))
        assert harness.stored() == [(lease.frame_id, body)]
    harness.ack(lease, 48, 2)
    assert harness.counts() == (48, 0, 2)
    assert not harness.stored()
    assert harness.source.is_synced
    assert harness.source.backlog().records == 0


def test_a_lease_has_no_more_than_there_is_room_for(harness):
    """The rest stays where it is."""
    harness.log(*range(50))
    lease = harness.lease(room=10 * len(frame(0)))
    assert flattened(lease.take_frames()) == [frame(number) for number in range(10)]
    assert harness.source.backlog().records == 40
    harness.ack(lease, 10, 0)
    assert harness.counts() == (10, 40, 0)


@pytest.mark.parametrize("is_spilled", [False, True])
@pytest.mark.parametrize(
    ("form", "room"),
    [(FORM, 40 * len(frame(0))), (LeaseForm(MOST, 40), MOST)],
    ids=["bytes", "frames"],
)
def test_what_is_on_disk_and_in_memory_is_no_more_than_there_is_room_for(
    tmp_path, capsys, form, room, is_spilled
):
    """Together, also where the disk could not take what was to follow."""
    harness = Harness("disk", tmp_path / "spool", form)
    harness.log(*range(30))
    harness.source.spill()
    harness.log(*range(30, 60))
    if is_spilled:
        with contextlib.closing(sqlite3.connect(harness.path)) as other:
            harness.spool.set_deadline(0.0)
            other.execute("BEGIN IMMEDIATE")
            assert not harness.source.spill()
            harness.spool.set_deadline(math.inf)
    found = []
    while frames := flattened((lease := harness.lease(room)).take_frames()):
        assert len(frames) <= 40
        found += frames
        harness.ack(lease, len(frames), 0)
    assert found == [frame(number) for number in range(60)]
    assert harness.counts() == (60, 0, 0)
    assert not harness.stored()


def test_what_was_sent_together_stays_together(tmp_path):
    """Whatever may be taken at a time, or a receiver would take one part for the other."""
    harness = Harness("disk", tmp_path / "spool", LeaseForm(MOST, 40))
    together, later = range(60), range(60, 70)
    for numbers, frame_id in [(together[:30], "b" * 36), (together[30:], "b" * 36), (later, None)]:
        harness.spool.write("a", None, [frame(number) for number in numbers], frame_id)
    harness.source.count_recovered(70)
    lease = harness.lease()
    assert flattened(lease.take_frames()) == [frame(number) for number in together]
    assert lease.frame_id == "b" * 36
    harness.ack(lease, 60, 0)
    assert flattened(harness.lease().take_frames()) == [frame(number) for number in later]


def test_what_is_left_of_a_lease_goes_on_as_parts(harness):
    """Each under its frame id, which is on disk if there is one."""
    harness.log(*range(4))
    lease = harness.lease()
    one, two, three, four = flattened(lease.take_frames())
    harness.replace(lease, [("b" * 36, [one]), ("c" * 36, [two, three])], delivered=1)
    assert four == frame(3)
    assert harness.counts() == (1, 3, 0)
    if harness.stored() is not None:
        assert harness.stored() == [("b" * 36, one), ("c" * 36, two + three)]
    harness.replace(lease, [("c" * 36, [two, three])], dropped=1)
    assert harness.counts() == (1, 2, 1)
    harness.ack(lease, 2, 0)
    assert harness.counts() == (3, 0, 1)
    assert not harness.stored()


def test_a_lease_may_get_more_behind_what_it_has(harness):
    """As a batch does whose frames were all refused."""
    harness.log(*range(3))
    lease = harness.lease()
    frames = flattened(lease.take_frames())
    harness.log(*range(3, 5))
    harness.source.fill(lease, MOST)
    frames += flattened(lease.take_frames())
    assert frames == [frame(number) for number in range(5)]
    harness.replace(lease, [("b" * 36, frames)])
    if harness.stored() is not None:
        assert harness.stored() == [("b" * 36, b"".join(frames))]
    harness.ack(lease, 5, 0)
    assert harness.counts() == (5, 0, 0)
    assert not harness.stored()


def test_an_empty_source_gives_nothing(harness):
    """And has nothing to read later."""
    assert harness.lease().take_frames() == []
    assert harness.source.readable_in(0.0) == 0.0


def test_a_source_is_not_empty_while_another_thread_drops_older_records():
    """It reads the queue without a lock, and would leave the record alone for seconds."""
    accumulator = Accumulator(BufferLimits(20, "drop_oldest", 10, 1000), lambda entry: (*entry, 1))
    source = Source(accumulator, FORM, Codec())
    seen = []

    class Watched(list):
        def __delitem__(self, where):
            super().__delitem__(where)
            seen.append(source.is_empty)

    accumulator.put((10,))
    accumulator.put((10,))
    accumulator.entries = Watched(accumulator.entries)
    accumulator.put((20,))
    assert accumulator.entries == [(20,)]
    assert seen == [False, False]


def test_what_is_left_when_the_process_ends_is_on_disk_or_counted(harness):
    """What is being sent as well as what waits."""
    harness.log(*range(20))
    lease = harness.lease(room=10 * len(frame(0)))
    lease.take_frames()
    assert not lease.unwritten
    unwritten = persisted(harness.source)
    lost = harness.accumulator.abandon("shutdown", unwritten=unwritten)
    stored = harness.stored()
    if stored is None:
        assert (unwritten, lost) == (None, 20)
    else:
        assert (unwritten, lost) == (0, 0)
        assert b"".join(body for _, body in stored) == b"".join(map(frame, range(20)))


def test_a_stream_that_has_ended_has_nothing_on_disk(harness):
    """Nor is anything written to it later."""
    harness.log(*range(20))
    harness.lease(room=10 * len(frame(0)))
    harness.source.spill()
    harness.source.discard()
    harness.log(20)
    assert not harness.source.spill()
    assert not harness.stored()
    assert harness.source.is_synced
    assert harness.accumulator.abandon("stream_gone") == 21
    assert harness.counts() == (0, 0, 21)


def test_own_lines_are_with_records_in_memory_and_apart_on_disk(harness):
    """They are never written to disk."""
    reports = DropReports(harness.accumulator, Diagnostics(), None)
    in_flight = InFlight(harness.accumulator, harness.source, reports, MOST, Codec())
    in_flight.set_destination(DESTINATION)
    in_flight.add_health([b"healthy"])
    harness.log(0)
    first = in_flight.next_part()
    if not isinstance(harness.source, DiskSource):
        assert flattened(first.frames) == [b"healthy", frame(0)]
    else:
        assert flattened(first.frames) == [b"healthy"]
        in_flight.carry_out(Decision(Action.ACCEPT))
        assert flattened(in_flight.next_part().frames) == [frame(0)]


@pytest.mark.parametrize(
    "decision",
    [
        Decision(Action.ACCEPT),
        Decision(Action.SPLIT, refuses_part=True),
        Decision(Action.SET_ASIDE, doubts_part=True),
    ],
)
def test_the_outcome_of_a_probe_writes_nothing(harness, monkeypatch, decision):
    """The records are on disk already, under the ids under which they are sent."""
    in_flight = in_flight_of(harness)
    harness.log(1, 2)
    frame_id = in_flight.next_part().frame_id
    for _ in range(3):
        assert in_flight.next_part().frame_id == frame_id
        in_flight.carry_out(Decision(Action.SET_ASIDE, doubts_part=True))
    assert in_flight.next_part().is_probe
    monkeypatch.setattr(type(harness.source), "replace", pytest.fail)
    in_flight.carry_out(decision)
    assert in_flight.next_part().frame_id == frame_id


def test_what_could_not_be_written_is_sent_all_the_same(tmp_path, capsys):
    """It is offered to the disk again when the process ends."""
    harness = Harness("disk", tmp_path / "spool")
    with contextlib.closing(sqlite3.connect(harness.path)) as other:
        harness.spool.delete_stream("a")
        harness.spool.set_deadline(0.0)
        other.execute("BEGIN IMMEDIATE")
        harness.log(*range(5))
        lease = harness.lease()
        frames = flattened(lease.take_frames())
        assert frames == [frame(number) for number in range(5)]
        assert lease.unwritten == 5
        assert persisted(harness.source) == 5
        other.rollback()
    harness.source.replace(lease, [("b" * 36, frames)])
    assert persisted(harness.source) == 0
    assert harness.stored() == [("b" * 36, b"".join(frames))]
    assert "spool: database is locked; 5 records pending" in capsys.readouterr().err


def interrupted_once(monkeypatch, owner, name):
    """The method raises as from a signal handler, the first time that it is called."""
    kind = type(owner)
    method = getattr(kind, name)

    def interrupted(*arguments, **options):
        monkeypatch.setattr(kind, name, method)
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, name, interrupted)


def in_flight_of(harness):
    drop_reports = DropReports(harness.accumulator, Diagnostics(), None)
    in_flight = InFlight(harness.accumulator, harness.source, drop_reports, 10**6, Codec())
    in_flight.set_destination(DESTINATION)
    return in_flight


def test_a_delivered_batch_is_settled_though_a_signal_interrupts_that(harness, monkeypatch):
    """Its chunks leave the disk, and are not sent again."""
    in_flight = in_flight_of(harness)
    harness.log(1, 2, 3)
    assert in_flight.next_part().body == b"".join(map(frame, (1, 2, 3)))
    harness.log(4)
    harness.source.spill()
    interrupted_once(monkeypatch, harness.source, "forget")
    with pytest.raises(KeyboardInterrupt):
        in_flight.carry_out(Decision(Action.ACCEPT))
    assert in_flight.next_part().body == frame(4)
    assert harness.counts() == (3, 1, 0)
    in_flight.carry_out(Decision(Action.ACCEPT))
    assert harness.counts() == (4, 0, 0)
    assert not harness.stored()


@pytest.mark.parametrize("method", ["fill", "replace"])
def test_a_refused_batch_is_sent_under_the_ids_on_disk_though_a_signal_interrupts_that(
    harness, monkeypatch, method
):
    """It begins again with more records; a signal comes before or after they are taken."""
    in_flight = in_flight_of(harness)
    harness.log(1)
    in_flight.next_part()
    in_flight.carry_out(Decision(Action.SPLIT, refuses_part=True))
    harness.log(2)
    interrupted_once(monkeypatch, harness.source, method)
    with pytest.raises(KeyboardInterrupt):
        in_flight.next_part()
    part = in_flight.next_part()
    assert part.body == frame(1) + frame(2)
    stored = harness.stored()
    if stored is not None:
        assert [frame_id for frame_id, _ in stored] == [part.frame_id]
    in_flight.carry_out(Decision(Action.ACCEPT))
    assert harness.counts() == (2, 0, 0)
