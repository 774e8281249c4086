"""The form that frames have on disk: with neither URL nor token."""

from __future__ import annotations

from collections.abc import Sequence

from logplex_handler._spool.chunk import without_own
from logplex_handler._wire.codec import Codec
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, rewritten

# Replaces a token that is a packet's appname on disk. It is as long as the longest token, so that
# no packet becomes too long when the token replaces it again.
_NO_TOKEN = "-" * 48


class StoredForm:
    """Changes frames between disk and request.

    Args:
        has_token: Whether a packet's appname is its stream's token.
    """

    def __init__(self, codec: Codec, *, has_token: bool) -> None:
        self._codec = codec
        self._has_token = has_token

    @staticmethod
    def destination(hostname: str | None) -> Destination:
        """The destination of frames on disk."""
        return Destination("", "", _NO_TOKEN, hostname)

    def to_disk(self, frames: Sequence[Frame], destination: Destination) -> Sequence[Frame]:
        """The frames of records as they are written."""
        records = without_own(frames)
        if not self._has_token:
            return records
        return self._changed(records, destination, self.destination(destination.hostname))

    def from_disk(
        self, frames: Sequence[Frame], hostname: str | None, destination: Destination
    ) -> Sequence[Frame]:
        """Frames with a hostname as they are sent."""
        if hostname == destination.hostname and not self._has_token:
            return frames
        return self._changed(frames, self.destination(hostname), destination)

    def renamed(self, frames: list[Frame], old: str | None, new: str | None) -> list[Frame]:
        """Frames that are not written yet, with another hostname."""
        if old == new or not frames:
            return frames
        return self._changed(frames, self.destination(old), self.destination(new))

    def _changed(self, frames: Sequence[Frame], old: Destination, new: Destination) -> list[Frame]:
        return rewritten(frames, lambda frame: self._codec.readdress(frame, old, new))
