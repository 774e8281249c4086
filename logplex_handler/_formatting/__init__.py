"""A record becomes a line of key=value text, and what waits of it becomes frames.

Comes in: a `LogRecord`. Goes out: an entry, and later the entry's frames. Knows nothing of queues,
threads or receivers.
"""
