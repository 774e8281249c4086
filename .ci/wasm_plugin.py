"""Skips a test where it begins what WebAssembly cannot do, or needs what it does not have."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import pytest


class _Missing(ModuleType):
    """A module for which there is no wheel: a test that uses it is skipped, or a whole file."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        pytest.skip(f"needs {self.__name__}", allow_module_level=True)


def _skipping(what: str) -> Callable[..., NoReturn]:
    # Before the system is asked: what is emulated ends the whole interpreter.
    def skip(*args: object, **kwargs: object) -> NoReturn:
        pytest.skip(f"needs {what}")

    return skip


# Otherwise urllib3 replaces its connections by those of a browser, and the package refuses it.
_platform, sys.platform = sys.platform, "linux"
importlib.import_module("urllib3")
sys.platform = _platform

sys.modules["numpy"] = _Missing("numpy")
threading.Thread.start = _skipping("a thread")  # type: ignore[method-assign]
subprocess.Popen.__init__ = _skipping("a process")  # type: ignore[method-assign]
os.fork = _skipping("a process")
if not hasattr(os, "geteuid"):
    os.geteuid = os.getuid
socket.socket.__init__ = _skipping("a socket")  # type: ignore[method-assign]


def pytest_addoption(parser: pytest.Parser) -> None:
    # pytest-timeout needs a signal or a thread.
    parser.addini("timeout", "not in force")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "timeout: not in force")


def pytest_collection_finish() -> None:
    # hypothesis would use it if it were there.
    del sys.modules["numpy"]
