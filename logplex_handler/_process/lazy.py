"""Names of a package that are imported when they are first used.

An application does not wait for modules that it never uses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package.

    Args:
        homes: The module of each name, relative to the package; for a name that is a module, the
            name itself.
    """

    def __getattr__(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{homes[name]}")
        found = module if name == homes[name] else getattr(module, name)
        # From now on, the name is found without this function.
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__
