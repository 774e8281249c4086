"""The text of an exception and its traceback, as the standard library writes it.

The text of a frame is the same each time the same instruction of the same code raises. It is kept,
because most exceptions of a program come again, and formatting a frame takes 50 µs. The standard
library formats what is not ordinary: groups, notes, names for which it has suggestions, and
recursion.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from types import CodeType, TracebackType

from logplex_handler._formatting.exception_texts import has_too_many
from logplex_handler._formatting.value_text import unprintable

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_START = "Traceback (most recent call last):\n"
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
# Errors for which the standard library writes more than their text.
_WITH_MORE = (SyntaxError, ImportError, NameError, AttributeError)
# The standard library abbreviates frames that are repeated more often.
_MAX_REPEATED = 3
_MAX_CHAINED = 10
# The most frames whose text is kept, and the most characters of each. Nearly all have a few
# hundred; a longer one shows generated code.
_MAX_KEPT = 1024
_LONGEST_KEPT = 4096

# By the `id` of the code, its instruction and its line. Python takes a microsecond or more for the
# hash of a long function's code. The code is kept, too, so that no other one gets its `id`.
_kept: dict[tuple[int, int, int], tuple[str, CodeType]] = {}


class _NotOrdinary(Exception):
    """The standard library has special rules for this exception."""


def written(formatter: logging.Formatter, exception: ExcInfo) -> str:
    """Return the text that the formatter makes of an exception."""
    if (
        type(formatter).formatException is logging.Formatter.formatException
        and "formatException" not in vars(formatter)
        # Some programs and libraries replace these functions, perhaps to hide something.
        and logging.Formatter.formatException.__module__ == "logging"
        and traceback.print_exception.__module__ == "traceback"
        and "tracebacklimit" not in vars(sys)
    ):
        texts: list[str] = []
        # An error may come from the exception's own code, which the standard library handles.
        with contextlib.suppress(Exception):
            _add_chain(texts, *exception, 0)
            return "".join(texts)[:-1]
    if has_too_many(exception[1]):
        return unprintable(exception[1])
    return formatter.formatException(exception)


def _add_chain(
    texts: list[str],
    kind: type[BaseException],
    error: BaseException,
    frames: TracebackType | None,
    depth: int,
) -> None:
    if (
        depth > _MAX_CHAINED
        or type(error) is not kind
        or isinstance(error, _WITH_MORE)
        or getattr(error, "__notes__", None) is not None
        # An exception group, built in or not.
        or hasattr(error, "exceptions")
    ):
        raise _NotOrdinary
    before, link = error.__cause__, _CAUSE
    if before is None and not error.__suppress_context__:
        before, link = error.__context__, _CONTEXT
    if before is not None:
        _add_chain(texts, type(before), before, before.__traceback__, depth + 1)
        texts.append(link)
    if frames is not None:
        texts.append(_START)
        _add_frames(texts, frames)
    name = kind.__qualname__
    if kind.__module__ not in ("__main__", "builtins"):
        name = f"{kind.__module__}.{name}"
    text = str(error)
    texts.append(f"{name}: {text}\n" if text else f"{name}\n")


def _add_frames(texts: list[str], first: TracebackType) -> None:
    frame: TracebackType | None = first
    previous, repeated = None, 0
    while frame is not None:
        code, line = frame.tb_frame.f_code, frame.tb_lineno
        place = (code.co_filename, line, code.co_name)
        repeated = repeated + 1 if place == previous else 1
        previous = place
        if repeated > _MAX_REPEATED:
            raise _NotOrdinary
        key = (id(code), frame.tb_lasti, line)
        kept = _kept.get(key)
        if kept is not None:
            text = kept[0]
        else:
            text = "".join(traceback.format_tb(frame, 1))
            # A text without a source line is not kept: perhaps the file could not be read just now.
            if text.count("\n") > 1 and len(text) <= _LONGEST_KEPT:
                if len(_kept) >= _MAX_KEPT:
                    _kept.clear()
                _kept[key] = text, code
        texts.append(text)
        frame = frame.tb_next
