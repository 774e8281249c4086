"""Checks a packet and its text against the conventions that readers rely on.

Logplex routes lines that break these conventions, but their readers misunderstand them. A text that
does not begin with a pair is free text; only its metrics are checked, because l2met finds them
anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import islice

from logplex_handler.testing._explanations import RULES
from logplex_handler.testing._text_parser import (
    PAIR,
    Metric,
    are_pairs,
    parse_metric,
    parse_pairs,
    readable_metric,
)
from logplex_handler.testing.wire_parser import Malformed, Packet, parse_packet

MAX_CONVENIENT_BYTES = 10_000
"""The largest packet to send: below Logplex's limit, so that a drain can add to it."""

# The most violations reported for one line. A packet can hold a thousand metrics, all of them
# malformed.
_MAX_VIOLATIONS = 20
# The most metric names whose unit is remembered, and the most characters of such a name with its
# source and unit.
_MAX_METRIC_NAMES = 100_000
_MAX_METRIC_CHARACTERS = 500
# The characters that are shown of a unit, which may have megabytes.
_SHOWN_UNIT = 40
_SHORTEST_TOKEN = 8
_RESERVED = ("router", "logplex")
_FIELD = re.compile(r"[a-z0-9.-]*")
_BEGINS_WITH_PAIR = re.compile(r'[^\s="]+=')
_KIND = re.compile(r"(?:measure|sample|count)#", re.IGNORECASE)
_KIND_IN_TEXT = re.compile(r"(?:measure|sample|count)#[^\s=\"#]+=")
_METRIC_IN_TEXT = re.compile(r'(?<!\S)((?:measure|sample|count)#[^\s="]*)=(\S*)', re.IGNORECASE)
# A metric without a fault, as a whole pair.
_PLAIN_METRIC = re.compile(
    r'(measure|sample|count)#([^\x00-\x20="#\x7f]+)=([0-9]{1,12}(?:\.[0-9]{1,6})?)([a-zA-Z]*)'
)
_CARD = re.compile(r"(?<![0-9])[0-9]{13,19}(?![0-9])")
# Turns digits into zeros: a search for so many of them is faster than one for `_CARD`.
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_CARD_DIGITS = b"0" * 13


class Violation(str):
    """A mistake of a sender. As a string, it is one line with the place and the rule.

    Attributes:
        rule: The rule's name, such as `packet.time`; a key of `RULES`.
        frame: The number of the frame in its request, from 1; None for the request as a whole.
        finding: What was found, sometimes in more detail than the string.
        consequence: What Logplex or a reader of the lines does because of it.
        cure: The remedy.
    """

    rule: str
    frame: int | None
    finding: str

    def __new__(
        cls, text: str, rule: str, *, frame: int | None = None, finding: str = ""
    ) -> Violation:
        if rule not in RULES:
            raise KeyError(rule)
        self = super().__new__(cls, text)
        self.rule = rule
        self.frame = frame
        self.finding = finding or text
        return self

    @property
    def consequence(self) -> str:
        return RULES[self.rule].consequence

    @property
    def cure(self) -> str:
        return RULES[self.rule].cure

    @property
    def explained(self) -> str:
        """The finding, the consequence and the remedy: three sentences or more."""
        return f"{self.finding}. {self.consequence} {self.cure}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (str(self), self.rule, self.frame, self.finding)


def _rebuild(text: str, rule: str, frame: int | None, finding: str) -> Violation:
    return Violation(text, rule, frame=frame, finding=finding)


def packet_violations(packet: bytes, frame: int) -> tuple[Violation, ...]:
    """Check a packet against Logplex's and RFC 5424's rules; return the first violation, if any."""
    found = check_packet(packet, frame)
    return (found,) if isinstance(found, Violation) else ()


def check_packet(packet: bytes, frame: int) -> Packet | Violation:
    """Return the parsed packet, or the first violation if it breaks a rule."""
    try:
        parsed = parse_packet(packet)
    except Malformed as error:
        return Violation(f"frame {frame}: {error}", error.rule, frame=frame)
    if parsed.procid in _RESERVED:
        message = f"frame {frame}: l2met gives the procid {parsed.procid} a meaning of its own"
        return Violation(message, "packet.reserved", frame=frame)
    return parsed


