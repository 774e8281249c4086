"""The sending of one stream: its batch, when a request is due, and the meaning of each answer.

Comes in: entries of the accumulator, or chunks of the spool.
Goes out: one request at a time, and the outcome of each record.
Must not know: threads, other streams.

- `sender`: when the next request is due, and what follows from its answer.
- `due`, `retry_policy`: when a batch is due, and the decision about an answer. Both are pure.
- `in_flight`, `batch`: the batch that is being sent, and its parts.
- `source`, `drain`: take entries from the accumulator. With a spool, `disk_source` takes the place
  of `source`, and `disk_queue` has the stream's chunks.
- `relay`: pushes batches to a relay, in place of requests. `taken_source` takes them from there.
- `circuit_breaker`: whether a host answers.
- `drop_reports`, `lag_reports`: reports of drops and of late delivery.
"""
