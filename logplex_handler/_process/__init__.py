"""How the process forks and ends, what the package itself is doing, and what it writes to stderr.

Other rooms register objects that must begin anew in a forked child, and functions to call at exit.
Knows nothing of records, streams or HTTP.
"""
