"""The function that takes the values out of a record, in the caller's thread.

It checks that the record is like the others of its call site, and that its values are small and
cannot change any more. It returns the record's entry.
"""

from __future__ import annotations

import re
import sys

from logplex_handler._formatting import record_parts, value_kinds
from logplex_handler._formatting.call_site import NO_ENTRY
from logplex_handler._formatting.codegen import Source, fill
from logplex_handler._formatting.kept_value import as_tuple, tuple_of
from logplex_handler._formatting.layout import Layout
from logplex_handler._formatting.value_kinds import VALUE_KINDS

# Reading a missing attribute raises an error, which the caller of the function handles.
_TEMPLATE = """\
def extract(record):
    attributes = record.__dict__
    created = record.created
    $reads
    if not (
        len(attributes) == attribute_count
        and record.name == logger_name
        and (record.levelno is level or (type(record.levelno) is int and record.levelno == level))
        and record.levelname == level_name
        and (record.exc_info is None or record.exc_info is False)
        and record.exc_text is None
        and record.stack_info is None
        and type(created) is float
        $checks
    ):
        return no_entry
    $conversions
    return (number, created, $values)
"""

# Whether attributes are read as `record.name` or as `attributes["name"]`. The latter takes 1,200
# instructions less for each record before Python 3.13, and 1,300 more from 3.13 on, where reading
# an object's `__dict__` leaves its attributes in place.
_BY_ATTRIBUTE = sys.version_info >= (3, 13)


def extract_source(layout: Layout, room: int, *, by_attribute: bool = _BY_ATTRIBUTE) -> Source:
    """Return the function for one call site, which is `CallSite.extract`."""
    names: dict[str, object] = {
        **value_kinds.NAMES,
        "logger_name": layout.logger_name,
        "level": layout.level,
        "number": layout.number,
        "level_name": layout.level_name,
        "no_entry": NO_ENTRY,
        "attribute_count": len(layout.attributes),
    }
    reads, checks, conversions = [], [], []
    if layout.silence is not None:
        checks.append(f"and record.msg == {_written_metrics(layout, names)}")
    elif layout.keys is not None:
        reads.append(f"{as_tuple(layout.message)} = record.msg.values()")
        read, check = _compared("record.msg", "msg", layout.keys, names)
        reads.append(read)
        checks.append(f"and {check}")
    elif layout.template is None:
        reads.append("v0 = record.msg")
        if layout.metrics:
            # A text that is empty, or repeats the metrics, makes no pair.
            names["odd_end"] = ' ="'
            last = layout.metrics[-1][1].variable
            checks.append(f"and v0[-1:] not in odd_end and not v0.endswith({last})")
    else:
        reads.append("arguments = record.args")
        checks.append("and type(arguments) is type_of_arguments")
        names["type_of_arguments"] = layout.type_of_arguments
        if layout.arguments is None:
            is_tuple = layout.type_of_arguments is tuple
            target = as_tuple(layout.message) if is_tuple else layout.message[0].variable
            reads.append(f"{target} = arguments")
        for position, name in enumerate(layout.arguments or ()):
            names[f"argument_{position}"] = name
            variable = layout.message[position].variable
            reads.append(f"{variable} = arguments[argument_{position}]")
    for position, value in enumerate(layout.live):
        names[f"ask_{position}"] = layout.form.live[position].ask
        reads.append(f"{value.variable} = ask_{position}()")
    for position, (name, value) in enumerate(layout.extras.items()):
        names[f"extra_{position}"] = name
        reads.append(f"{value.variable} = attributes[extra_{position}]")
    # No code removes attributes that every record has. So if the number of attributes is right, and
    # those that may be missing are present, the extras are exactly these.
    reads += [f"record.{name}" for name in layout.attributes if name in record_parts.MAY_BE_MISSING]
    for value in layout.whole_values:
        if value.keys is not None:
            read, check = _compared(value.variable, value.variable, value.keys, names)
            reads += [
                # Asked first: the methods of another object may do anything.
                f"if type({value.variable}) is not dict:",
                "    return no_entry",
                read,
                f"if not ({check}):",
                "    return no_entry",
                f"{as_tuple(value.items)} = {value.variable}.values()",
            ]

    omitted = layout.form.omitted - record_parts.NOT_EXTRAS
    for position, name in enumerate([name for name in layout.attributes if name in omitted]):
        names[f"omitted_{position}"] = name
        checks.append(f"and omitted_{position} in attributes")
    # The extras have the same order in the line. If there are two, the last one shows the order.
    # The method is faster than `reversed`.
    if len(layout.extras) == 2 and layout.attributes[-1] in layout.extras:
        checks.append("and next(attributes.__reversed__()) == extra_1")
    elif len(layout.extras) > 1:
        names["names"] = layout.attributes
        checks.append("and [*attributes] == names")

    for value in layout.values:
        variable, kind = value.variable, value.kind
        is_known = kind in VALUE_KINDS
        type_name = value.type.__name__ if is_known else f"type_of_{variable}"
        names[type_name] = value.type
        late_check = value_kinds.IS_SHORT if kind.conversion else kind.kept_check
        if "$longest" in kind.check + late_check:
            names[f"longest_{variable}"], names[f"longest_ascii_{variable}"] = value.longest
        own_checks = [f"and type({variable}) is {type_name}"]
        if kind.check:
            own_checks.append(f"and {value_kinds.expression(kind.check, variable)}")
        if value.is_optional:
            own_checks = [f"and ({variable} is None or {' '.join(own_checks)[4:]})"]
        checks += own_checks
        if kind.kept:
            conversions.append(f"{variable} = {value_kinds.expression(kind.kept, variable)}")
        if kind.conversion:
            converted = value_kinds.expression(kind.conversion, variable)
            conversions.append(f"{variable} = {converted}")
        if late_check:
            condition = value_kinds.expression(late_check, variable)
            conversions += [f"if not {condition}:", "    return no_entry"]

    if not layout.fit.is_light:
        names["room"] = room
        conversions += [f"weight = {layout.weight_source}", "packets = weight // room + 1"]
    text = fill(
        _TEMPLATE,
        {
            "reads": reads,
            "checks": checks,
            "conversions": conversions,
            "values": layout.variables,
        },
    )
    if not by_attribute:
        text = re.sub(r"record\.(?!__dict__)(\w+)", r'attributes["\1"]', text)
    return Source("extract", text, names)


def _compared(
    source: str, variable: str, keys: list[str], names: dict[str, object]
) -> tuple[str, str]:
    """Return a statement that reads the keys of a dict, and the expression that compares them.

    Most are the same objects each time. A key of a subclass of `str`, such as an enumeration's
    member, may equal a text and be written in another way.
    """
    read, checks = [], []
    for position, key in enumerate(keys):
        own, known = f"key_{variable}_{position}", f"known_{variable}_{position}"
        names[known] = key
        read.append(own)
        checks.append(f"({own} is {known} or type({own}) is str and {own} == {known})")
    return f"{tuple_of(read)} = {source}", " and ".join(checks)


def _written_metrics(layout: Layout, names: dict[str, object]) -> str:
    """Return the expression of a message that makes no pair: empty, or the metrics' text."""
    if layout.silence == "empty":
        return '""'
    pieces = []
    for position, (name, value) in enumerate(layout.metrics):
        names[f"metric_{position}"] = f"{name}="
        pieces.append(f"{{metric_{position}}}{{{value.variable}}}")
    return f'f"{" ".join(pieces)}"'
