"""Code that takes what has to wait out of the records of one shape, in the application's thread."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from logplex_handler._formatting import grammar, record_parts
from logplex_handler._formatting.codegen import Source, variables
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.render import IMMUTABLE
from logplex_handler._wire.entry import LEAST_ORDINARY, MOST_ORDINARY, Entry, longest_of_light

Take = Callable[[logging.LogRecord], Entry | None]

# What a line depends on beside values; and what must not be there, as what a traceback shows may
# change.
SHARED = ("name", "levelno", "levelname")
NOT_STAYING = ("exc_info", "exc_text", "stack_info")
# How what every record has is read: as an attribute, or out of its dict. From 3.13 on, an object
# whose `__dict__` was asked for keeps its attributes where they were, so that reading one takes
# 10 ns less than a lookup. Before, it takes as much more.
_READ = "r.{0}" if sys.version_info >= (3, 13) else "d[{0!r}]"
# The largest number of one digit, of which CPython has 2**30: two such are compared fastest.
_SHORT = 2**30 - 1


def taking(
    number: int,
    record: logging.LogRecord,
    form: LineForm,
    extras: list[str],
    types: list[type],
) -> Take:
    """The function that makes an entry of a record."""
    source = Source()
    attributes = [*record.__dict__]
    first_extra = len(types) - len(extras)
    count = first_extra - len(form.live)
    source.statements.append("d = r.__dict__")
    if record.args:
        source.statements.append(f"{variables(count)} = {_READ.format('args')}")
    else:
        source.statements.append(f"v0 = {_READ.format('msg')}")
    for position, pair in enumerate(form.live, count):
        source.statements.append(f"v{position} = {source.name(pair.ask)}()")
    checks = [f"len(d) == {len(attributes)}"]
    for name in SHARED:
        checks.append(f"{_READ.format(name)} == {source.name(record.__dict__[name])}")
    checks += [f"{_READ.format(name)} is None" for name in NOT_STAYING]
    names = [source.name(name) for name in extras]
    for position, name in enumerate(names, first_extra):
        source.statements.append(f"v{position} = d[{name}]")
    # Nobody takes away what every record has; so with their number right, and may be missing there,
    # the extras are these and no others.
    may_be_missing = [name for name in attributes if name in record_parts.MAY_BE_MISSING]
    # If one is not there, reading it raises.
    source.statements += [_READ.format(name) for name in may_be_missing]
    omitted = [name for name in attributes if name in form.omitted - record_parts.NOT_EXTRAS]
    checks += [f"{source.name(name)} in d" for name in omitted]
    # Their order is that of the line.
    if len(extras) == 2 and attributes[-1] == extras[-1]:
        checks.append(f"next(d.__reversed__()) == {names[-1]}")
    elif len(extras) > 1:
        checks.append(f"[*d] == {source.name(attributes)}")
    late = []
    longest, longest_ascii = longest_of_light(len(types))
    for position, kind in enumerate(types):
        v = f"v{position}"
        checks.append(f"type({v}) is {source.name(kind)}")
        if kind is int:
            checks.append(f"(0 <= {v} <= {_SHORT} or {LEAST_ORDINARY} < {v} < {MOST_ORDINARY})")
        elif kind is str:
            checks.append(
                f"(len({v}) <= {longest} or len({v}) <= {longest_ascii} and {v}.isascii())"
            )
        elif kind not in IMMUTABLE:
            written = grammar.text_of if position >= count else _argument
            late.append(f"{v} = {source.name(written)}({v})")
            late.append(f"if len({v}) > {longest}: return None")
    source.statements.append(f"if not ({' and '.join(checks)}): return None")
    source.statements += late
    source.statements.append(
        f"return ({number}, {_READ.format('created')}, {variables(len(types))})"
    )
    return source.function("r")


def _argument(value: object) -> str:
    return grammar.exact(str(value))
