#!lua flags=allow-oom
-- Ends a lease, if it still is the shipper's.
--
-- KEYS: the shard's lease.
-- ARGV: the token.
-- Reads and writes: lease.
-- Returns 1 if it was, else 0. Works in an engine that is full.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
