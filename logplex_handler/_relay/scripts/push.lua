#!lua
-- Stores chunks of one producer, each once, in the lists of their streams; drops the oldest chunks
-- that are not in flight where there are too many.
--
-- KEYS: the lease of the first shard; the bytes of all shards on this server.
-- ARGV: producer, sequence below which it has nothing more to push, bytes of a stream, bytes of all
--       shards on this server; the first of these shards, the step to the next, the number of all;
--       then for each chunk "shard:sequence:stream", its head and its body. Those of a shard come
--       together.
-- Reads and writes: q, bytes, ready, due, books, seen; with drops also drops; reads fly.
-- Returns for each chunk 1 if it was stored, 0 if it had been before.
-- Refused by the engine (OOM) if its memory is full.
local producer, settled = ARGV[1], ARGV[2]
local max_stream, max_total = tonumber(ARGV[3]), tonumber(ARGV[4])
local first_shard, step, shards = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = time()
local stamp = struct.pack('>d', now)
local CAUSE = 'relay_full'
-- Streams among which the oldest chunk is looked for, of those that are not in `ready`.
local LOOKED_AT = 10
local DAY = 86400
-- The share of the bound down to which room is made, so that not every call has to; and chunks of a
-- shard that are dropped before the shards are compared again.
local ENOUGH = 0.99
local AT_ONCE = 16

-- The oldest chunk of a stream that is not in flight, and the number of those that are.
local function oldest(stream)
    local batch = batch_of(stream)
    local place = batch and batch.chunks or 0
    return on_list('LINDEX', stream, place), place
end

local function drop_oldest(stream)
    local item, place = oldest(stream)
    local list = key('q:' .. stream)
    if place == 0 then
        redis.call('LPOP', list)
    else
        redis.call('LSET', list, place, '')
        redis.call('LREM', list, 1, '')
    end
    local records = numbers(item)
    count('bytes', -#item)
    count('waiting', -records)
    count_drop(stream, CAUSE, records)
    local bytes = add_bytes(stream, -#item)
    if place == 0 and not redis.call('ZSCORE', key('due'), stream) then schedule(stream, now) end
    return bytes, #item
end

-- Whether a stream has more than one chunk that is not in flight.
local function has_older(stream)
    local _, place = oldest(stream)
    return on_list('LLEN', stream) - place > 1
end

-- The stream with the oldest chunk that may be dropped: of those that are ready, and of some others.
local function stream_of_oldest()
    local found, since
    local streams = redis.call('ZRANGE', key('ready'), 0, 0)
    for _, stream in ipairs(redis.call('ZRANGE', key('due'), 0, LOOKED_AT - 1)) do
        table.insert(streams, stream)
    end
    for _, stream in ipairs(streams) do
        local item = oldest(stream)
        if item and (not since or came(item) < since) then found, since = stream, came(item) end
    end
    return found, since
end

local function go_to(shard) PREFIX = 'lp:{' .. shard .. '}:' end

-- Drops the oldest chunks of all shards on this server.
local function make_room(total)
    while total > max_total * ENOUGH do
        local shard, oldest_since
        for one = first_shard, shards - 1, step do
            go_to(one)
            local _, since = stream_of_oldest()
            if since and not (oldest_since and oldest_since <= since) then
                shard, oldest_since = one, since
            end
        end
        if not shard then return end
        go_to(shard)
        for _ = 1, AT_ONCE do
            local stream = stream_of_oldest()
            if not stream or total <= max_total * ENOUGH then break end
            local _, freed = drop_oldest(stream)
            total = total - freed
        end
        add_to_total(changes.bytes)
        write_books()
    end
end

local shard
local total = 0

local function leave_shard()
    redis.call('EXPIRE', key('seen:' .. producer), DAY)
    total = add_to_total(changes.bytes or 0)
    write_books()
end

local function enter_shard(next_shard)
    if shard then leave_shard() end
    shard = next_shard
    go_to(shard)
    if settled ~= '' then
        redis.call('ZREMRANGEBYSCORE', key('seen:' .. producer), '-inf', '(' .. settled)
    end
end

local function store(stream, item)
    local length = on_list('RPUSH', stream, item)
    local bytes = add_in(key('bytes'), stream, #item)
    local records = numbers(item)
    count('pushed', records)
    count('waiting', records)
    count('bytes', #item)
    if length == 1 and not redis.call('ZSCORE', key('due'), stream) then
        redis.call('ZADD', key('ready'), now, stream)
    end
    if bytes >= LARGE and redis.call('ZREM', key('ready'), stream) == 1 then
        redis.call('ZADD', key('due'), now, stream)
    end
    while bytes > max_stream and has_older(stream) do bytes = drop_oldest(stream) end
end

local results = {}
for i = 8, #ARGV, 3 do
    local of_shard, sequence, stream = string.match(ARGV[i], '^(%d+):(%d+):(.*)$')
    if of_shard ~= shard then enter_shard(of_shard) end
    local is_new = redis.call('ZADD', key('seen:' .. producer), 'NX', sequence, sequence)
    if is_new == 1 then
        store(stream, stamp .. ARGV[i + 1] .. ARGV[i + 2])
    else
        count('repeated', 1)
    end
    table.insert(results, is_new)
end
leave_shard()
if total > max_total then make_room(total) end
return results
