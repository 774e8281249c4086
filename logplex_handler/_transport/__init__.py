"""One POST at a time over a connection that is kept open.

Comes in: a body and its destination. Goes out: an `Answer`, never an exception. Knows nothing of
records, batches or retries.
"""
