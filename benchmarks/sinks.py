"""The sinks of one run; each starts when it is first needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Sink:
    """A sink's process, seen from outside."""

    def __init__(self, mode: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "sink.py"), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.url = self._out.readline().strip()

    def counted(self) -> dict[str, float]:
        """Return the counts since the last call."""
        self._in.write("\n")
        self._in.flush()
        counted: dict[str, float] = json.loads(self._out.readline())
        return counted

    def stop(self) -> None:
        self._in.close()
        self._process.wait(10)
        self._out.close()


class Sinks:
    """One sink of each mode."""

    def __init__(self) -> None:
        self._sinks: dict[str, Sink] = {}

    def __enter__(self) -> Sinks:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks.values():
            sink.stop()

    def __getitem__(self, mode: str) -> Sink:
        if mode not in self._sinks:
            self._sinks[mode] = Sink(mode)
        return self._sinks[mode]
