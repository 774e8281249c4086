"""A line becomes packets, and each packet an octet-counted frame for a destination.

Comes in: a line, a time and a level.
Goes out: frames.
Must not know: records, queues. It does no I/O.

- `packet`: a line becomes RFC 5424 packets, and these become frames.
- `frames`: frames, runs of frames, and the outcome of a record with several frames.
- `destination`: the endpoint and the credentials of a stream.
- `entry`: the type of entries, and the memory they take.
"""
