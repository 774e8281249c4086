"""Frames on disk: one SQLite file that several processes share.

Comes in: the frames of a stream. Goes out: chunks, also those that dead processes left. Knows
neither when to send them nor where to.
"""
