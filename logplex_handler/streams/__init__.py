"""Streams: which one a record is for, and which URL each of them has.

Comes in: entries with the ids of their streams.
Goes out: the intake of a stream for callers, and the stream for workers.
Must not know: the threads that do its jobs. Only `Destination` is for users.

- `current`: the stream that a record is for.
- `registry`, `_ids`: all streams by id.
- `_parked`, `_retired`, `_pickled`: what is kept of streams that wait in long lines, or are not
  in use.
- `stream`, `_sending`, `context`: one stream, what it sends with, and what streams share.
- `pushing`: batches of several streams go to a relay at once.
- `intake`: takes entries in the caller's thread.
- `resolver`, `_resolution`: asks the application for a URL, and knows when to ask.
"""

from logplex_handler._wire.destination import Destination

__all__ = ["Destination"]
