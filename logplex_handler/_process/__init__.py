"""How the process begins, forks and ends, and what the package says on stderr.

Other rooms register what must start afresh in a forked child and what must run at exit. Knows
nothing of records, streams or HTTP.
"""
