"""A line becomes packets, and each packet an octet-counted frame for a destination.

A line, a time and a level come in; frames go out. Knows neither records nor queues, and does no
I/O.
"""
