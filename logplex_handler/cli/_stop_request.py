"""SIGINT and SIGTERM as a request to stop."""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType


class StopRequest:
    """The first SIGINT or SIGTERM requests an orderly stop; the second raises KeyboardInterrupt.

    Use it as a context manager; on exit it restores the previous signal handlers.

    Attributes:
        requested_at: When the first signal came, on the monotonic clock, or None before that.
    """

    def __init__(self) -> None:
        self.requested_at: float | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for pipe_end in (self._wake_reader, self._wake_writer):
            os.set_blocking(pipe_end, False)
        self._previous_fd = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested_at is not None:
            raise KeyboardInterrupt
        self.requested_at = time.monotonic()

    def wait(self, timeout: float | None, descriptor: int | None = None) -> bool:
        """Wait until `descriptor` is readable, a signal comes, or `timeout` seconds have passed.

        Returns:
            Whether the descriptor is readable.
        """
        descriptors = [self._wake_reader]
        if descriptor is not None:
            descriptors.append(descriptor)
        ready, _, _ = select.select(descriptors, [], [], timeout)
        if self._wake_reader in ready:
            os.read(self._wake_reader, 100)
        return descriptor in ready
