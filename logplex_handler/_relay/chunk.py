"""Chunks: frames of one stream, as they are packed for the relay and unpacked."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from logplex_handler._spool.chunk import MAX_STREAM_ID, packed, unpacked
from logplex_handler._wire.frames import Frame, frame_count

# The id of a stream. The handler's own URL, which is None elsewhere, has no place in a relay.
StreamId = str | int

# Frames of a chunk, and bytes of its body, which are those of one request to Logplex.
MAX_FRAMES = 500
MAX_BODY = 1024 * 1024

# The form of a stored chunk: version, checksum of all that follows, records, frames, flags, bytes
# of the producer's name, sequence, bytes of the sizes; then the name, the sizes and the body. The
# scripts read records and frames, so they must stay where they are.
_VERSION = 1
_PREFIX = struct.Struct(">BI")
_HEAD = struct.Struct(">IIBBQI")
_HAS_TOKEN = 1
# Characters of a producer's name.
_MAX_NAME = 64


class DamagedChunk(Exception):
    """Not what a producer has stored. Its records are lost."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames of one stream that are pushed together. It never changes.

    Attributes:
        stream: The stream's id.
        producer: The name of the process that made it, unique among all processes: at most 64
            characters of ASCII. A forked child has one of its own.
        sequence: A number that no other chunk of the producer has, growing in each stream.
        records: The number of records.
        frame_count: The number of frames; more than records if some have several.
        has_token: Whether a token is to replace the appname of the packets (a placeholder).
        body: The frames, with nothing between them.
        sizes: The number of frames of each record as JSON; None if each has one.
    """

    stream: StreamId
    producer: str
    sequence: int
    records: int
    frame_count: int
    has_token: bool
    body: bytes
    sizes: str | None = None

    @classmethod
    def of(
        cls,
        stream: StreamId,
        frames: Sequence[Frame],
        *,
        producer: str,
        sequence: int,
        has_token: bool = False,
    ) -> Chunk:
        """A chunk of these frames, none of which is a line of the handler's own."""
        body, sizes, records = packed(frames)
        count = frame_count(frames)
        return cls(stream, producer, sequence, records, count, has_token, body, sizes)

    @property
    def frames(self) -> list[Frame]:
        """The frames, those of one record linked; a `DamagedChunk` if they do not add up."""
        try:
            return unpacked(self.body, self.sizes, self.records)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise DamagedChunk("its frames do not add up") from None

    def head(self) -> bytes:
        """The bytes to store in front of the body. The stream is not among them."""
        sizes = b"" if self.sizes is None else self.sizes.encode()
        name = self.producer.encode("ascii")
        flags = _HAS_TOKEN if self.has_token else 0
        numbers = self.records, self.frame_count, flags, len(name), self.sequence, len(sizes)
        checked = _HEAD.pack(*numbers) + name + sizes
        # The body, by far the largest part, is not copied.
        return _PREFIX.pack(_VERSION, zlib.crc32(self.body, zlib.crc32(checked))) + checked

    @classmethod
    def unpack(cls, stream: StreamId, data: bytes, start: int = 0) -> Chunk:
        """The chunk of a head and a body, from a place on; or a `DamagedChunk`."""
        name_start = start + _PREFIX.size + _HEAD.size
        if len(data) < name_start:
            raise DamagedChunk("it is too short")
        version, crc = _PREFIX.unpack_from(data, start)
        if version != _VERSION:
            raise DamagedChunk(f"its format is {version}, not {_VERSION}")
        checked_from = start + _PREFIX.size
        if zlib.crc32(memoryview(data)[checked_from:]) != crc:
            raise DamagedChunk("its checksum is wrong")
        numbers = _HEAD.unpack_from(data, checked_from)
        records, frames, flags, name_size, sequence, sizes_size = numbers
        sizes_start = name_start + name_size
        body_start = sizes_start + sizes_size
        try:
            producer = data[name_start:sizes_start].decode("ascii")
            sizes = data[sizes_start:body_start].decode() if sizes_size else None
        except UnicodeDecodeError:
            raise DamagedChunk("it is no chunk") from None
        has_token = bool(flags & _HAS_TOKEN)
        return cls(stream, producer, sequence, records, frames, has_token, data[body_start:], sizes)


def is_relay_stream(stream: object) -> bool:
    """Whether chunks of this stream can be stored: a str of ordinary characters, or an int."""
    if type(stream) is int:
        return -(2**63) <= stream < 2**63
    if type(stream) is not str or len(stream) > MAX_STREAM_ID:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in stream)


def is_producer_name(name: str) -> bool:
    return 0 < len(name) <= _MAX_NAME and name.isascii() and name.isprintable()


def stream_key(stream: StreamId) -> bytes:
    """The stream's id as the engine has it. The number 1 and the text "1" differ."""
    return b"i%d" % stream if isinstance(stream, int) else b"s" + stream.encode()


def stream_of(key: bytes) -> StreamId:
    """The stream of a key; the opposite of `stream_key`, or a `DamagedChunk`."""
    with contextlib.suppress(ValueError):
        if key[:1] == b"i":
            return int(key[1:])
        if key[:1] == b"s":
            return key[1:].decode()
    raise DamagedChunk("it belongs to no stream")


def shard_of(key: bytes, shards: int) -> int:
    """The shard of a stream's key: the same in every process, whatever its Python."""
    return zlib.crc32(key) % shards
