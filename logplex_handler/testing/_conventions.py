"""What is wrong with a line's header fields and text, by the conventions that readers rely on.

Logplex routes such lines; it is those who read them that misunderstand. A text that does not begin
with a pair is free text, in which only metrics are looked at: l2met finds them anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from logplex_handler.testing._pairs import Metric, is_metric, parse_metric, parse_pairs
from logplex_handler.testing._parse import Malformed, Packet, parse_packet
from logplex_handler.testing._violations import Violation

MAX_CONVENIENT_BYTES = 10_000
"""What a packet should not exceed: less than Logplex's limit, so that a drain can add to it."""

# Names whose unit is remembered.
_MOST_UNITS = 100_000
_SHORTEST_TOKEN = 8
_RESERVED = ("router", "logplex")
_FIELD = re.compile(r"[a-z0-9.-]*")
_BEGINS_WITH_PAIR = re.compile(r'[^\s="]+=')
_KIND = re.compile(r"(?:measure|sample|count)#", re.IGNORECASE)
_KIND_IN_TEXT = re.compile(r"(?:measure|sample|count)#[^\s=\"#]+=")
_METRIC_IN_TEXT = re.compile(r'(?<!\S)((?:measure|sample|count)#[^\s="]*)=(\S*)', re.IGNORECASE)
_CARD = re.compile(r"(?<![0-9])[0-9]{13,19}(?![0-9])")


def packet_violations(packet: bytes, frame: int) -> tuple[Violation, ...]:
    """What Logplex's own rules and those of the packet say; at most one, the first."""
    try:
        parsed = parse_packet(packet)
    except Malformed as error:
        return (Violation(f"frame {frame}: {error}", error.rule, frame=frame),)
    if parsed.procid in _RESERVED:
        told = f"frame {frame}: l2met gives the procid {parsed.procid} a meaning of its own"
        return (Violation(told, "packet.reserved", frame=frame),)
    return ()


def token_violations(packet: bytes, token: str, frame: int) -> Iterator[Violation]:
    """Whether a packet shows the stream's token: as appname it may stand there, nowhere else."""
    secret = token.encode("latin-1")
    # A made-up one as short as `x` is in any text.
    if len(secret) < _SHORTEST_TOKEN or secret not in packet:
        return
    fields = packet.split(b" ", 4)
    allowed = len(fields) > 3 and fields[3] == secret
    place = packet.find(secret, len(b" ".join(fields[:4])) if allowed else 0)
    if place >= 0:
        told = f"frame {frame}: byte {place}: the stream's token stands in the packet"
        yield Violation(told, "packet.token", frame=frame)


def line_violations(packet: Packet, size: int, frame: int) -> Iterator[Violation]:
    """What the conventions say of a routed packet of so many bytes."""
    for name in ("hostname", "appname", "procid"):
        field = getattr(packet, name)
        fits = _FIELD.match(field)
        if fits and fits.end() < len(field):
            told = f"{name}: character {fits.end()} is not one of [a-z0-9.-]"
            yield Violation(told, "packet.letters", frame=frame)
    if size > MAX_CONVENIENT_BYTES:
        told = f"the packet has {size:,} bytes, more than {MAX_CONVENIENT_BYTES:,}"
        yield Violation(told, "packet.size", frame=frame)
    for violation in text_violations(packet.text):
        violation.frame = frame
        yield violation


def text_violations(text: str) -> Iterator[Violation]:
    """What the conventions for key=value and metrics say of a text."""
    if not _BEGINS_WITH_PAIR.match(text):
        yield from _of_metrics_in_free_text(text)
    else:
        try:
            pairs = parse_pairs(text)
        except Malformed as error:
            yield Violation(f"text: {error}", error.rule)
            yield from _of_metrics_in_free_text(text)
        else:
            yield from _of_pairs(text, pairs)
    if (card := _CARD.search(text)) is not None:
        digits = card.end() - card.start()
        told = f"text: character {card.start()}: {digits} digits in a row"
        yield Violation(told, "text.card-number")


def metrics(text: str) -> list[Metric]:
    """The metrics of a text that can be read, each with the line's source."""
    if "#" not in text:
        return []
    try:
        pairs = parse_pairs(text)
    except Malformed:
        pairs = [(match[1], match[2]) for match in _METRIC_IN_TEXT.finditer(text)]
    source = next((value for key, value in pairs if key == "source"), "")
    found = []
    for key, value in pairs:
        if is_metric(key):
            with suppress(Malformed):
                found.append(replace(parse_metric(key, value), source=source))
    return found


def _of_pairs(text: str, pairs: list[tuple[str, str]]) -> Iterator[Violation]:
    sources = [value for key, value in pairs if key == "source"]
    if len(sources) > 1:
        yield Violation(f"text: {len(sources)} sources", "text.source-twice")
    if any(" " in source for source in sources):
        yield Violation("text: the source holds a space", "text.source-space")
    for key, value in pairs:
        if _KIND.match(key):
            yield from _of_metric(text, key, value)
            if f'{key}="' in text:
                told = f"text: character {text.find(key)}: the number of a metric is quoted"
                yield Violation(told, "metric.quoted")
        elif " " in value and (inside := _KIND_IN_TEXT.search(value)):
            told = f"text: the value of a quoted text holds {inside.group().partition('#')[0]}#"
            yield Violation(told, "text.quoted-metric")


def _of_metrics_in_free_text(text: str) -> Iterator[Violation]:
    for match in _METRIC_IN_TEXT.finditer(text):
        yield from _of_metric(text, *match.group(1, 2))


def _of_metric(text: str, key: str, value: str) -> Iterator[Violation]:
    place = f"text: character {text.find(key)}"
    kind, _, name = key.partition("#")
    if kind != kind.lower():
        yield Violation(f"{place}: the kind of a metric is not in lower case", "metric.kind")
    elif not name:
        yield Violation(f"{place}: a metric without a name", "metric.name")
    else:
        try:
            parse_metric(key, value)
        except Malformed as error:
            told = str(error).partition(": ")[2]
            yield Violation(f"{place}: the metric's number: {told}", error.rule)


class Units:
    """Remembers the unit of each metric by source: it should have one."""

    def __init__(self) -> None:
        self._units: dict[tuple[str, str, str], str] = {}

    def violations(self, text: str) -> Iterator[Violation]:
        """Those of a text's metrics that had another unit before."""
        for metric in metrics(text):
            bucket = (metric.kind, metric.name, metric.source)
            first = self._units.get(bucket, metric.unit)
            if len(self._units) < _MOST_UNITS:
                self._units.setdefault(bucket, metric.unit)
            if first != metric.unit:
                told = f"text: a metric's unit was {first or 'none'} and is {metric.unit or 'none'}"
                yield Violation(told, "metric.two-units")
