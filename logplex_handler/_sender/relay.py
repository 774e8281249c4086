"""The way of batches to a relay: those that are due are pushed together, each as a chunk.

A batch has a frame id that is the name of this process and a number, so that it is stored once,
however often it is pushed, also by another process that finds it in the spool.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.reentrancy import requesting
from logplex_handler._relay.chunk import MAX_BODY, MAX_FRAMES, Chunk, StreamId
from logplex_handler._relay.engine import Engine
from logplex_handler._relay.values import EngineAway, Pushed
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.sender import Attempt, Sender
from logplex_handler._sender.source import LeaseForm, without_token
from logplex_handler._transport.answer import Answer
from logplex_handler.errors import ConfigurationError

# Bytes that are pushed together: about as many; a few milliseconds of work for the engine.
_MAX_BYTES = 4 * 1024 * 1024
# Digits of a process's name and of a number in a frame id, which together have the 36 characters
# that the spool keeps.
_NAME_DIGITS = 19
_NUMBER_DIGITS = 16
_STORED = Answer(status=200)
_FULL = "the relay is full"


class _FrameId(str):
    """The frame id of a batch, which is held as long as the batch may be pushed again."""

    __slots__ = ("__weakref__",)


class Relay:
    """Pushes batches of a process's streams to an engine. One thread at a time calls `push`.

    Args:
        has_token: Whether a packet's appname is to be its stream's token.

    Attributes:
        destination: The destination of all streams, which only stands for the relay.
        breaker: The circuit breaker of the engine as a whole.
        form: The form of leases: one chunk each.
    """

    def __init__(
        self, engine: Engine, max_bytes: int, diagnostics: Diagnostics, *, has_token: bool
    ) -> None:
        self._engine = engine
        self._diagnostics = diagnostics
        self._has_token = has_token
        self.destination = replace(without_token(), endpoint="relay:")
        self.breaker = CircuitBreaker(is_exclusive=True)
        self.form = LeaseForm(min(max_bytes, MAX_BODY), MAX_FRAMES, self._new_id)
        self._producer = os.urandom(10).hex()[:_NAME_DIGITS]
        # Guards the fields below. Re-entrant, because a garbage collection may log while it is
        # held.
        self._lock = threading.RLock()
        self._number = 0
        # The batches that may be pushed again, by their numbers and in their order. They go by
        # themselves: once they are stored and no longer on disk, or lost.
        self._open: WeakValueDictionary[int, _FrameId] = WeakValueDictionary()

    def _new_id(self) -> str:
        with self._lock:
            self._number += 1
            frame_id = _FrameId(f"{self._producer}-{self._number:0{_NUMBER_DIGITS}x}")
            self._open[self._number] = frame_id
            return frame_id

    def push(self, senders: Iterable[Sender]) -> list[Sender]:
        """Push one batch of each; return the senders whose batches are stored.

        Those for which there is no room in one push are left out.
        """
        pushed, chunks = self._begin(senders)
        try:
            return _end(pushed, self._push(chunks))
        finally:
            # An error that redis-py has kept may hold the frames of its callers until a garbage
            # collection, but not the frame ids: the engine would remember all that come after.
            pushed.clear()

    def _begin(self, senders: Iterable[Sender]) -> tuple[list[tuple[Sender, Attempt]], list[Chunk]]:
        pushed: list[tuple[Sender, Attempt]] = []
        chunks: list[Chunk] = []
        size = 0
        for sender in senders:
            attempt = sender.begin()
            if attempt is not None:
                pushed.append((sender, attempt))
                chunks.append(self._chunk(sender.name, attempt))  # type: ignore[arg-type]
                size += len(chunks[-1].body)
                if size >= _MAX_BYTES:
                    break
        return pushed, chunks

    def _chunk(self, stream: StreamId, attempt: Attempt) -> Chunk:
        producer, sequence = identity_of(attempt.part.frame_id)
        return Chunk.of(
            stream,
            attempt.part.frames,
            producer=producer,
            sequence=sequence,
            has_token=self._has_token,
        )

    def _push(self, chunks: list[Chunk]) -> list[Answer]:
        with self._lock:
            settled = next(iter(self._open), self._number + 1)
        problem = ""
        results = [Pushed.AWAY] * len(chunks)
        with requesting():
            try:
                results = self._engine.push(chunks, settled={self._producer: settled})
            except ConfigurationError as error:
                problem = "it cannot be used"
                self._diagnostics.warn("relay", f"{error}; records wait")
            except EngineAway as error:
                problem = str(error)
        problem = problem or self._engine.problem or "no answer"
        return [
            _STORED
            if result.is_stored
            else Answer(failure=_FULL if result is Pushed.FULL else problem)
            for result in results
        ]

    def close(self) -> None:
        self._engine.close()


def identity_of(frame_id: str) -> tuple[str, int]:
    """The producer's name and the number in a frame id.

    Another handler, without a relay, may have written the id to the spool: then it is the name.
    """
    name, _, number = frame_id.rpartition("-")
    if len(name) == _NAME_DIGITS and len(number) == _NUMBER_DIGITS:
        return name, int(number, 16)
    return frame_id, 0


def _end(pushed: Sequence[tuple[Sender, Attempt]], answers: Sequence[Answer]) -> list[Sender]:
    """Settle what was pushed; return the senders whose batches are stored."""
    now = time.monotonic()
    stored = []
    host_failed = None
    for (sender, attempt), answer in zip(pushed, answers, strict=True):
        if answer is _STORED:
            stored.append((sender, attempt))
            continue
        # Failed together, they are one failure of the engine.
        sender.end(attempt, answer, now, host_failed=host_failed)
        host_failed = True
    # After the failures, so that they close the circuit breaker again.
    for sender, attempt in stored:
        sender.end(attempt, _STORED, now)
    return [sender for sender, _ in stored]
