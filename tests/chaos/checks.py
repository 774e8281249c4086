"""What must hold after a scenario, however it went."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tests import strict
from tests.chaos.receiver import Routed, texts_and_frames
from tests.chaos.run import TOKEN, Seen
from tests.chaos.scenario import Scenario, line
from tests.chaos.spools import FOREIGN

# Seconds that a call of the application may take, and how many of a scenario's may take longer:
# the system may keep a thread from the processor for as long as it likes. One that has waited for
# the network would not be alone.
LONGEST_CALL = 0.05
_MOST_LONG_CALLS = 2
_LONGEST_OF_ALL = 2.0
# Seconds beyond `shutdown_timeout` that a call which may wait for room may take, for that reason.
_BLOCKING = 0.25
# Seconds that closing may take beyond `shutdown_timeout`, on a loaded machine.
_CLOSING = 3.0
# Bytes that any record which waits holds beside its text: a string and what it stands in.
_LEAST_BYTES = 100

_BEGINNING = re.compile(r'(?:level=info logger=chaos (?:part=1/[0-9]+ )?msg=")?<([0-9]+) ([0-9]+)>')
_PART = re.compile(r'level=info logger=chaos part=([0-9]+)/([0-9]+) msg="([^"\\]*)"')
# A line of the handler itself.
_OWN = re.compile(r"logger=logplex_handler |^count#logplex_handler\.probe=1$")
_TOLD = re.compile(r"count#logplex_handler\.dropped=([0-9]+)$")


def broken(seen: Seen) -> list[str]:
    """The conditions that do not hold, in words; none if all is well."""
    return [*seen.wrong, *_ledger(seen), *_lines(seen), *_calls(seen), *_ends(seen)]


def _ledger(seen: Seen) -> Iterator[str]:
    scenario, stats = seen.scenario, seen.stats
    logged = scenario.threads * scenario.records
    dropped = dict(stats.dropped)
    if stats.accepted != logged + stats.recovered:
        yield f"{logged} logged, {stats.recovered} recovered, {stats.accepted} accepted"
    if stats.pending or stats.accepted != stats.delivered + sum(dropped.values()):
        yield f"the books do not balance at the end: {stats}"
    if seen.dropped != dropped:
        yield f"called back for {seen.dropped}, dropped {dropped}"
    if not scenario.ends_in_the_storm:
        if not seen.flushed:
            yield f"not all was delivered after the storm: {stats}"
        if "shutdown" in dropped:
            yield f"dropped at shutdown: {dropped}"
        told = sum(_told(seen.routed))
        if told != sum(dropped.values()):
            yield f"the stream was told of {told} drops, there were {dropped}"
    held = seen.most_pending * _LEAST_BYTES
    if held > scenario.options["max_buffer_bytes"] and not scenario.spool:
        yield f"{seen.most_pending} records waited, in more memory than allowed"


def first_bodies(routed: list[Routed]) -> dict[str, bytes]:
    """The first body under each frame id, in order."""
    bodies: dict[str, bytes] = {}
    for one in routed:
        bodies.setdefault(one.frame_id, one.body)
    return bodies


def _told(routed: list[Routed]) -> Iterator[int]:
    for body in first_bodies(routed).values():
        for told, _ in texts_and_frames(body):
            if match := _TOLD.search(told):
                yield int(match[1])


def _lines(seen: Seen) -> Iterator[str]:
    """Each line is there as it was logged, once, in order; or it was counted as dropped."""
    scenario, stats = seen.scenario, seen.stats
    bodies = first_bodies(seen.routed)
    if any(one.body != bodies[one.frame_id] for one in seen.routed):
        yield "two bodies under one frame id"
    unexplained = len(seen.routed) - len(bodies)
    unexplained -= sum(one.answered_badly for one in seen.routed)
    # A request that is under way when the handler closes is not counted any more.
    if unexplained > stats.possible_duplicates + scenario.ends_in_the_storm:
        yield f"{unexplained} doubled batches, {stats.possible_duplicates} possible duplicates"
    frames = [pair for body in bodies.values() for pair in texts_and_frames(body)]
    # Reading strictly takes its time.
    for _, frame in frames[:: len(frames) // 50 + 1]:
        try:
            strict.packet(frame)
        except strict.Wrong as error:
            yield f"a packet is wrong: {error}"
    whole: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    for thread, number, found in _joined(scenario, (found for found, _ in frames)):
        if thread in last and last[thread] >= number:
            yield f"thread {thread}: {number} after {last[thread]}"
        last[thread] = number
        whole[thread, number] += found == line(scenario, thread, number)
    if whole and max(whole.values()) > 1:
        yield "lines came twice under different frame ids"
    arrived = sum(whole.values())
    if arrived < stats.delivered - stats.recovered:
        yield f"{stats.delivered} counted as delivered, {arrived} arrived"
    missing = stats.accepted - stats.recovered - arrived
    if missing > sum(stats.dropped.values()):
        yield f"{missing} did not arrive, dropped: {dict(stats.dropped)}"


def _joined(scenario: Scenario, lines: Iterator[str]) -> Iterator[tuple[int, int, str]]:
    """Thread, number and text of each record; its packets follow one another.

    Where its first packet was refused, the others belong to none.
    """
    thread, number, found = -1, -1, ""
    for one in lines:
        if match := _BEGINNING.match(one):
            if found:
                yield thread, number, found
            thread, number, found = int(match[1]), int(match[2]), _uncut(one)
        elif (
            found
            and one != FOREIGN
            and not _OWN.search(one)
            and found != line(scenario, thread, number)
        ):
            found += _uncut(one)
    if found:
        yield thread, number, found


def _uncut(one: str) -> str:
    """What a part of a long key=value line adds to the parts before it; any other line as it is."""
    match = _PART.fullmatch(one)
    if match is None:
        return one
    head = 'level=info logger=chaos msg="' if match[1] == "1" else ""
    return head + match[3] + ('"' if match[1] == match[2] else "")


def _calls(seen: Seen) -> Iterator[str]:
    scenario = seen.scenario
    longest = LONGEST_CALL
    if scenario.options["on_full"] == "block":
        longest = scenario.options["shutdown_timeout"] + _BLOCKING
    calls = [wall - late for wall, _, late in seen.calls]
    long = sum(call > longest for call in calls)
    busy = sum(cpu > LONGEST_CALL for _, cpu, _ in seen.calls)
    if long > _MOST_LONG_CALLS or busy > _MOST_LONG_CALLS or max(calls) > _LONGEST_OF_ALL:
        yield (
            f"{long} of {len(calls)} calls took longer than {longest} s, {busy} worked for longer; "
            f"the longest {max(calls):.3f} s"
        )


def _ends(seen: Seen) -> Iterator[str]:
    if seen.closing_took > seen.scenario.options["shutdown_timeout"] + _CLOSING:
        yield f"closing took {seen.closing_took:.1f} s"
    # Not shown: it may hold what it must not.
    if TOKEN in seen.stderr:
        yield "the token was said on stderr"
    if other := [
        said for said in seen.stderr.splitlines() if not said.startswith("logplex_handler: ")
    ]:
        yield f"on stderr: {other[:3]}"
    if "internal error" in seen.stderr:
        yield "an internal error was said on stderr"
