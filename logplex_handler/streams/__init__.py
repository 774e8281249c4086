"""Which stream a record is for, where that stream goes, and who is asked for its URL.

Comes in: entries and the ids of their streams. Goes out: the stream's intake, and the stream itself
for whoever delivers. `Destination` is public; the other modules are for this package alone.
"""

from logplex_handler._wire.destination import Destination

__all__ = ["Destination"]
