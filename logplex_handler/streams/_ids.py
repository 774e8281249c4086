"""The ids of streams, which an application's users may choose."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

# The longest id, in characters, bytes or bits of all its parts. A user may choose ids, and those of
# unknown streams are remembered, too.
_LONGEST_ID = 1000
# The most parts of an id that is a tuple or a frozenset, with those of its parts.
_MOST_PARTS = 10
# The longest text that is remembered itself, in characters or bytes.
_LONGEST_REMEMBERED = 64
# Marks a digest, so that no other id is like it.
_DIGEST = object()


def is_too_long(stream_id: object) -> bool:
    """Return whether an id is so long that no stream has it."""
    left, length, parts = [stream_id], 0, 0
    while left and length <= _LONGEST_ID:
        part = left.pop()
        if isinstance(part, str | bytes):
            length += len(part)
        elif isinstance(part, int):
            length += part.bit_length()
        elif isinstance(part, tuple | frozenset):
            parts += len(part)
            if parts > _MOST_PARTS:
                return True
            left += part
    return length > _LONGEST_ID


# Any, because what is compared is exactly the type.
def remembered(stream_id: Any) -> Any:
    """Return what stands for an id while its stream is retired: a digest in place of a long text.

    A user may have chosen a text of four kilobytes, and may choose another one each time.
    """
    kind = type(stream_id)
    if kind is tuple or kind is frozenset:
        return kind(map(remembered, stream_id))
    if kind not in (str, bytes) or len(stream_id) <= _LONGEST_REMEMBERED:
        return stream_id
    text = stream_id if kind is bytes else stream_id.encode("utf-8", "surrogatepass")
    return _DIGEST, kind, blake2b(text, digest_size=16).digest()
