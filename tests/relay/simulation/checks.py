"""What must hold after a simulation, whatever has failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.relay.simulation.receiver import Request
from tests.servers import TOKEN, texts

# A line that a shipper writes of its own.
_OWN = "logger=logplex_handler "


@dataclass
class Seen:
    """What a simulation has left.

    Attributes:
        pushed: The lines of each stream, in the order in which each producer pushed them.
        requests: All of them, in the order in which they came.
        left: The batches of each stream that were still in the engine: frame ids and lines.
        books: The sums of the engine's books, when all shippers had ended.
        dropped: Records that were dropped, by cause, in the same books.
        said: What each shipper has said on stderr.
        stored: All bytes that the engine has written to its file.
        problems: What was wrong at once.
    """

    pushed: Mapping[int, Sequence[str]]
    requests: Sequence[Request]
    left: Mapping[int, Sequence[tuple[str, Sequence[str]]]]
    books: Mapping[str, int]
    dropped: Mapping[str, int]
    said: Sequence[str] = ()
    stored: bytes = b""
    problems: list[str] = field(default_factory=list)


def broken(seen: Seen) -> list[str]:
    """The conditions that do not hold, in words; none if all is well."""
    batches = _batches(seen)
    return [
        *seen.problems,
        *_ids(seen, batches),
        *_lines(seen, batches),
        *_owners(seen),
        *_books(seen),
        *_secrets(seen),
    ]


# The lines of each stream by frame id, in the order in which they were first routed or, of what was
# left, taken.
_Batches = Mapping[int, Mapping[str, Sequence[str]]]


def _batches(seen: Seen) -> _Batches:
    found: dict[int, dict[str, Sequence[str]]] = defaultdict(dict)
    for one in seen.requests:
        if one.is_routed and one.frame_id not in found[one.stream]:
            found[one.stream][one.frame_id] = _own_lines_out(one.body)
    for stream, batches in seen.left.items():
        for frame_id, lines in batches:
            found[stream].setdefault(frame_id, lines)
    return found


def _own_lines_out(body: bytes) -> list[str]:
    return [text for text in map(bytes.decode, texts(body)) if _OWN not in text]


def _ids(seen: Seen, batches: _Batches) -> Iterator[str]:
    """One body under an id, one id for a line, whether its request was routed or not."""
    first: dict[str, Request] = {}
    for one in seen.requests:
        before = first.setdefault(one.frame_id, one)
        if (before.stream, before.body) != (one.stream, one.body):
            yield f"two bodies under the frame id {one.frame_id}"
    id_of: dict[tuple[int, str], str] = {}
    for one in first.values():
        for line in _own_lines_out(one.body):
            known = id_of.setdefault((one.stream, line), one.frame_id)
            if known != one.frame_id:
                yield f"stream {one.stream}: {line[:40]!r} is under two ids"
    for stream, of_stream in batches.items():
        for frame_id, lines in of_stream.items():
            for line in lines:
                if id_of.setdefault((stream, line), frame_id) != frame_id:
                    yield f"stream {stream}: {line[:40]!r} is left under another id"


def _lines(seen: Seen, batches: _Batches) -> Iterator[str]:
    """Each line is there, in its producer's order; what is missing was dropped, and is counted."""
    missing = 0
    for stream, pushed in seen.pushed.items():
        found = [line for lines in batches.get(stream, {}).values() for line in lines]
        if sorted(found) == sorted(pushed):
            pass
        elif strange := set(found) - set(pushed):
            yield f"stream {stream}: nobody has pushed {min(strange)[:40]!r}"
        else:
            lost = len(pushed) - len(found)
            if lost < 0:
                yield f"stream {stream}: {-lost} lines are there twice"
            missing += lost
        if (wrong := _out_of_order(found)) is not None:
            yield f"stream {stream}: {wrong[:40]!r} comes too late"
    if missing != sum(seen.dropped.values()):
        yield f"{missing} lines are missing, dropped: {dict(seen.dropped)}"


def _out_of_order(lines: Iterable[str]) -> str | None:
    last: dict[str, int] = {}
    for line in lines:
        producer, number = line.rstrip(".").split(" ")
        if last.get(producer, 0) >= int(number):
            return line
        last[producer] = int(number)
    return None


def _owners(seen: Seen) -> Iterator[str]:
    """While a batch is under way, nobody sends the next one of its stream.

    A shipper that was frozen just before a request may make it much later, when the batch is long
    delivered: then it is a repetition, with the same lines under the same id.
    """
    known: set[str] = set()
    last: dict[int, Request] = {}
    for one in seen.requests:
        if one.frame_id in known:
            continue
        known.add(one.frame_id)
        before = last.get(one.stream)
        if before is not None and before.ended > one.began:
            yield f"stream {one.stream}: {before.shipper} and {one.shipper} at a time"
        last[one.stream] = one


def _books(seen: Seen) -> Iterator[str]:
    """They balance; what is left of a batch is repeated under its id, so both may count it."""
    books = seen.books
    pushed = sum(map(len, seen.pushed.values()))
    left = sum(len(lines) for batches in seen.left.values() for _, lines in batches)
    if books["pushed"] != pushed:
        yield f"{pushed} lines were pushed, {books['pushed']} are in the books"
    if books["waiting"] + books["in_flight"] != left:
        yield f"{left} lines were left, in the books {books}"
    accounted = books["delivered"] + left + sum(seen.dropped.values())
    if accounted != pushed:
        yield f"{pushed} lines were pushed, {accounted} are accounted for"


def _secrets(seen: Seen) -> Iterator[str]:
    # What was said is not shown: it may hold what it must not.
    if any(TOKEN in one for one in seen.said):
        yield "a shipper has said the token"
    if TOKEN.encode() in seen.stored:
        yield "the engine has the token"
    if any("internal error" in one or "Traceback" in one for one in seen.said):
        yield "a shipper has said that something internal has failed"
