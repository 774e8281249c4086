"""The bounded queue of one stream, and the counts of its records' outcomes.

Comes in: entries, from any thread.
Goes out: the same entries in order, to a worker, and whether to wake one.
Must not know: formatting, disks, requests.

The queue has five layers. Each is a subclass of the next:

- `accumulator`: the lock, and the methods that callers and workers use.
- `parkable_queue`: what is kept of a queue whose stream waits in a long line.
- `waking_queue`: when to wake a worker, and when to throttle callers.
- `bounded_queue`: the bound on bytes. When the queue is full, this layer drops the oldest entries
  or the new one. With `on_full="block"`, `put` takes no entry then, and the stream's intake waits.
- `weighed_queue`: the entries in order, of which the first are weighed.

Four modules stand beside them:

- `backpressure`: when callers are throttled, and for how long.
- `first_entries`: the entries of otherwise empty queues, which callers leave to a worker.
- `ledger`: the dropped records, and the drops to report.
- `memory_pool`: the bytes that the queues of all streams share.
"""
