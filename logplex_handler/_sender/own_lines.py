"""The handler's own lines in a stream: metrics of its health, and drop notices."""

from __future__ import annotations

from collections import deque

from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._wire.codec import Codec
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, HealthFrame, OwnFrame

# The most health lines that wait while nothing can be sent; a new one replaces the oldest.
_MOST_HEALTH_LINES = 60


class OwnLines:
    """The handler's own lines for one stream.

    Any thread may call `add_health`; only the delivering thread calls the other methods.
    """

    __slots__ = ("_codec", "_drop_reports", "_health_lines")

    def __init__(self, drop_reports: DropReports, codec: Codec) -> None:
        self._drop_reports = drop_reports
        self._codec = codec
        # None until the first one, as most streams never have any.
        self._health_lines: deque[bytes] | None = None

    @property
    def has_health(self) -> bool:
        """Whether health lines wait."""
        return bool(self._health_lines)

    @property
    def are_due(self) -> bool:
        """Whether health lines wait, or a drop notice is due."""
        return bool(self._health_lines) or self._drop_reports.is_due_in_stream

    def add_health(self, frames: list[bytes]) -> None:
        """Send health lines with the next batch. The caller must wake a worker."""
        if self._health_lines is None:
            self._health_lines = deque(maxlen=_MOST_HEALTH_LINES)
        self._health_lines.extend(frames)

    def add_to(self, frames: list[Frame], destination: Destination) -> None:
        """Add the frames of all due lines; the caller must call `settle` later."""
        while self._health_lines:
            frames.append(HealthFrame(self._health_lines.popleft()))
        if self._drop_reports.is_due_in_stream:
            try:
                notice = self._codec.drop_notice(
                    self._drop_reports.begin_stream_notice(), destination
                )
                frames += map(OwnFrame, notice)
            except BaseException:
                self._drop_reports.end_stream_notice(delivered=False)
                raise

    def settle(self, *, delivered: bool) -> None:
        """Note that the batch was sent: its notice, if any, is delivered or due again."""
        self._drop_reports.end_stream_notice(delivered=delivered)
