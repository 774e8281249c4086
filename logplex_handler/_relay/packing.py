"""How commands become bytes, without copies of long arguments. Nothing here does I/O."""

from __future__ import annotations

from typing import Any

# Bytes of an argument from which on it is long: redis-py sends such pieces by themselves.
LONG = 6000


class Packer:
    """Packs commands as one of two packers of redis-py does.

    The one with hiredis copies all of a command twice, which for a push of megabytes takes longer
    than sending it. The one in Python hands long arguments over as they are.

    Args:
        in_python: Packs commands with a long argument.
        with_hiredis: Packs all others.
    """

    def __init__(self, in_python: Any, with_hiredis: Any) -> None:
        self._in_python = in_python
        self._with_hiredis = with_hiredis

    def pack(self, *args: Any) -> Any:
        is_long = any(type(arg) is bytes and len(arg) > LONG for arg in args)
        return (self._in_python if is_long else self._with_hiredis).pack(*args)
