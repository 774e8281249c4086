"""The front door: the logging handler, its options, and the pipeline behind it.

Comes in: records from `logging`. Goes out: entries to the streams. `LogplexHandler` is public; the
other modules are for this package alone.
"""

from logplex_handler.handler.handler import LogplexHandler

__all__ = ["LogplexHandler"]
