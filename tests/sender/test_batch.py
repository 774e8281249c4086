"""One batch: its parts, the search for a refused packet, and the outcome of each record."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler._sender.batch import Batch, Refusal
from logplex_handler._wire.frames import (
    HealthFrame,
    OwnFrame,
    Run,
    SplitRecord,
    flattened,
    frame_count,
    linked,
    rewritten,
    total_bytes,
)


def one_frame_each(number, *, size=0):
    """So many records of one frame each, all different."""
    return [b"%06d" % index + b"x" * size for index in range(number)]


class Receiver:
    """Takes parts without a bad frame, as a receiver that refuses whole requests."""

    def __init__(self, *bad):
        self.bad = {b"%06d" % index for index in bad}
        self.taken = []
        self.requests = 0
        self.frame_ids = []

    def deal_with(self, batch):
        """Send every part; how many records were delivered and completed broken on the way."""
        delivered = broken = 0
        while (part := batch.next_part) is not None:
            self.requests += 1
            self.frame_ids.append(part.frame_id)
            if self.bad.intersection(flattened(part.frames)):
                batch.part_refused()
                continue
            self.taken += part.frames
            counts = batch.part_accepted()
            delivered, broken = delivered + counts[0], broken + counts[1]
        return delivered, broken


# Records


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([True], True),
        ([False], False),
        ([True, True, True], True),
        ([False, True, True], False),
        ([True, False, True], False),
        ([True, True, False], False),
        ([False, False, False], False),
    ],
)
def test_a_record_is_delivered_when_all_its_frames_are(answers, outcome):
    """And dropped if any is; until the last of them nothing is said."""
    record = SplitRecord(len(answers))
    assert [record.settle(answer) for answer in answers] == [
        *[None] * (len(answers) - 1),
        outcome,
    ]


def test_pieces_of_one_record_share_it():
    """They are bytes like other frames."""
    first, second = linked([b"a", b"b"])
    assert b"".join([first, second]) == b"ab"
    assert first.record is second.record


# Runs


def frames(*indexes):
    return [b"%06d" % index for index in indexes]


def test_a_run_counts_as_its_records():
    """Beside other frames, and one by one in their order."""
    mixed = [Run(frames(0, 1, 2)), OwnFrame(b"own"), Run(frames(3))]
    assert (frame_count(mixed), total_bytes(mixed)) == (5, 27)
    assert [*flattened(mixed)] == [*frames(0, 1, 2), b"own", *frames(3)]


@pytest.mark.parametrize("bad", [[], [0], [3, 4], [0, 1, 2, 3, 4, 5, 6], [6]])
@pytest.mark.parametrize("max_bytes", [6, 20, 1000])
def test_a_run_meets_what_its_frames_would_by_themselves(bad, max_bytes):
    """Cut, halved, refused, begun again, settled: the same frames are taken, as many delivered."""
    outcomes = []
    for made in ([Run(one_frame_each(7))], one_frame_each(7)):
        receiver = Receiver(*bad)
        batch = Batch(made, max_bytes)
        counts = [receiver.deal_with(batch)]
        refused = batch.size
        if batch.all_refused:
            batch.restart([Run(frames(8, 9))])
            counts.append(receiver.deal_with(batch))
        counts.append(batch.drop_refused())
        taken = [*flattened(receiver.taken)]
        outcomes.append((counts, refused, taken, receiver.requests, batch.left))
    assert outcomes[0] == outcomes[1]
    assert sum(delivered + dropped for delivered, dropped in outcomes[0][0]) in (7, 9)


@pytest.mark.parametrize("bad", [[], [0], [2, 3], [3, 6], [*range(8)]])
@pytest.mark.parametrize("max_bytes", [6, 20, 1000])
def test_the_frames_of_records_kept_together_meet_what_linked_ones_would(bad, max_bytes):
    """Together, each record counts as one; halved, it is delivered only if all its frames are."""
    outcomes = []
    several = [*linked(frames(1, 2, 3)), *frames(4), *linked(frames(5, 6))]
    for split in ([Run(frames(1, 2, 3, 4, 5, 6), [(0, 3), (4, 2)])], several):
        receiver = Receiver(*bad)
        batch = Batch([*frames(0), *split, *frames(7)], max_bytes)
        counts = [receiver.deal_with(batch), batch.drop_refused()]
        outcomes.append((counts, [*flattened(receiver.taken)], receiver.requests))
    assert outcomes[0] == outcomes[1]
    assert sum(delivered + dropped for delivered, dropped in outcomes[0][0]) == 5


def test_the_frames_of_a_run_are_rewritten_one_by_one():
    """What says what they are stays."""
    made = rewritten([Run(frames(0, 1)), OwnFrame(b"own")], lambda frame: b"<%b>" % frame)
    assert made == [b"<000000>", b"<000001>", b"<own>"]
    assert type(made[2]) is OwnFrame


# Parts


def test_a_body_that_was_sent_before_is_cut_only_if_no_receiver_takes_it(monkeypatch):
    """Then its parts have new ids."""
    monkeypatch.setattr("logplex_handler._sender.batch.MAX_BODY_BYTES", 30)
    assert [id for id, _ in Batch(one_frame_each(5), 12, "id").left] == ["id"]
    left = Batch(one_frame_each(6), 12, "id").left
    assert [len(part) for _, part in left] == [2, 2, 2]
    assert "id" not in {id for id, _ in left}


def test_a_batch_is_one_part_if_it_fits():
    """Its body is the frames with nothing between them."""
    batch = Batch(one_frame_each(3), 18)
    assert batch.next_part is not None
    assert batch.next_part.body == b"000000000001000002"
    assert batch.part_accepted() == (3, 0)
    assert batch.next_part is None


def test_an_empty_batch_has_nothing_to_send():
    """There is no request without frames."""
    assert Batch([], 100).next_part is None


@pytest.mark.parametrize(
    ("max_bytes", "sizes"),
    [(1, [1] * 7), (6, [1] * 7), (11, [1] * 7), (12, [2, 2, 2, 1]), (18, [3, 3, 1]), (99, [7])],
)
def test_parts_hold_as_many_frames_as_fit_in_order(max_bytes, sizes):
    """A frame that is too large by itself is a part of its own."""
    batch = Batch(one_frame_each(7), max_bytes)
    lengths = []
    sent = []
    while (part := batch.next_part) is not None:
        lengths.append(len(part.frames))
        sent += part.frames
        batch.part_accepted()
    assert lengths == sizes
    assert sent == one_frame_each(7)


def test_a_part_is_the_same_with_the_same_id_on_every_try():
    """Until it is accepted or refused."""
    batch = Batch(one_frame_each(4), 12)
    part = batch.next_part
    assert part is batch.next_part
    batch.part_accepted()
    assert batch.next_part is not part


def test_every_part_has_an_id_of_its_own():
    """Halves are other batches for the receiver, so they have other ids than the whole."""
    receiver = Receiver(5, 77)
    receiver.deal_with(Batch(one_frame_each(100), 300))
    assert len(receiver.frame_ids) > 10
    assert len(set(receiver.frame_ids)) == len(receiver.frame_ids)


# Halving


@pytest.mark.parametrize("bad", [0, 1, 2, 63, 99, 100, 101, 128, 198, 199])
def test_one_bad_packet_of_200_is_found_in_few_requests(bad):
    """It alone is refused in the end, all others are delivered in order."""
    batch = Batch(one_frame_each(200), 1_000_000)
    receiver = Receiver(bad)
    assert receiver.deal_with(batch) == (199, 0)
    assert receiver.taken == [b"%06d" % index for index in range(200) if index != bad]
    assert receiver.requests <= 1 + 2 * math.ceil(math.log2(200))
    assert not batch.all_refused
    assert batch.drop_refused() == (0, 1)
    assert batch.drop_refused() == (0, 0)


@pytest.mark.parametrize(
    "bad", [(0, 1), (99, 100), (0, 199), (5, 6, 7, 8), tuple(range(0, 200, 2)), tuple(range(199))]
)
def test_several_bad_packets_are_found_too(bad):
    """Every one of them and nothing else."""
    batch = Batch(one_frame_each(200), 1_000_000)
    receiver = Receiver(*bad)
    assert receiver.deal_with(batch) == (200 - len(bad), 0)
    assert receiver.taken == [b"%06d" % index for index in range(200) if index not in bad]
    assert receiver.requests <= 2 * 200 - 1
    assert batch.drop_refused() == (0, len(bad))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 200])
def test_all_refused_says_that_nothing_was_accepted(number):
    """Then nothing is settled, as it may be the stream that is refused."""
    batch = Batch(one_frame_each(number), 1_000_000)
    assert not batch.all_refused
    assert Receiver(*range(number)).deal_with(batch) == (0, 0)
    assert batch.all_refused


def test_one_accepted_part_is_enough_not_to_be_refused_as_a_whole():
    """Also if it came before all the refused ones."""
    batch = Batch(one_frame_each(8), 24)
    assert Receiver(4, 5, 6, 7).deal_with(batch) == (4, 0)
    assert not batch.all_refused


def test_a_batch_with_parts_left_is_not_all_refused():
    """The last of them may be accepted."""
    batch = Batch(one_frame_each(2), 1_000_000)
    batch.part_refused()
    batch.part_refused()
    assert not batch.all_refused
    batch.part_refused()
    assert batch.all_refused


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_what_a_refusal_would_mean_is_known_before(number):
    """How many frames it leaves refused alone, and whether nothing is left beside them."""
    batch = Batch(one_frame_each(number), 1_000_000)
    alone = 0
    while batch.next_part is not None:
        refusal = batch.refusal
        alone += batch.next_part.number == 1
        assert refusal.alone == (alone if batch.next_part.number == 1 else 0)
        batch.part_refused()
        assert refusal.is_of_all == batch.all_refused
    assert alone == number


def test_a_refusal_is_of_few_once_a_part_was_accepted():
    """Then it is the frames that are refused, and not the stream."""
    batch = Batch(one_frame_each(4), 12)
    batch.part_accepted()
    batch.part_refused()
    assert batch.refusal[:2] == (0, False)
    batch.part_refused()
    assert batch.refusal[:2] == (0, False)


# Statuses that concern the URL


def dealt_with(batch, faulty=(), *, takes_from=0):
    """Have a receiver answer a batch, which refuses the URL until so many requests have come.

    From then on it refuses only parts with a faulty frame, by a status that concerns the URL.
    Returns the accepted frames, and how many requests there were.
    """
    taken = []
    for requests in range(2000):
        if batch.wants_probe:
            batch.probe(HealthFrame(b"probe"))
        part = batch.next_part
        if part is None:
            return taken, requests
        frames = flattened(part.frames)
        if requests >= takes_from and not set(frames) & set(faulty):
            taken += [frame for frame in frames if not isinstance(frame, HealthFrame)]
            batch.part_accepted()
        elif batch.refusal.is_of_part:
            batch.part_refused()
        else:
            batch.part_doubted()
    raise AssertionError("the batch does not end")


@given(st.integers(1, 60), st.sampled_from([60, 10**6]), st.data())
def test_frames_at_fault_are_found_although_the_status_concerns_the_url(number, max_bytes, data):
    """All others are delivered, once and in order; those at fault are left to be dropped."""
    frames = one_frame_each(number)
    faulty = data.draw(st.lists(st.sampled_from(frames), unique=True))
    batch = Batch(frames, max_bytes)
    # No answer may have come to earlier tries.
    batch.next_part.is_uncertain = data.draw(st.booleans())
    taken, _ = dealt_with(batch, faulty)
    assert taken == [frame for frame in frames if frame not in faulty]
    assert batch.drop_refused() == (0, len(faulty))


@given(st.integers(1, 60), st.integers(0, 40))
def test_a_stream_that_was_refused_loses_nothing(number, takes_from):
    """However many requests were refused before the first one is accepted."""
    frames = one_frame_each(number)
    batch = Batch(frames, 10**6)
    frame_id = batch.next_part.frame_id
    while batch.wants_probe or takes_from:
        if batch.wants_probe:
            batch.probe(HealthFrame(b"probe"))
        assert batch.next_part.is_probe or batch.next_part.frame_id == frame_id
        assert not batch.refusal.is_of_part
        batch.part_doubted()
        takes_from = max(0, takes_from - 1)
    assert dealt_with(batch) == (frames, 1)
    assert batch.drop_refused() == (0, 0)


@pytest.mark.parametrize("faulty", [0, 1, 77, 198, 199])
def test_one_frame_at_fault_costs_few_requests(faulty):
    """It is found by halving, and then tried three times."""
    frames = one_frame_each(200)
    batch = Batch(frames, 10**6)
    taken, requests = dealt_with(batch, [frames[faulty]])
    assert len(taken) == 199
    assert requests < 32


@given(st.integers(1, 20), st.lists(st.booleans(), max_size=300))
def test_a_receiver_that_refuses_at_random_makes_one_frame_suspect_at_a_time(number, accepts):
    """What is dropped was refused alone three times, each time right after something else was
    accepted."""
    batch = Batch(one_frame_each(number), 10**6)
    evidence = dict.fromkeys(one_frame_each(number), 0)
    was_accepted = False
    for accept in accepts:
        if batch.wants_probe:
            batch.probe(HealthFrame(b"probe"))
        if batch.next_part is None:
            break
        frames = flattened(batch.next_part.frames)
        if accept:
            batch.part_accepted()
        else:
            if len(frames) == 1 and was_accepted and frames[0] in evidence:
                evidence[frames[0]] += 1
            if batch.refusal.is_of_part:
                batch.part_refused()
            else:
                batch.part_doubted()
        was_accepted = accept
    # Refused frames come first among those that are left.
    first = batch.left[0][1] if batch.left else []
    refused = first if batch.drop_refused()[1] else []
    assert all(evidence[frame] >= 3 for frame in refused)


@pytest.mark.parametrize("number", [1, 2, 60])
def test_a_probe_that_is_refused_leaves_the_turn_to_the_frames(number):
    """Otherwise probe would follow probe, without a wait. A restart has one probe, too."""
    batch = Batch(one_frame_each(number), 10**6)
    for _ in range(3):
        batch.part_doubted()
    for _ in range(3):
        assert batch.wants_probe
        requests = 0
        while batch.next_part is not None:
            if batch.wants_probe:
                batch.probe(HealthFrame(b"probe"))
            batch.part_refused()
            requests += 1
            assert requests < 2 * number + 2
        assert batch.all_refused
        batch.restart()
        assert flattened(batch.next_part.frames) == one_frame_each(number)


def test_what_was_refused_after_a_refused_probe_is_not_dropped_for_what_was_accepted_before():
    """Between the two, the receiver may have begun to refuse the stream."""
    batch = Batch(one_frame_each(3), 6)
    batch.part_accepted()
    for _ in range(3):
        batch.part_doubted()
    batch.probe(HealthFrame(b"probe"))
    batch.part_refused()
    assert batch.refusal == Refusal(alone=1, probe_refused=True)
    batch.part_refused()
    assert batch.refusal == Refusal(alone=2, is_of_all=True, probe_refused=True)
    batch.part_refused()
    assert batch.all_refused
    batch.restart()
    assert Receiver().deal_with(batch) == (2, 0)
    assert not batch.refusal.probe_refused


def test_at_another_place_what_was_refused_is_sent_again():
    """What the old place refused says nothing of the new one."""
    batch = Batch(one_frame_each(3), 12)
    batch.part_refused()
    batch.part_refused()
    assert batch.rewrite(bytes.upper)
    receiver = Receiver()
    assert receiver.deal_with(batch) == (3, 0)
    assert [*flattened(receiver.taken)] == one_frame_each(3)
    assert batch.drop_refused() == (0, 0)
    assert not batch.rewrite(bytes.upper)


def test_what_may_have_arrived_is_not_halved_before_it_is_refused_several_times():
    """Its frames would arrive again under other ids; but no record holds up a stream for ever."""
    batch = Batch(one_frame_each(5), 10**6)
    batch.next_part.is_uncertain = True
    for _ in range(5):
        batch.probe(HealthFrame(b"probe"))
        batch.part_accepted()
        assert not batch.refusal.is_of_part
        batch.part_doubted()
    batch.probe(HealthFrame(b"probe"))
    batch.part_accepted()
    assert batch.refusal.is_of_part


def test_what_may_have_arrived_is_not_halved_at_once_after_a_refused_probe():
    """Nor is it kept for ever where every probe is refused, too."""
    batch = Batch(one_frame_each(5), 10**6)
    batch.next_part.is_uncertain = True
    for _ in range(5):
        batch.probe(HealthFrame(b"probe"))
        batch.part_refused()
        assert not batch.refusal.probe_refused
        batch.part_doubted()
    batch.probe(HealthFrame(b"probe"))
    batch.part_refused()
    assert batch.refusal.probe_refused


def test_at_another_place_the_batch_is_sent_at_once():
    """What the old place refused says nothing of the new one."""
    batch = Batch(one_frame_each(5), 10**6)
    for _ in range(3):
        batch.part_doubted()
    assert batch.wants_probe
    batch.probe(HealthFrame(b"probe"))
    batch.rewrite(bytes.upper)
    assert not batch.wants_probe
    assert flattened(batch.next_part.frames) == one_frame_each(5)


# Beginning again


def test_a_restart_sends_what_was_refused_again_and_more_behind_it():
    """Beside frames that are accepted, those at fault show."""
    batch = Batch(one_frame_each(3), 1_000_000)
    Receiver(0, 1, 2).deal_with(batch)
    assert batch.all_refused
    batch.restart([b"more"])
    assert not batch.all_refused
    assert batch.next_part is not None
    assert batch.next_part.frames == [b"000000", b"000001", b"000002", b"more"]
    receiver = Receiver(0, 1, 2)
    assert receiver.deal_with(batch) == (1, 0)
    assert not batch.all_refused
    assert batch.drop_refused() == (0, 3)


def test_a_restart_forgets_that_it_was_refused():
    """What is accepted the second time is delivered, once."""
    batch = Batch(one_frame_each(5), 1_000_000)
    Receiver(*range(5)).deal_with(batch)
    batch.restart()
    assert Receiver().deal_with(batch) == (5, 0)
    assert batch.drop_refused() == (0, 0)


def test_restarts_may_be_refused_again_and_again():
    """Nothing is lost, doubled or reordered however often."""
    batch = Batch(one_frame_each(9), 30)
    for _ in range(4):
        Receiver(*range(9)).deal_with(batch)
        assert batch.all_refused
        batch.restart()
    receiver = Receiver()
    assert receiver.deal_with(batch) == (9, 0)
    assert receiver.taken == one_frame_each(9)


def test_a_restart_has_new_ids():
    """The batch is another one if more is behind it."""
    batch = Batch(one_frame_each(1), 1_000_000)
    assert batch.next_part is not None
    before = batch.next_part.frame_id
    batch.part_refused()
    batch.restart([b"more"])
    assert batch.next_part is not None
    assert batch.next_part.frame_id != before


def test_the_size_is_what_is_left():
    """What is sent no longer counts, what was refused does."""
    batch = Batch(one_frame_each(4), 12)
    assert batch.size == 24
    batch.part_accepted()
    assert batch.size == 12
    batch.part_refused()
    assert batch.size == 12
    batch.part_refused()
    assert batch.size == 12
    batch.part_accepted()
    assert batch.size == 6
    batch.drop_refused()
    assert batch.size == 0


# Records of several frames


def several(number, frames):
    """So many records of so many frames each."""
    return [
        frame
        for index in range(number)
        for frame in linked([b"%06d" % (index * frames + part) for part in range(frames)])
    ]


@pytest.mark.parametrize("max_bytes", [6, 12, 30, 1_000_000])
def test_a_record_across_parts_is_delivered_once(max_bytes):
    """With its last frame, whatever requests they went in."""
    batch = Batch(several(10, 3), max_bytes)
    assert Receiver().deal_with(batch) == (10, 0)


@pytest.mark.parametrize("bad", [(0,), (1,), (2,), (0, 1), (0, 2), (0, 1, 2), (14,), (29,)])
@pytest.mark.parametrize("max_bytes", [12, 1_000_000])
def test_a_record_with_a_refused_frame_is_dropped_once(bad, max_bytes):
    """However many of its frames are refused, and whenever."""
    batch = Batch(several(10, 3), max_bytes)
    delivered, broken = Receiver(*bad).deal_with(batch)
    more_delivered, more_broken = batch.drop_refused()
    assert (delivered + more_delivered, broken + more_broken) == (9, 1)


def test_two_broken_records_are_two():
    """Frames of neighbours are told apart."""
    batch = Batch(several(10, 3), 1_000_000)
    delivered, broken = Receiver(2, 3).deal_with(batch)
    assert (delivered, broken + batch.drop_refused()[1]) == (8, 2)


def test_own_lines_are_no_records():
    """They are counted neither as delivered nor as dropped."""
    frames = [OwnFrame(b"000000"), b"000001", OwnFrame(b"000002")]
    batch = Batch(frames, 1_000_000)
    assert Receiver(2).deal_with(batch) == (1, 0)
    assert batch.drop_refused() == (0, 0)


def test_a_notice_is_left_until_it_is_accepted_or_refused():
    """A health line is none."""
    for kind in (HealthFrame, OwnFrame):
        batch = Batch([b"record", kind(b"own")], 1000)
        assert batch.has_notice is (kind is OwnFrame)
        batch.part_refused()
        batch.part_accepted()
        batch.part_refused()
        assert batch.drop_refused() == (0, 0)
        assert not batch.has_notice
