"""The front door: the logging handler, its options, and the pipeline behind it.

Comes in: records from `logging`.
Goes out: entries for the streams.
Must not know: the command line, the receiver for tests.

- `_handler`, `_emitting_handler`: `LogplexHandler`, and its way of taking a record.
- `arguments`, `options`, `relay_options`: the arguments, and the options that they become.
- `_pipeline`, `_inactive`: joins the parts of all other rooms, or counts drops without a URL.
- `_sharing`: the limits of streams that share memory.
- `health`: the handler's metrics about itself.
- `shutdown`, `uncaught`, `diagnosis`: functions for all handlers of a process, or for its loggers.
"""

from logplex_handler.handler._handler import LogplexHandler

__all__ = ["LogplexHandler"]
