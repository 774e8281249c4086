#!lua flags=allow-oom
-- Notes that a shipper is alive.
--
-- KEYS: the shippers.
-- ARGV: its name, seconds that it counts as alive.
-- Reads and writes: the shippers, a sorted set of their names by the time of the last heartbeat.
-- Returns the names of all that are alive. Works in an engine that is full.
local parts = redis.call('TIME')
local now = parts[1] + parts[2] / 1e6
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
-- One that came before the clock was set back may have ended. If not, it comes again.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
return redis.call('ZRANGE', KEYS[1], 0, -1)
