"""The regular expressions of queries, without those that may take for ever.

`re` holds up the whole process while it searches, so the receiver would not even answer.
"""

from __future__ import annotations

import math
import re
import time

# The most characters of a line that are searched: one that is joined of parts may have megabytes.
_MAX_CHARACTERS = 30_000

# The most repeats and groups with `|`: they may read a text in 2ⁿ ways.
_MOST_VARYING = 16
# The steps that a search may take at once; and the seconds of one search after which no longer part
# of the line is searched. One of half as many characters again may take a hundred times as long.
_MAX_STEPS = 5_000_000
_LONG = 0.02
# A repeat of at most so many may repeat what varies, as in `([0-9]+[.]){3}`.
_FEW = 4
# In turn: a class, the start of a group, a comment or a group with the flag x, a repeat, and
# anything else.
_PIECE = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]?|\((?:\?(?:#|[a-z]*x)?)?|"
    r"(?:[*+?]|\{(?=[0-9,])[0-9]*(?:,[0-9]*)?\})[?+]?|\\.|.",
    re.DOTALL,
)
_BOUNDS = re.compile(r"\{([0-9]*)(?:(,)([0-9]*))?\}")
# It changes nothing at the beginning of a search, except that the search takes longer.
_ANYTHING_FIRST = re.compile(r"\A(?:\.\*\??)+(?![*+?{])")


class Regexp:
    """A regular expression that is searched for in lines, whatever the case of letters.

    If a search takes long, only the beginning of the line is searched: with `a.*b.*c`, the time
    grows with the third power of the length of a line of `a` and `b`.
    """

    def __init__(self, source: str) -> None:
        """Raises ValueError if it is invalid, or if its time may grow exponentially."""
        try:
            if any(piece[0] == "(" and len(piece) > 2 for piece in _PIECE.findall(source)):
                # They may stand between what is repeated and its repeat, where the check would not
                # see them. The page's expressions have neither.
                raise re.error("comments and the flag x are not supported")
            re.compile(source)
            self._search = re.compile(_ANYTHING_FIRST.sub("", source, 1), re.IGNORECASE).search
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"no regular expression: {error}") from None
        varying = _varying(source)
        if varying > _MOST_VARYING:
            why = "a repeat, or a |, stands in what another repeat repeats"
            if varying < math.inf:
                why = f"it has more than {_MOST_VARYING} repeats and groups with |"
            raise ValueError(f"the regular expression /{source}/ may take for ever: {why}")
        # The characters that are searched at first, however many there are.
        self._first = _MAX_CHARACTERS
        while math.comb(self._first + int(varying), int(varying) + 1) > _MAX_STEPS:
            self._first = self._first * 2 // 3

    def is_in(self, text: str) -> bool:
        end, most = self._first, min(len(text), _MAX_CHARACTERS)
        while end < most:
            began = time.thread_time()
            found = self._search(text, 0, end)
            if time.thread_time() - began > _LONG:
                return found is not None
            end = end * 3 // 2
        return self._search(text, 0, most) is not None


def _varying(source: str) -> float:
    """Return the number of repeats and groups with `|`; infinity if a repeat repeats what varies.

    Then, a text may be read in 2ⁿ ways. What varies is a repeat, or a group with `|` or with what
    varies.
    """
    # What each open group holds: 0 if nothing varies, 1 if something does, 2 if a few of such are
    # repeated. `last` is the same for what a repeat would repeat, and `inside` the number of what
    # varies in it. `before` holds the numbers where the groups begin.
    groups, before, last, inside, number = [0], [0], 0, 0, 0
    for piece in _PIECE.findall(source):
        if piece[0] == "(":
            groups.append(0)
            before.append(number)
        elif piece == ")" and len(groups) > 1:
            last = groups.pop()
            inside = number - before.pop()
            groups[-1] = max(groups[-1], last)
        elif piece == "|":
            number += not groups[-1]
            groups[-1] = max(groups[-1], 1)
        elif (bounds := _bounds(piece)) is not None:
            least, most = bounds
            if most > 1 and last > (most <= _FEW):
                return math.inf
            number += int(most - 1) * inside if last else 0
            last = 2 if most > 1 and last else max(last, least != most)
            groups[-1] = max(groups[-1], last)
            number += least != most
        else:
            last = 0
    return number


def _bounds(piece: str) -> tuple[float, float] | None:
    """Return how often a repeat repeats, at least and at most; None for any other piece."""
    if (given := _BOUNDS.match(piece)) is not None:
        least = float(given[1] or 0)
        return least, float(given[3] or "inf") if given[2] else least
    of_sign = {"*": (0.0, float("inf")), "+": (1.0, float("inf")), "?": (0.0, 1.0)}
    return of_sign.get(piece[0])
