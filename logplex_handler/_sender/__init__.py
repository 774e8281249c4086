"""The sending of one stream: its batch, when a request is due, and the meaning of each answer.

Comes in: entries of the accumulator, or chunks of the spool. Goes out: one request at a time, and
the outcome of each record. Starts no thread, and knows no other stream.
"""
