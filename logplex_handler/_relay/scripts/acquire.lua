#!lua flags=allow-oom
-- Leases a shard to a shipper, if it is free. What a former owner has in hand may be taken at once.
--
-- KEYS: the shard's lease.
-- ARGV: the token, milliseconds.
-- Reads and writes: lease, due, books.
-- Returns 1 if the shard was free, else 0. Works in an engine that is full.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local now = time()
local in_hand = redis.call('ZRANGEBYSCORE', key('due'), IN_HAND, '+inf')
for _, stream in ipairs(in_hand) do redis.call('ZADD', key('due'), now, stream) end
count('retaken', #in_hand)
write_books()
return 1
