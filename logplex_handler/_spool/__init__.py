"""Frames on disk, in one SQLite file that several processes share.

Comes in: the frames of a stream.
Goes out: chunks of frames, including those of dead processes.
Must not know: when and where they are sent.

- `spool`: a handler's chunks, each operation on them a transaction.
- `chunk`: how frames are packed and unpacked.
- `transactions`, `database`: access to the file, and how it is created and recognised.
- `owner_locks`: which owners of chunks are alive.
"""
