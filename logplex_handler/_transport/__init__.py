"""One POST at a time over a connection that is kept open.

Comes in: a body and its destination.
Goes out: an `Answer`, never an exception.
Must not know: records, batches, retries.

- `transport`: sessions by host, and one POST over one of them.
- `prepared_request`: the part of a request that is the same each time.
- `session`, `pool`, `connection`: what requests and urllib3 lack: the limits of a request, and a
  short way for later requests.
- `limits`: the time that a request may take, and the addresses that it may go to.
- `names`: the addresses of a name, within the time that a caller has.
- `answer`, `errors`: the outcome of a request, and the meaning of an exception.
"""
