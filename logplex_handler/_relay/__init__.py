"""The relay: chunks of many machines wait in one engine until the owner of their shard takes them.

Comes in: frames of a stream, from any process. Goes out: the same bytes under one frame id, to one
shipper at a time. Knows no URL of a stream, no thread, and not when something is sent.

The way of a chunk:
1. A producer packs the frames of one stream into a `Chunk`, with its own name and a number.
2. `push` stores it in the list of its stream. If nobody knows whether it did, it is pushed again,
   and stored once. The engine drops the oldest chunks of a stream that has too many.
3. A shipper owns shards: `heartbeat` and `plan` say which, `acquire` and `renew` keep the leases.
4. `take` writes a frame id and the number of chunks to the engine, and then hands them over.
5. The shipper sends them, and tells the outcome with `settle`: delivered and dropped records; parts
   that are left, each with its frame id; when to try again; which drops the stream was told.
6. When the lease ends first, the next owner takes the same bytes under the same frame id. Whatever
   the former owner still says is refused, because each script compares the lease's token.
7. `look` shows the books of each shard: pushed == waiting + in flight + delivered + dropped.
"""
