"""Frames on disk, in one SQLite file that several processes share.

Comes in: the frames of a stream. Goes out: chunks, including those of dead processes. Knows neither
when they are sent nor where.
"""
