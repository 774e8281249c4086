"""The threads: which stream is served next, by whom, and how a flush waits for it.

Comes in: word of a stream that has something to deliver. Goes out: calls of that stream, one at a
time. Knows nothing of formats or answers.
"""
