"""The relay: chunks of many machines wait in one engine until the owner of their shard takes them.

Comes in: frames of a stream, from any process.
Goes out: the same bytes under one frame id, to one shipper at a time.
Must not know: the URL of a stream, threads, and when something is sent.

The way of a chunk:

1. A producer packs frames of one stream into a chunk, with its own name and a number.
2. `push` stores it in the list of its stream. If nobody knows whether it did, it is pushed again,
   and stored once. A stream with too many chunks loses its oldest.
3. A shipper owns shards: `heartbeat` and `plan` say which, `acquire` and `renew` keep the leases.
4. `take` writes a frame id and the number of chunks to the engine, and then hands them over.
5. The shipper sends them, and says the outcome with `settle`: delivered and dropped records, parts
   that are left with their frame ids, when to try again, drops that were reported in the stream.
6. If the lease ends first, the next owner takes the same bytes under the same frame id. Whatever
   the former owner still says is refused, because each script compares the lease's token.
7. `look` shows the books of each shard: pushed == waiting + in flight + delivered + dropped.

- `engine`, `values`: the interface, and what it takes and returns.
- `chunk`, `parts`: how frames are packed, and what is left of a batch.
- `ownership`: which shards a shipper should own.
- `redis_engine`: the engine on Redis or Valkey, whose steps are the scripts of `scripts`.
- `pushing`, `reading`: the arguments of scripts, and their answers.
- `routing`, `server`, `address`: which server has a shard, and the connection to it; `packing`
  makes the bytes of commands.
- `inspection`: whether a server can be used, and what its operator should know.
"""
