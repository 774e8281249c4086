"""Streams: which one a record is for, and which URL each of them has.

In: entries with the ids of their streams. Out: the intake of a stream for callers, and the stream
for workers. Must not know the threads that do its jobs. Only `Destination` is for users.
"""

from logplex_handler._wire.destination import Destination

__all__ = ["Destination"]
