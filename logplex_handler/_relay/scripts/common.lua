-- What the other scripts share; the loader puts it behind their first line.
--
-- Keys of a shard, which begin with its tag `lp:{k}:`. Only the first, `lease`, is declared, and says
-- which shard it is.
--   lease         the token of the shipper that owns the shard
--   q:STREAM      list of chunks; an item is the time it came (8 bytes, a double), then the chunk
--   bytes         hash: bytes of the items of a stream that are not in flight
--   ready         sorted set: streams with nothing in flight, by the time of their oldest chunk
--   due           sorted set: all other streams, by when they may be taken; above IN_HAND those
--                 that the owner has in hand, IN_HAND plus the number of the call that took them
--   fly           hash: batch of a stream, "frame id:chunks:bytes:records left:records:parts"
--   drops         hash: drops that were not reported in their stream, as JSON
--   books         hash: counts of records, chunks and bytes
--   seen:PRODUCER sorted set: sequences of the chunks that were stored lately
local PREFIX = string.sub(KEYS[1], 1, -6)
local IN_HAND = 1e12
-- Bytes of a stream that suffice for a request, so that it does not wait for more.
local LARGE = 65536
-- Where a chunk has its records and frames, behind the time; see chunk.py.
local NUMBERS, SHORTEST = 14, 21

local function key(name) return PREFIX .. name end

local function time()
    local parts = redis.call('TIME')
    return parts[1] + parts[2] / 1e6
end

-- Records and frames of an item. One that is damaged counts as one record.
local function numbers(item)
    if #item < SHORTEST then return 1, 1 end
    local records, frames = struct.unpack('>I4I4', item, NUMBERS)
    if records < 1 or records > 1e6 then return 1, 1 end
    return records, frames
end

-- When an item came. Another program may have written anything there, also what is no number.
local function came(item)
    local since = #item >= 8 and struct.unpack('>d', item) or 0
    return since == since and since or 0
end

-- Changes of the books, which are written once, by `write_books`.
local changes = {}

local function count(name, number)
    changes[name] = (changes[name] or 0) + number
end

local function write_books()
    for name, number in pairs(changes) do
        if number ~= 0 then redis.call('HINCRBY', key('books'), name, number) end
    end
    changes = {}
end

-- The bytes of all shards on this server, which share a bound.
local function add_to_total(bytes)
    if bytes == 0 then return redis.call('GET', KEYS[2]) or 0 end
    return redis.call('INCRBY', KEYS[2], bytes)
end

local function count_drop(stream, cause, records)
    if records <= 0 then return end
    count('dropped:' .. cause, records)
    local drops = redis.call('HGET', key('drops'), stream)
    drops = drops and cjson.decode(drops) or {}
    drops[cause] = (drops[cause] or 0) + records
    redis.call('HSET', key('drops'), stream, cjson.encode(drops))
end

-- The batch of a stream, or nil.
local function batch_of(stream)
    local text = redis.call('HGET', key('fly'), stream)
    if not text then return nil end
    local id, chunks, bytes, left, records, parts =
        string.match(text, '^(%x+):(%d+):(%d+):(%d+):(%d+):(.*)$')
    if not id then return nil end
    return {
        id = id, chunks = tonumber(chunks), bytes = tonumber(bytes),
        left = tonumber(left), records = tonumber(records), parts = parts,
    }
end

local function write_batch(stream, batch)
    local text = string.format('%s:%d:%d:%d:%d:%s',
        batch.id, batch.chunks, batch.bytes, batch.left, batch.records, batch.parts)
    redis.call('HSET', key('fly'), stream, text)
end

-- Adds to the bytes that wait of a stream, and returns them.
local function add_bytes(stream, bytes)
    if bytes == 0 then return 0 end
    local now = redis.call('HINCRBY', key('bytes'), stream, bytes)
    if now <= 0 then redis.call('HDEL', key('bytes'), stream) end
    return now
end

-- Says when a stream that has nothing in flight is taken next.
local function schedule(stream, now)
    local first = redis.call('LINDEX', key('q:' .. stream), 0)
    local bytes = tonumber(redis.call('HGET', key('bytes'), stream) or 0)
    if first and bytes < LARGE then
        redis.call('ZREM', key('due'), stream)
        redis.call('ZADD', key('ready'), math.min(now, came(first)), stream)
        return
    end
    redis.call('ZREM', key('ready'), stream)
    if first or redis.call('HEXISTS', key('drops'), stream) == 1 then
        redis.call('ZADD', key('due'), now, stream)
    else
        redis.call('ZREM', key('due'), stream)
    end
end
