"""What the records of one call site have in common, and the values in which they differ."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import NamedTuple

from logplex_handler._formatting import grammar, kept_value, message_template, record_parts
from logplex_handler._formatting.kept_value import FITS, Fit, Value, of_both, with_items
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.value_kinds import (
    METRIC,
    REPRESENTED,
    ValueKind,
    kind_of,
    kind_of_object,
    once_told,
    within,
)
from logplex_handler._formatting.value_text import text_of
from logplex_handler._wire.entry import HEAVY, WIDEST, Entry, longest_of_light, weight_source
from logplex_handler.metrics.metric_pairs import is_metric, metrics_text

# The most values of an entry. With more, it would not be light.
_MAX_VALUES = 32


class Layout(NamedTuple):
    """How the records of one call site become entries, and the entries lines.

    A layout keeps no value of the record that it was made from.

    Attributes:
        number: The number by which entries name their call site; `HEAVY` or more if they are heavy,
            and have their packets and their weight as the last values.
        template: The message with its conversions, which take the message's values by position;
            None for records without arguments.
        logged: The message with its conversions, as it was logged.
        arguments: The names of the arguments of a mapping; None for a tuple of arguments.
        keys: The keys of a mapping as message; None for any other message.
        silence: Why the message makes no pair: `empty`, or `repeats the metrics`; None if it makes
            one.
        attributes: The names of a record's attributes, in their order.
        message: The values of the arguments, or of the mapping; or the message alone.
        extras: The extras by name, in the order of the record, metrics included.
    """

    number: int
    form: LineForm
    logger_name: str
    level: int
    level_name: str
    template: str | None
    logged: object
    arguments: list[str] | None
    type_of_arguments: type
    keys: list[str] | None
    silence: str | None
    attributes: list[str]
    message: list[Value]
    live: list[Value]
    extras: dict[str, Value]
    fit: Fit

    @property
    def values(self) -> list[Value]:
        """All values of an entry, in their order there."""
        return [part for value in self.whole_values for part in value.parts]

    @property
    def whole_values(self) -> list[Value]:
        """The values of a record, in their order in the entry."""
        return [*self.message, *self.live, *self.extras.values()]

    @property
    def variables(self) -> str:
        """What follows the time in an entry: the values, and the size of a heavy one."""
        weight = [] if self.fit.is_light else ["packets", "weight"]
        return ", ".join([*[value.variable for value in self.values], *weight])

    @property
    def weight_source(self) -> str:
        """The source of the weight of an entry."""
        texts = [value.variable for value in self.values if value.is_text]
        return weight_source(texts, *kept_value.numbers_and_others(self.values))

    @property
    def start(self) -> str:
        return self.form.start(self.level_name, self.logger_name)

    def message_alone(self, text: str) -> str:
        """Return the pairs of a message without arguments. Merged ones, too, make it free text."""
        if self.type_of_arguments is NoneType or self.message[0].type is not str:
            return self.form.free_text(text)
        return self.form.message(text, ())

    @property
    def metrics(self) -> list[tuple[str, Value]]:
        """The names and values of the metrics, in the order of the line."""
        both = [*self.extras.items(), *zip(self.keys or (), self.message, strict=False)]
        return [(name, value) for name, value in both if value.kind is METRIC]

    @property
    def pairs(self) -> list[tuple[str, Value]]:
        """The keys and values that are no metrics: those of a mapping as message, then extras."""
        of_mapping = zip(self.keys or (), self.message, strict=False)
        both = [
            *[(grammar.key_beside(self.form.beside_message, name), v) for name, v in of_mapping],
            *[(grammar.key_beside(self.form.own_keys, name), v) for name, v in self.extras.items()],
        ]
        return [(key, value) for key, value in both if value.kind is not METRIC]

    def with_optional(self, other: Layout) -> Layout | None:
        """Return the layout for the records of both, or None if they differ in more than None."""
        one, two = [
            layout._replace(number=0, message=[], live=[], extras={}, fit=FITS[0])
            for layout in (self, other)
        ]
        types, types_of_other = [[value.type for value in each.live] for each in (self, other)]
        # A live pair whose value is None is not written.
        if one != two or types != types_of_other or not self.fit.is_light or not other.fit.is_light:
            return None
        found = [*map(of_both, self.whole_values, other.whole_values)]
        if None in found:
            return None
        values = iter(_with_shares([value for value in found if value is not None]))
        return self._replace(
            message=[next(values) for _ in self.message],
            live=[next(values) for _ in self.live],
            extras={name: next(values) for name in self.extras},
        )

    @property
    def is_metrics_alone(self) -> bool:
        has_message = self.keys is None and self.silence is None
        return bool(self.metrics) and not has_message and not self.pairs

    def line(self, entry: Entry) -> str:
        """Return the line of an entry, made step by step, whatever its values are."""
        kept = iter(entry[2:])
        values = iter([value.restored(kept) for value in self.whole_values])
        message = tuple([next(values) for _ in self.message])
        live = [next(values) for _ in self.live]
        extras, metrics = record_parts.pairs_and_metrics(
            zip(self.extras, values, strict=True), self.form.own_keys
        )
        if self.keys is not None:
            pairs, more = record_parts.pairs_and_metrics(
                zip(self.keys, message, strict=True), self.form.beside_message
            )
            text = " ".join(pairs)
            metrics += more
        elif self.silence is not None:
            text = ""
        elif self.template is None:
            text = self.message_alone(message[0])
        else:
            text = self.form.message(self.template, message, logged=self.logged)
        if metrics and not text and not extras:
            return self.form.metric_lines(metrics)
        shared = [self.start, *self.form.live_pairs(live), *([text] if text else ()), *extras]
        return self.form.line(shared, metrics)


def layout_of(
    number: int, record: logging.LogRecord, form: LineForm, fit: Fit = FITS[0]
) -> Layout | None:
    """Return the layout of a typical record, or None if its like must be formatted one by one."""
    extras = dict(record_parts.extras(record, form.omitted))
    pairs = record.msg if type(record.msg) is dict and not record.args else None
    keys = None if pairs is None else [*pairs]
    metrics = [f"{name}={value}" for name, value in extras.items() if is_metric(name, value)]
    silence = None
    is_object = pairs is None and type(record.msg) is not str
    kind_of_message = kind_of_object(type(record.msg)) if is_object and not metrics else None
    found = _arguments(record)
    if found is None or (is_object and kind_of_message is None):
        return None
    template, arguments, message = found
    if pairs is not None:
        message = [*pairs.values()]
    elif metrics and not record.args and record.msg in ("", metrics_text(metrics, "")):
        silence, message = "repeats the metrics" if record.msg else "empty", ()
    live = [pair.ask() for pair in form.live]
    names = [*(keys or [""] * len(message)), *[""] * len(live), *extras]
    all_values = [*message, *live, *extras.values()]
    texts = [record.name, record.levelname, *extras, *(keys or ())]
    has_own_text = bool(record_parts.source(record)) or "getMessage" in record.__dict__
    if has_own_text or not 0 < len(all_values) <= _MAX_VALUES or keys == []:
        return None
    if not all(type(text) is str for text in texts):
        return None
    if metrics and record.args and not message_template.is_surely_a_message(record.msg):
        return None

    are_whole = [True] * len(all_values)
    if template is not None:
        are_whole[: len(message)] = _are_whole(template, len(message), form)

    def kind(name: str, value: object, is_whole: bool) -> ValueKind:
        if is_metric(name, value):
            return METRIC
        return kind_of(type(value), fit.keeps_checked, is_whole=is_whole)

    all_kept = [
        Value(f"v{i}", type(value), kind(name, value, is_whole))
        for i, (name, value, is_whole) in enumerate(zip(names, all_values, are_whole, strict=True))
    ]
    if kind_of_message is not None:
        all_kept[0] = all_kept[0]._replace(kind=kind_of_message)
    elif fit.keeps_items:
        with_all = [*map(with_items, all_kept, all_values)]
        if sum(len(value.parts) for value in with_all) <= _MAX_VALUES:
            all_kept = with_all
    if template is not None:
        template, all_kept = _represented(template, all_kept, len(message))
    if fit.is_light:
        all_kept = _bounded(all_kept, all_values)
    values = iter(all_kept)
    return Layout(
        number=number if fit.is_light else HEAVY | number,
        form=form,
        logger_name=record.name,
        level=record.levelno,
        level_name=record.levelname,
        template=template,
        logged=template and record.msg,
        arguments=arguments,
        type_of_arguments=type(record.args),
        keys=keys,
        silence=silence,
        attributes=[*record.__dict__],
        message=[next(values) for _ in message],
        live=[next(values) for _ in live],
        extras={name: next(values) for name in extras},
        fit=fit,
    )


def _are_whole(template: str, arguments: int, form: LineForm) -> list[bool]:
    """Return whether each argument is the whole value of a pair."""
    pairs = message_template.plan(template, form.beside_message) or ()
    found = [pair.template == "%s" for pair in pairs for _ in range(pair.arguments)]
    return found if len(found) == arguments else [False] * arguments


def _arguments(
    record: logging.LogRecord,
) -> tuple[str | None, list[str] | None, Sequence[object]] | None:
    """Return the template, the names of its arguments if it has any, and the message's values.

    None if the arguments cannot be taken by position.
    """
    given: object = record.args
    if not given:
        return None, None, (record.msg,)
    if type(given) is tuple:
        return record.msg, None, given
    if not isinstance(given, Mapping):
        return None
    found = message_template.by_position(record.msg)
    if found is not None:
        return found[0], found[1], [given[name] for name in found[1]]
    # A conversion without a name takes the mapping itself.
    parts = message_template.parts(record.msg)
    return (record.msg, None, (given,)) if parts and len(parts[1]) == 1 else None


def _represented(template: str, values: list[Value], arguments: int) -> tuple[str, list[Value]]:
    """Return both with `%s`, and a text, for each argument of `%r` that becomes text at once."""
    parts = message_template.parts(template)
    if parts is None or len(parts[1]) != arguments or "\\" in template:
        return template, values
    texts, conversions = parts[0], [*parts[1]]
    for position, conversion in enumerate(conversions):
        if conversion == "%r" and values[position].kind.conversion:
            conversions[position] = "%s"
            values[position] = values[position]._replace(
                kind=once_told(REPRESENTED, values[position].type)
            )
    if conversions == parts[1]:
        return template, values
    texts = [text.replace("%", "%%") for text in texts]
    pieces = zip(texts, [*conversions, ""], strict=True)
    return "".join([text + conversion for text, conversion in pieces]), values


def _bounded(values: list[Value], typical: Sequence[object]) -> list[Value]:
    """Return the values with the most characters that their texts may have in a light entry.

    Each text may be as long as the typical one, plus an equal share of the remaining room. It also
    gets its twin.
    """
    parts = [part for value in values for part in value.parts]
    texts = [
        text for value, one in zip(values, typical, strict=True) for text in value.parts_of(one)
    ]
    known: dict[int, str] = {}
    needs = []
    for part, one in zip(parts, texts, strict=True):
        if part.is_text:
            text = text_of(within(one))
            needed = len(text) if text.isascii() else WIDEST * len(text)
            twin = known.setdefault(id(one), part.variable) if type(one) is str else ""
            needs.append((needed, twin))
    each = iter(needs)
    return _with_shares([value.with_needs(each) for value in values])


def _with_shares(values: list[Value]) -> list[Value]:
    parts = [part for value in values for part in value.parts]
    needed = [part.needed for part in parts if part.is_text]
    longest = longest_of_light(needed, *kept_value.numbers_and_others(parts))
    return [value.bounded(longest) for value in values]
