"""What one stream is sending: its batch, when the next request is due, what each answer means.

Comes in: entries of the accumulator or chunks of the spool. Goes out: one request at a time, and
each record's outcome. Starts no thread and knows no other stream.
"""
