"""What a failed test says: which line was wanted, which came instead, and what is malformed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from logplex_handler.testing._conventions import Units
from logplex_handler.testing._journal import Line, Request
from logplex_handler.testing._parse import Malformed
from logplex_handler.testing._violations import Violation

# Enough to see what went on, without a screen full of it.
_MAX_LINES = 20
_MAX_FAULTS = 5
_MAX_CHARACTERS = 400


def as_value(value: object) -> str:
    """A value as the formatter writes it, for comparing with what was sent."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def pairs_of(line: Line) -> dict[str, str]:
    """The pairs of a line, the first of each key; none if it is free text."""
    found: dict[str, str] = {}
    try:
        pairs = line.pairs
    except Malformed:
        return found
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def missing(wanted: str, lines: Sequence[Line], like: Mapping[str, str], timeout: float) -> str:
    """A line that was waited for did not come: say what did."""
    words = [f"no line {wanted} came within {timeout:g} s"]
    if not lines:
        return f"{words[0]}; none came at all"
    if like and (nearest := _nearest(lines, like)) is not None:
        words += ["the nearest that came:", f"    {_short(nearest)}"]
        pairs = pairs_of(nearest)
        for key, value in like.items():
            if key not in pairs:
                words.append(f"      it has no {key}, wanted: {value}")
            elif pairs[key] != value:
                words.append(f"      {key} is {pairs[key]!r}, wanted: {value!r}")
    return "\n".join([*words, sent(lines)])


def _nearest(lines: Sequence[Line], like: Mapping[str, str]) -> Line | None:
    def score(line: Line) -> int:
        pairs = pairs_of(line)
        # The right value says twice as much as the right key.
        return sum((key in pairs) + 2 * (pairs.get(key) == value) for key, value in like.items())

    best = max(lines, key=score)
    return best if score(best) else None


def sent(lines: Sequence[Line]) -> str:
    """The lines that came, the last of them if there are many."""
    shown = [f"    {_short(line)}" for line in lines[-_MAX_LINES:]]
    count = "1 line came:" if len(lines) == 1 else f"{len(lines)} lines came:"
    if len(lines) > _MAX_LINES:
        count = f"{count[:-1]}, the last {_MAX_LINES} of them:"
    return "\n".join([count, *shown]) if lines else "no line came"


def _short(line: Line) -> str:
    text = str(line) or f"(shown to nobody) {line.text}"
    text = "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"


def refusals(requests: Iterable[Request]) -> str:
    """The answers other than 2xx, for a line that is missing because of them."""
    statuses = [str(one.status or "no answer") for one in requests if not 200 <= one.status < 300]
    return f"requests that were refused: {', '.join(statuses)}" if statuses else ""


def faults(requests: Iterable[Request], lines: Iterable[Line]) -> str:
    """All that is malformed, each with its explanation and its line; empty if nothing is."""
    found: list[str] = []
    for request in requests:
        # What is wrong with a routed packet is told at its line.
        routed = request.status == 204
        found += [
            _explained(violation)
            for violation in request.violations
            if not (routed and violation.rule.startswith("packet."))
        ]
    units = Units()
    for line in lines:
        found += [
            _explained(violation, line)
            for violation in (*line.violations, *units.violations(line.text))
        ]
    if not found:
        return ""
    count = f"{len(found)} violations" if len(found) > 1 else "1 violation"
    more = len(found) - _MAX_FAULTS
    shown = found[:_MAX_FAULTS] + ([f"and {more} more"] if more > 0 else [])
    return "\n".join([f"what was sent to Logplex is malformed, {count}:", *shown])


def _explained(violation: Violation, line: Line | None = None) -> str:
    where = [] if line is None else [f"    in: {_short(line)}"]
    return "\n".join(
        [
            f"  {violation.finding}",
            *where,
            f"    what comes of it: {violation.consequence}",
            f"    what to do: {violation.cure}",
        ]
    )
