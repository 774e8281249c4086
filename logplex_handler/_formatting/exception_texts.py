"""The texts that a traceback will have, found before it is written.

They are those of the exception, of the exceptions before it (causes and contexts), and of those
within it (groups). No code of an exception's class is called here.
"""

from __future__ import annotations

import builtins
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

# The most members of a group that the `traceback` module writes, and the most groups within each
# other, less one.
_MOST_MEMBERS = 15
_DEEPEST = 9
# The fewest characters between two exceptions, and before a member of a group.
_LINK = len("During handling of the above exception, another exception occurred:")
_TITLE = len("+---------------- 1 ----------------")
# The most exceptions within groups, with their notes, that are worth a traceback. The `traceback`
# module takes up to 20 µs for each, as often as it is in a group, also for those that it does not
# write.
_MOST_WITHIN = 100_000
# The number of carets below a line of source that take about as long as a note.
_CARETS = 100

# How the parts of an exception are read without any code of its class.
arguments_of, _attributes, _cause, _context, _hides_context = [
    BaseException.__dict__[name].__get__
    for name in ("args", "__dict__", "__cause__", "__context__", "__suppress_context__")
]
# The methods that write an exception's arguments, and those that write attributes.
WRITE_ARGUMENTS = (BaseException.__str__, KeyError.__str__)
_ATTRIBUTES: dict[object, list[Callable[[object], object]]] = {
    OSError.__str__: [OSError.__dict__[name].__get__ for name in ("filename", "strerror")],
    ImportError.__str__: [ImportError.__dict__["msg"].__get__],
    SyntaxError.__str__: [SyntaxError.__dict__["msg"].__get__],
}
# The type of methods written in C. Any other is of the application, and is not compared.
_OfC = type(BaseException.__str__)
_HAS_NOTES = sys.version_info >= (3, 11)
# Any, because Python 3.10 has no groups.
_Group: Any = getattr(builtins, "BaseExceptionGroup", None)
if _Group is not None:
    _members = _Group.__dict__["exceptions"].__get__
    _ATTRIBUTES[_Group.__str__] = [_Group.__dict__["message"].__get__]


def texts_of_traceback(error: object, most: float) -> tuple[list[object], int]:
    """Return values that are written of an exception, and the least number of other characters.

    It ends early with more than `most` of these characters.
    """
    texts: list[object] = []
    seen: set[int] = set()
    one, characters = error, -_LINK
    # An exception may come before itself.
    while issubclass(type(one), BaseException) and id(one) not in seen and characters <= most:
        if _Group is not None and issubclass(type(one), _Group):
            return _texts_with_groups(error, most)
        seen.add(id(one))
        texts += _texts_of(one)
        before = _cause(one)
        one = _context(one) if before is None and not _hides_context(one) else before
        characters += _LINK
    return texts, max(0, characters)


def _texts_with_groups(error: object, most: float) -> tuple[list[object], int]:
    places = _places(error)
    texts: list[object] = []
    characters = -_TITLE
    # Each with the groups around it, and whether it is written in one place alone.
    left = [(error, 0, True)]
    while left and characters <= most:
        one, depth, is_alone = left.pop()
        texts += _texts_of(one)
        characters += _TITLE
        if depth < _DEEPEST:
            for member in _members_of(one)[:_MOST_MEMBERS]:
                left.append((member, depth + 1, is_alone and places[id(member)] == 1))
        before = _before(one)
        # One that is before several others may be written before a member that is not written.
        if is_alone and places[id(before)] == 1:
            left.append((before, depth, True))
    return texts, max(0, characters)


def _places(error: object) -> Counter[int]:
    """Return, by `id`, in how many groups and before how many others each exception is."""
    places = Counter({id(error): 1})
    left = [error]
    while left:
        one = left.pop()
        for other in _next_to(one):
            places[id(other)] += 1
            if places[id(other)] == 1:
                left.append(other)
    return places


def has_too_many(error: object) -> bool:
    """Return whether an exception has so many within its groups that its traceback takes long.

    Notes count, too, and so do the carets of a SyntaxError, whose number is only a number.
    """
    # Those within each, by `id`, with itself; zero while they are being counted.
    within: dict[int, int] = {}
    # The exception, and those before others, which are written once.
    outermost = {id(error)}
    left = [error]
    while left:
        one = left[-1]
        members = _members_of(one)
        if id(one) not in within:
            within[id(one)] = 0
            outermost.add(id(_before(one)))
            left += [other for other in _next_to(one) if id(other) not in within]
            continue
        left.pop()
        if not within[id(one)]:
            within[id(one)] = _parts_of(one) + sum([within[id(member)] for member in members])
    return sum([within.get(each, 0) for each in outermost]) > _MOST_WITHIN


# Any, because the attributes are asked for as the `traceback` module does.
def _parts_of(error: Any) -> int:
    parts = 1
    try:
        try:
            notes = getattr(error, "__notes__", None)
        except Exception:
            # The `traceback` module says so in their place.
            notes = None
        # A range is a sequence, and bytes are one of numbers.
        if isinstance(notes, Sequence):
            parts += len(notes)
        if isinstance(error, SyntaxError):
            parts += max(0, (error.end_offset or 0) - (error.offset or 0)) // _CARETS
    except Exception:
        # The number is larger than any length, or an attribute is not what it should be.
        return _MOST_WITHIN + 1
    return parts


def _next_to(error: object) -> tuple[object, ...]:
    """Return the members of an exception, and the exception before it."""
    before = _before(error)
    return _members_of(error) if before is None else (*_members_of(error), before)


def _before(error: object) -> object:
    if not issubclass(type(error), BaseException):
        # A record may say that there is an exception where there is none.
        return None
    before = _cause(error)
    return _context(error) if before is None and not _hides_context(error) else before


def _members_of(error: object) -> tuple[object, ...]:
    if _Group is None or not issubclass(type(error), _Group):
        return ()
    found: tuple[object, ...] = _members(error)
    # A class may have others written.
    return found if type(error).exceptions is _Group.exceptions else ()  # type: ignore[attr-defined]


def _texts_of(error: object) -> list[object]:
    write = type(error).__str__
    texts: list[object] = []
    arguments = arguments_of(error)
    if write is BaseException.__str__ and len(arguments) == 1:
        texts += arguments
    elif type(write) is _OfC and write in WRITE_ARGUMENTS:
        # By `repr`, whose escapes are shorter than those of a line.
        texts.append(arguments)
    elif type(write) is _OfC and write in _ATTRIBUTES:
        written = [read(error) for read in _ATTRIBUTES[write]]
        texts.append(written if str in map(type, written) else arguments)
    if _HAS_NOTES:
        texts.append(dict.get(_attributes(error), "__notes__"))
    return texts
