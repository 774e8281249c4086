"""The grammar of a key=value line: how keys and values are written.

All functions here are pure. The rules are those that the known consumers of such lines agree on:
l2met, logfmt in several languages, Promtail, syslog-ng.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from json.encoder import encode_basestring

from logplex_handler._formatting.codegen import Source
from logplex_handler._formatting.value_text import text_of

# U+0080 to U+009F are control characters, too: terminals act on some of them, and some consumers
# take U+0085 for the end of a line. In UTF-8, they begin with the byte C2.
_LATE_CONTROL = re.compile(b"\xc2([\x80-\x9f])")
_NOT_IN_KEYS = re.compile(r'[\x00-\x20="\x7f-\x9f]')
_METRIC_KEY = re.compile(r"^(measure|sample|count)#")

# No other escape is safe: an escape that l2met does not know makes it ignore the line's metrics.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F)}
_ESCAPES |= {ord('"'): '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
# The bytes of UTF-8 that need no escape by themselves.
_NOT_ESCAPED = bytes({*range(0x100)} - {*_ESCAPES, ord("\\")})
# Replaces each byte that needs an escape by another one; if JSON escapes it in another way, or not
# at all, by one that UTF-8 never has.
_MARKS = bytes.maketrans(b'"\\' + bytes(range(0x20)) + b"\b\f\x7f", b"x" * 0x22 + b"\xff\xff\xff")
# The characters whose escape has two characters; all other escapes have six.
_IN_TWO = b'"\\\n\r\t'
# The longest text, in characters, that is searched as it is.
_SHORT = 128
# The longest text that is searched in one go, as bytes, which takes 0.7 nanoseconds a character. In
# a longer one, each character that needs an escape is searched for by itself, by the C library:
# all 35 searches take a microsecond, and 0.2 nanoseconds a character.
_FEW = 640
# The same in UTF-8 for a text that is not ASCII, which must be encoded first.
_MEDIUM = 2000
# JSON's function takes four nanoseconds for each character, and `replace` takes ten for each
# escape. So JSON gets a longer text than this only if a fifth of its beginning are quotes.
_LONGEST_FOR_JSON = 1000
_BEGINNING = 128
_MANY_QUOTES = _BEGINNING // 5
# The bytes that need an escape, with what replaces them. Backslashes first, because the other
# escapes begin with one.
_ESCAPES_IN_BYTES = {ord("\\"): b"\\\\", **{code: e.encode() for code, e in _ESCAPES.items()}}
# Returns whether an ASCII text has a character that needs an escape. A loop takes a third more.
_needs_escapes: Callable[[str], bool] = Source(
    "needs_escapes",
    "def needs_escapes(text):\n    return "
    + " or ".join(
        [f"{chr(code)!r} in text" for code in dict.fromkeys((*b'"\n', *_ESCAPES_IN_BYTES))]
    ),
    {},
).function()

_ESCAPED = re.compile(r"\\(u00[0-9a-fA-F]{2}|.)", re.DOTALL)
_UNESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def quote(text: str, escaped: str | None = None) -> str:
    """Return the text as one value: bare if that is safe, else in double quotes with escapes.

    Args:
        escaped: What `escape` has returned for this text.
    """
    if escaped is None:
        escaped = escape(text)
    # syslog-ng and VRL take an apostrophe at the beginning for a quote.
    if escaped is text and " " not in text and "=" not in text and text[:1] != "'":
        return text or '""'
    return f'"{escaped}"'


def escape(text: str) -> str:
    """Return the text with the escapes for double quotes, or the same object if it needs none."""
    # Nearly all texts end here. A printable text has no control characters.
    if len(text) <= _SHORT and text.isprintable():
        if '"' not in text and "\\" not in text:
            return text
        return encode_basestring(text)[1:-1]
    if text.isascii():
        is_for_json = len(text) <= _LONGEST_FOR_JSON and ('"' in text or "\n" in text)
        if is_for_json and not ("\b" in text or "\f" in text or "\x7f" in text):
            # JSON's function replaces all in one pass.
            return encode_basestring(text)[1:-1]
        if len(text) > _FEW:
            return _escaped_long(text).decode() if _needs_escapes(text) else text
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _MEDIUM and not _has_late_control(encoded):
        marked = encoded.translate(_MARKS)
        if marked == encoded:
            return text
        if b"\xff" not in marked:
            return encode_basestring(text)[1:-1]
    with_escapes = _with_escapes(encoded)
    return text if with_escapes is encoded else with_escapes.decode("utf-8", "surrogatepass")


def _escaped_long(text: str) -> bytes:
    """Return a long ASCII text that needs escapes, with them."""
    is_for_json = text.count('"', 0, _BEGINNING) >= _MANY_QUOTES
    if is_for_json and not ("\b" in text or "\f" in text or "\x7f" in text):
        return encode_basestring(text)[1:-1].encode()
    return _with_escapes(text.encode())


def _has_late_control(text: bytes) -> bool:
    return b"\xc2" in text and _LATE_CONTROL.search(text) is not None


def _with_escapes(text: bytes) -> bytes:
    """Return a text in UTF-8 with its escapes, or the same object if it needs none."""
    for code in _ESCAPES_IN_BYTES:
        if code in text:
            text = text.replace(b"%c" % code, _ESCAPES_IN_BYTES[code])
    if _has_late_control(text):
        text = _LATE_CONTROL.sub(lambda match: b"\\u00%02x" % ord(match[1]), text)
    return text


def quote_in_bytes(text: str) -> bytes:
    """Return `quote(text)` in UTF-8, in less time if the text is long.

    Raises:
        UnicodeEncodeError: The text has a lone surrogate.
    """
    if len(text) <= _FEW:
        return quote(text).encode()
    escaped = escape_in_bytes(text)
    may_be_bare = b" " not in escaped and b"=" not in escaped and text[0] != "'"
    return escaped if may_be_bare and escaped == text.encode() else b'"%b"' % escaped


def escape_in_bytes(text: str) -> bytes:
    """Return `escape(text)` in UTF-8, in less time if the text is long.

    Raises:
        UnicodeEncodeError: The text has a lone surrogate.
    """
    if len(text) <= _FEW:
        return escape(text).encode()
    if text.isascii():
        return _escaped_long(text) if _needs_escapes(text) else text.encode()
    return _with_escapes(text.encode())


def escaped_length(text: str) -> int:
    """Return the length of `escape(text)`, in less time and memory."""
    escapes = text.encode("utf-8", "surrogatepass").translate(None, _NOT_ESCAPED)
    late = 0 if text.isascii() else sum([text.count(chr(code)) for code in range(0x80, 0xA0)])
    return len(text) + len(escapes) + 4 * len(escapes.translate(None, _IN_TWO)) + 5 * late


def unescape(text: str) -> str | None:
    """Return the text between a value's quotes unescaped, or None if an escape is unknown."""
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
    """Return the name as a key, without characters that would end it, or `_` if none is left.

    A key that a consumer would read as a metric has `_` in place of `#`: only `measure`, `sample`
    and `count` make metrics, never a key that happens to be in a mapping.
    """
    text = text_of(name)
    return _known_key(text) if len(text) <= _SHORT else _key(text)


def _key(text: str) -> str:
    text = _NOT_IN_KEYS.sub("", text) or "_"
    return _METRIC_KEY.sub(r"\1_", text, count=1)


# A program has few keys and uses them often.
_known_key = lru_cache(maxsize=1024)(_key)


def key_beside(own: Collection[str], name: object) -> str:
    """Return the name as a key that is none of a line's own keys: `level_` for `level`."""
    other = key(name)
    return f"{other}_" if other in own else other


def pair(name: object, value: object) -> str:
    """Return `name=value`, with a safe key and the value quoted if necessary."""
    return f"{key(name)}={quote(text_of(value))}"