def token_violations(packet: bytes, token: str, frame: int) -> Iterator[Violation]:
    """Check that a packet does not contain the stream's token anywhere but as its appname."""
    secret = token.encode("latin-1")
    # A token as short as `x` occurs in any text.
    if len(secret) < _SHORTEST_TOKEN or secret not in packet:
        return
    fields = packet.split(b" ", 4)
    allowed = len(fields) > 3 and fields[3] == secret
    place = packet.find(secret, len(b" ".join(fields[:4])) if allowed else 0)
    if place >= 0:
        message = f"frame {frame}: byte {place}: the stream's token stands in the packet"
        yield Violation(message, "packet.token", frame=frame)


def line_violations(packet: Packet, size: int, frame: int) -> Iterator[Violation]:
    """Check a routed packet of `size` bytes against the conventions."""
    for name in ("hostname", "appname", "procid"):
        field = getattr(packet, name)
        fits = _FIELD.match(field)
        if fits and fits.end() < len(field):
            message = f"{name}: character {fits.end()} is not one of [a-z0-9.-]"
            yield Violation(message, "packet.letters", frame=frame)
    if size > MAX_CONVENIENT_BYTES:
        message = f"the packet has {size:,} bytes, more than {MAX_CONVENIENT_BYTES:,}"
        yield Violation(message, "packet.size", frame=frame)
    for violation in text_violations(packet.text):
        violation.frame = frame
        yield violation


def plain_metrics(packet: Packet, frame: bytes) -> list[Metric] | None:
    """Return the metrics of a line in which `line_violations` surely finds nothing.

    This is the fast way for most lines, without 13 digits in a row. None says that a closer look is
    needed.
    """
    _, _, hostname, appname, procid, _, _, text = packet
    if len(frame) > MAX_CONVENIENT_BYTES or not _are_fit(hostname, appname, procid):
        return None
    if "#" in text and _may_have_metrics(text):
        return _plain_metrics(text)
    if "source=" in text and (text.count("source=") > 1 or 'source="' in text):
        return None
    return [] if are_pairs(text) or not _BEGINS_WITH_PAIR.match(text) else None


def has_many_digits(text: bytes) -> bool:
    """Return whether 13 digits follow one another, as in the number of a card."""
    return _CARD_DIGITS in text.translate(_ZEROS)


def _may_have_metrics(text: str) -> bool:
    """Return whether the name of a kind stands in a text, in any letters that `re` takes for it."""
    folded = text.casefold()
    return "measure#" in folded or "count#" in folded or "sample#" in folded


@lru_cache(maxsize=1_000)
def _are_fit(*fields: str) -> bool:
    return all(map(_FIELD.fullmatch, fields))


def text_violations(text: str) -> Iterator[Violation]:
    """Check a text against the conventions for key=value pairs and metrics."""
    if not _BEGINS_WITH_PAIR.match(text):
        yield from _free_text_violations(text)
    else:
        try:
            pairs = parse_pairs(text)
        except Malformed as error:
            yield Violation(f"text: {error}", error.rule)
            yield from _free_text_violations(text)
        else:
            yield from _pair_violations(text, pairs)
    if has_many_digits(text.encode("utf-8", "replace")) and (card := _CARD.search(text)):
        digits = card.end() - card.start()
        message = f"text: character {card.start()}: {digits} digits in a row"
        yield Violation(message, "text.card-number")


def metrics_of(text: str) -> list[Metric]:
    """Return the readable metrics of a text, each with the line's source."""
    if "#" not in text or not _may_have_metrics(text):
        return []
    if (plain := _plain_metrics(text)) is not None:
        return plain
    try:
        pairs = parse_pairs(text)
    except Malformed:
        pairs = [(match[1], match[2]) for match in _METRIC_IN_TEXT.finditer(text)]
    source = next((value for key, value in pairs if key == "source"), "")
    found = [readable_metric(key, value, source) for key, value in pairs if "#" in key]
    return [metric for metric in found if metric is not None]


