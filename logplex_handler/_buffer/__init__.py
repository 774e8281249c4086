"""The bounded queue of one stream, and the counts of what became of its records.

Comes in: entries, from any thread. Goes out: the same entries in order, for the sender. Knows
nothing of formatting, disks or requests.
"""
