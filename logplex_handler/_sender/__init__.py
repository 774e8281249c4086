"""What one stream sends: its batch, when the next request is due, and what each answer means.

Comes in: entries of the accumulator, or chunks of the spool. Goes out: one request at a time, and
the outcome of each record. Starts no thread, and knows no other stream.
"""
