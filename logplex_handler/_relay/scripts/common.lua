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

-- Runs a command on the list of a stream. What another program has put in its place is removed.
local function on_list(command, stream, ...)
    local list = key('q:' .. stream)
    local answer = redis.pcall(command, list, ...)
    if type(answer) ~= 'table' or not answer.err then return answer end
    if string.sub(answer.err, 1, 9) == 'WRONGTYPE' then redis.call('DEL', list) end
    return redis.call(command, list, ...)
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

-- Adds to a number in a hash, and returns it. What another program has written there, and is no
-- number, counts as 0.
local function add_in(hash, field, number)
    local sum = redis.pcall('HINCRBY', hash, field, number)
    if type(sum) == 'number' then return sum end
    redis.call('HSET', hash, field, number)
    return number
end

local function write_books()
    for name, number in pairs(changes) do
        if number ~= 0 then add_in(key('books'), name, number) end
    end
    changes = {}
end

-- The bytes of all shards on this server, which share a bound.
local function add_to_total(bytes)
    if bytes == 0 then return tonumber(redis.call('GET', KEYS[2])) or 0 end
    local total = redis.pcall('INCRBY', KEYS[2], bytes)
    if type(total) == 'number' then return total end
    redis.call('SET', KEYS[2], bytes)
    return bytes
end

-- The drops of a stream that were not reported in it, by cause. What is anything else is removed.
local function drops_of(stream)
    local drops = {}
    local text = redis.call('HGET', key('drops'), stream)
    if not text then return drops end
    local is_json, found = pcall(cjson.decode, text)
    for cause, records in pairs(is_json and type(found) == 'table' and found or {}) do
        local is_cause = type(cause) == 'string' and #cause <= 40 and string.match(cause, '^[a-z_]+$')
        local is_number = type(records) == 'number' and records > 0 and records < 1e12
        if is_cause and is_number and records % 1 == 0 then drops[cause] = records end
    end
    if next(drops) == nil then redis.call('HDEL', key('drops'), stream) end
    return drops
end

local function count_drop(stream, cause, records)
    if records <= 0 then return end
    count('dropped:' .. cause, records)
    local drops = drops_of(stream)
    drops[cause] = (drops[cause] or 0) + records
    redis.call('HSET', key('drops'), stream, cjson.encode(drops))
end

-- The batch of a stream, or nil.
local function batch_of(stream)
    local text = redis.call('HGET', key('fly'), stream)
    if not text then return nil end
    local id, chunks, bytes, left, records, parts =
        string.match(text, '^(%x+):(%d+):(%d+):(%d+):(%d+):(.*)$')
    -- No batch has numbers as long as these.
    if not id or #id > 64 or #chunks > 9 or #bytes + #left + #records > 45 then return nil end
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
    local now = add_in(key('bytes'), stream, bytes)
    if now <= 0 then redis.call('HDEL', key('bytes'), stream) end
    return now
end

-- Says when a stream that has nothing in flight is taken next.
local function schedule(stream, now)
    local first = on_list('LINDEX', stream, 0)
    local bytes = tonumber(redis.call('HGET', key('bytes'), stream)) or 0
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
