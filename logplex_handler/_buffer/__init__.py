"""The bounded queue of one stream, and the counts of its records' outcomes.

Comes in: entries, from any thread. Goes out: the same entries in order, for a worker, and word that
one is to be woken. Knows nothing of formatting, disks or requests.
"""
