"""One line becomes packets, and each packet an octet-counted frame for a destination.

Comes in: a line, a time and a level. Goes out: frames. Knows neither records nor queues, and does
no I/O.
"""
