"""The front door: the logging handler, its options, and the pipeline behind it.

Records come in from `logging`; entries go out to the streams.
"""

from logplex_handler.handler._handler import LogplexHandler

__all__ = ["LogplexHandler"]
