"""The threads that deliver: which stream is next, who does its job, how a flush waits for it.

In: news of streams that have something to deliver. Out: calls of these streams, one at a time for
each. Must not know formats or answers.
"""
