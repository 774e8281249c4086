"""The grammar of a key=value line: how keys and values are written.

Everything here is a pure function of its arguments. The rules are the ones that the known readers
of such lines (l2met, logfmt in several languages, Promtail, syslog-ng) agree on.
"""

from __future__ import annotations

import re

# U+0080 to U+009F are control characters too: terminals act on some, and some readers take U+0085
# for the end of a line.
_FORCES_QUOTES = re.compile(r'[\x00-\x20="\\\x7f-\x9f]')
_FORCES_ESCAPES = re.compile(r'[\x00-\x1f"\\\x7f-\x9f]')
_NOT_IN_KEYS = re.compile(r'[\x00-\x20="\x7f-\x9f]')
_METRIC_KEY = re.compile(r"(measure|sample|count)#")

# No other escape is safe: one that l2met does not know costs all metrics of the line.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}

_ESCAPED = re.compile(r"\\(u00[0-9a-fA-F]{2}|.)", re.DOTALL)
_UNESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def quote(text: str) -> str:
    """The text as one value: bare where that is safe, else in double quotes with escapes."""
    # Nearly all texts end here. What is printable holds no control character, and the only white
    # space in it is the blank.
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"' if " " in text or "=" in text else text or '""'
    if not _FORCES_QUOTES.search(text):
        return text
    return f'"{escape(text)}"'


def escape(text: str) -> str:
    """The text as it stands in double quotes."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES) if _FORCES_ESCAPES.search(text) else text


def unescape(text: str) -> str | None:
    """The inside of a quoted value as it was before quoting; None if an escape is not ours."""
    if "\\" not in text:
        return text
    known = True

    def original(match: re.Match[str]) -> str:
        nonlocal known
        escape = match[1]
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        known = known and escape in _UNESCAPES
        return _UNESCAPES.get(escape, "")

    plain = _ESCAPED.sub(original, text)
    return plain if known else None


def key(name: object) -> str:
    """The name as a key, without the characters that would end it; `_` if nothing is left.

    A key that a consumer would read as a metric loses its `#`: metrics come from `measure`,
    `sample` and `count` alone, never from what happens to be in a mapping.
    """
    text = _NOT_IN_KEYS.sub("", text_of(name)) or "_"
    return _METRIC_KEY.sub(r"\1_", text, count=1) if _METRIC_KEY.match(text) else text


def text_of(value: object) -> str:
    """The value as text before quoting: None is `null`, bools are lower-case, all else `str()`.

    A value whose `str()` fails becomes `<unprintable TYPE object>`, as in tracebacks: one bad value
    does not cost the record.
    """
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    try:
        return exact(str(value))
    except Exception:
        return unprintable(value)


def exact(text: str) -> str:
    """The text itself: a subclass of `str` could say another thing each time it is asked."""
    return text if type(text) is str else str.__str__(text)


def unprintable(value: object) -> str:
    """What stands for a value that cannot be written, as in tracebacks."""
    return f"<unprintable {type(value).__name__} object>"


def pair(name: object, value: object) -> str:
    """`name=value`, both made safe."""
    return f"{key(name)}={quote(text_of(value))}"
