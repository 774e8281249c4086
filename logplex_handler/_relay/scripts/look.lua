#!lua flags=allow-oom
-- Reads the books of a shard, and its state.
--
-- KEYS: the shard's lease.
-- Reads: lease, books, ready, due, and the first chunks of two streams.
-- Returns the token of the lease (or ''), milliseconds that it lasts, streams, streams that are taken
-- again later, seconds since the oldest chunk came as a text, and the books as names and numbers.
local now = time()
local since = now

local function look_at(set)
    local stream = redis.call('ZRANGE', key(set), 0, 0)[1]
    local item = stream and on_list('LINDEX', stream, 0)
    if item then since = math.min(since, came(item)) end
end

look_at('ready')
local first = redis.call('ZRANGE', key('due'), 0, 0, 'WITHSCORES')[2]
if first and tonumber(first) <= now then look_at('due') end
local streams = redis.call('ZCARD', key('ready')) + redis.call('ZCARD', key('due'))
local later = redis.call('ZCOUNT', key('due'), '(' .. now, '(' .. IN_HAND)
return {
    redis.call('GET', KEYS[1]) or '', redis.call('PTTL', KEYS[1]), streams, later,
    string.format('%.6f', now - since), redis.call('HGETALL', key('books')),
}
