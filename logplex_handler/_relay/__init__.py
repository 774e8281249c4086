"""The relay: chunks of many machines wait in one engine until the owner of their shard takes them.

Comes in: frames of a stream, from any process. Goes out: the same bytes under one frame id, to one
shipper at a time. Knows no URL of a stream, no thread, and not when something is sent.

The way of a chunk:
1. A producer packs the frames of one stream into a chunk, with its own name and a number (`chunk`).
2. `Engine.push` stores it in the list of its stream (`engine`, `pushing`). If nobody knows whether
   it did, it is pushed again, and stored once. A stream with too many chunks loses its oldest.
3. A shipper owns shards: `heartbeat` and `plan` say which (`ownership`), `acquire` and `renew` keep
   the leases.
4. `take` writes a frame id and the number of chunks to the engine, and then hands them over.
5. The shipper sends them, and tells the outcome with `settle` (`values`): delivered and dropped
   records, the `parts` that are left with their frame ids, when to try again, told drops.
6. When the lease ends first, the next owner takes the same bytes under the same frame id. Whatever
   the former owner still says is refused, because each script compares the lease's token.
7. `look` shows the books of each shard: pushed == waiting + in flight + delivered + dropped.

`redis_engine` does that with the `scripts`, of which each is one step: `routing` knows which server
(`address`, `server`) has a shard, `inspection` whether it can be used, `reading` what it answers.
"""
