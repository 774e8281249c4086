"""The threads that deliver: which stream is next, who does its job, how a flush waits for it.

Comes in: news of streams that have something to deliver.
Goes out: calls of these streams, one at a time for each.
Must not know: formats, answers.

- `worker_pool`: the worker threads.
- `news`: news of streams, which wakes workers.
- `scheduler`, `fair_queue`, `tasks`: which job is next, with hosts and streams taking turns.
- `line`, `parking`: streams that wait in order, of which only the ids wait in long lines.
- `progress`: the finished tasks, for callers that wait.
- `flush`: flushing and closing.
- `spool_writer`: the thread that writes to the spool.
- `shipper`, `exchange`: delivers from a relay, in place of a handler: leases of shards, and what
  is taken and settled.
"""
