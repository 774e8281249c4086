"""Messages of a failed test: which line was expected, which lines came, and what is malformed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from logplex_handler.testing._journal import Request
from logplex_handler.testing._line import Line
from logplex_handler.testing.conventions import MetricUnits, Violation
from logplex_handler.testing.wire_parser import Malformed

# The most lines, violations, and characters of a line: enough to see the cause without filling the
# screen.
_MAX_LINES = 20
_MAX_FAULTS = 5
_MAX_CHARACTERS = 400


def pairs_of(line: Line) -> dict[str, str]:
    """Return the pairs of a line, with the first value of each key; free text has none."""
    first_values: dict[str, str] = {}
    try:
        pairs = line.pairs
    except Malformed:
        return first_values
    for key, value in pairs:
        first_values.setdefault(key, value)
    return first_values


def missing(
    description: str, lines: Sequence[Line], expected: Mapping[str, str], timeout: float
) -> str:
    message = [f"no line {description} came within {timeout:g} s"]
    if not lines:
        return f"{message[0]}; none came at all"
    if expected and (nearest := _nearest(lines, expected)) is not None:
        message += ["the nearest that came:", f"    {_short(nearest)}"]
        pairs = pairs_of(nearest)
        for key, value in expected.items():
            if key not in pairs:
                message.append(f"      it has no {key}, wanted: {value}")
            elif pairs[key] != value:
                message.append(f"      {key} is {pairs[key]!r}, wanted: {value!r}")
    return "\n".join([*message, sent(lines)])


def _nearest(lines: Sequence[Line], expected: Mapping[str, str]) -> Line | None:
    def score(line: Line) -> int:
        pairs = pairs_of(line)
        # A matching key counts 1, and a matching value 2 more.
        return sum(
            (key in pairs) + 2 * (pairs.get(key) == value) for key, value in expected.items()
        )

    best = max(lines, key=score)
    return best if score(best) else None


def sent(lines: Sequence[Line]) -> str:
    """List the lines that came, or only the last ones if there are many."""
    shown = [f"    {_short(line)}" for line in lines[-_MAX_LINES:]]
    count = "1 line came:" if len(lines) == 1 else f"{len(lines)} lines came:"
    if len(lines) > _MAX_LINES:
        count = f"{count[:-1]}, the last {_MAX_LINES} of them:"
    return "\n".join([count, *shown]) if lines else "no line came"


def _short(line: Line) -> str:
    text = (str(line) or f"(shown to nobody) {line.text}")[: _MAX_CHARACTERS + 1]
    text = "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"


def refusals(requests: Iterable[Request]) -> str:
    """List the answers other than 2xx, which may be why a line is missing."""
    statuses = [
        str(request.status or "no answer")
        for request in requests
        if not 200 <= request.status < 300
    ]
    return f"requests that were refused: {', '.join(statuses)}" if statuses else ""


def faults(requests: Iterable[Request], lines: Iterable[Line]) -> str:
    """Explain every violation, with its line; return an empty text if there are none."""
    found = _violations(requests, lines)
    shown = [_explained(violation, line) for violation, line in islice(found, _MAX_FAULTS)]
    if not shown:
        return ""
    more = sum(1 for _ in found)
    count = f"{len(shown) + more} violations" if len(shown) > 1 else "1 violation"
    shown += [f"and {more} more"] if more else []
    return "\n".join([f"what was sent to Logplex is malformed, {count}:", *shown])


def _violations(
    requests: Iterable[Request], lines: Iterable[Line]
) -> Iterator[tuple[Violation, Line | None]]:
    for request in requests:
        # Violations of a routed packet are listed with its line instead.
        routed = request.status == 204
        for violation in request.violations:
            if not (routed and violation.rule.startswith("packet.")):
                yield violation, None
    units = MetricUnits()
    for line in lines:
        for violation in (*line.violations, *units.violations(line.metrics)):
            yield violation, line


def _explained(violation: Violation, line: Line | None) -> str:
    where = [] if line is None else [f"    in: {_short(line)}"]
    return "\n".join(
        [
            f"  {violation.finding}",
            *where,
            f"    what comes of it: {violation.consequence}",
            f"    what to do: {violation.cure}",
        ]
    )