def _plain_metrics(text: str) -> list[Metric] | None:
    """Return the metrics of a text with a `#`, or None if a closer look is needed."""
    first = text.find("#")
    # A quote after the first `#` may be the end of a quoted value that holds it.
    if '"' in text[first:] or not are_pairs(text):
        return None
    source = ""
    if "source=" in text:
        # A source is plain at the beginning of the text, without quotes.
        if text.count("source=") > 1 or not text.startswith("source=") or text[7] == '"':
            return None
        source = text[7:].partition(" ")[0]
    metrics = []
    for pair in text[text.rfind(" ", 0, first) + 1 :].split(" "):
        if "#" in pair:
            # Long ones are not kept.
            is_short = len(pair) + len(source) <= _MAX_METRIC_CHARACTERS
            metric = _plain_metric(pair, source) if is_short else None
            if metric is None:
                return None
            metrics.append(metric)
    return metrics


# Counts and small numbers come again and again.
@lru_cache(maxsize=5_000)
def _plain_metric(pair: str, source: str) -> Metric | None:
    found = _PLAIN_METRIC.fullmatch(pair)
    return found and Metric(found[1], found[2], Decimal(found[3]), found[4], source)


def _pair_violations(text: str, pairs: list[tuple[str, str]]) -> Iterator[Violation]:
    sources = [value for key, value in pairs if key == "source"]
    if len(sources) > 1:
        yield Violation(f"text: {len(sources)} sources", "text.source-twice")
    if any(" " in source for source in sources):
        yield Violation("text: the source holds a space", "text.source-space")
    for (key, value), pair in zip(pairs, PAIR.finditer(text), strict=True):
        if _KIND.match(key):
            yield from _metric_violations(pair.start(), key, value)
            if pair[2] is not None:
                message = f"text: character {pair.start()}: the number of a metric is quoted"
                yield Violation(message, "metric.quoted")
        elif " " in value and (inside := _KIND_IN_TEXT.search(value)):
            message = f"text: the value of a quoted text holds {inside.group().partition('#')[0]}#"
            yield Violation(message, "text.quoted-metric")


def _free_text_violations(text: str) -> Iterator[Violation]:
    for match in _METRIC_IN_TEXT.finditer(text):
        yield from _metric_violations(match.start(), *match.group(1, 2))


def _metric_violations(position: int, key: str, value: str) -> Iterator[Violation]:
    place = f"text: character {position}"
    kind, _, name = key.partition("#")
    if kind != kind.lower():
        yield Violation(f"{place}: the kind of a metric is not in lower case", "metric.kind")
    elif not name:
        yield Violation(f"{place}: a metric without a name", "metric.name")
    else:
        try:
            parse_metric(key, value)
        except Malformed as error:
            message = str(error).partition(": ")[2]
            yield Violation(f"{place}: the metric's number: {message}", error.rule)


def first_few(violations: Iterable[Violation], frame: int) -> tuple[Violation, ...]:
    """Return the first violations of a line, and if there are others, one that says so."""
    left = iter(violations)
    first = tuple(islice(left, _MAX_VIOLATIONS))
    if next(left, None) is None:
        return first
    return (*first, Violation("and more in this line", "frame.more", frame=frame))


class MetricUnits:
    """The unit of each metric and source, which should not change."""

    def __init__(self) -> None:
        self._units: dict[tuple[str, str, str], str] = {}

    def violations(self, metrics: Iterable[Metric]) -> Iterator[Violation]:
        """Report each metric that had another unit before."""
        for metric in metrics:
            bucket = (metric.kind, metric.name, metric.source)
            first = self._units.get(bucket)
            if first is None:
                first = metric.unit
                size = len(metric.name) + len(metric.source) + len(first)
                if size <= _MAX_METRIC_CHARACTERS and len(self._units) < _MAX_METRIC_NAMES:
                    self._units[bucket] = first
            if first != metric.unit:
                message = f"text: a metric's unit was {_short(first)} and is {_short(metric.unit)}"
                yield Violation(message, "metric.two-units")


def _short(unit: str) -> str:
    shown = unit if len(unit) <= _SHOWN_UNIT else f"{unit[:_SHOWN_UNIT]}…"
    return shown or "none"
