#!lua flags=allow-oom
-- Takes a batch of each stream that is due, and writes its frame id and chunks to `fly` before.
--
-- KEYS: the shard's lease.
-- ARGV: the token, the number of this call, the number of the last call whose answer has come, that of
--       the first one of which the shipper has something in hand, seconds that a stream waits for more
--       chunks, most streams, most bytes, frames and bytes of a batch, the first 24 digits of new
--       frame ids.
-- Reads q, lease; reads and writes: bytes, ready, due, fly, drops, books.
-- Returns 0 if the lease is not the shipper's; else whether it is all (1 or 0), the time, and for
-- each stream: stream, frame id, 1 if it was taken before, records left, parts, drops, chunks...
-- Works in an engine that is full.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local call, answered, first = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local linger, max_streams, room = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local max_frames, max_bytes, id = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local now = time()
-- Seconds: twice the longest time after which a stream is taken again.
local LONGEST = 1200
-- Bytes: no chunk has as many. What another program has put there is lost without being sent.
local TOO_LARGE = 16 * 1024 * 1024

-- The oldest chunks of a stream, as many as fit into a batch.
local function first_chunks(stream)
    local chunks, bytes, frames, records = {}, 0, 0, 0
    -- Few at first, because they may be large.
    local step = 1
    while true do
        local some = on_list('LRANGE', stream, #chunks, #chunks + step - 1)
        for _, item in ipairs(some) do
            local of_records, of_frames = numbers(item)
            local fits = bytes + #item <= max_bytes and frames + of_frames <= max_frames
            if #chunks > 0 and not fits then return chunks, bytes, records end
            table.insert(chunks, item)
            bytes, frames, records = bytes + #item, frames + of_frames, records + of_records
        end
        if #some < step then return chunks, bytes, records end
        step = math.min(2 * step, 64)
    end
end

local function new_batch(stream, number)
    local chunks, bytes, records = first_chunks(stream)
    local batch = {
        id = string.format('%s%08x', id, number), chunks = #chunks, bytes = bytes,
        left = records, records = records, parts = '',
    }
    add_bytes(stream, -bytes)
    count('waiting', -records)
    count('in_flight', records)
    write_batch(stream, batch)
    redis.call('ZREM', key('ready'), stream)
    return batch, chunks
end

local answer = {1, string.format('%.6f', now)}

local function take(stream)
    local batch, chunks, again = batch_of(stream), {}, 1
    local drops = drops_of(stream)
    drops = next(drops) and cjson.encode(drops) or '{}'
    if not batch and drops == '{}' and redis.call('EXISTS', key('q:' .. stream)) == 0 then
        schedule(stream, now)
        return
    end
    if not batch then
        batch, chunks = new_batch(stream, #answer)
        again = 0
    elseif batch.chunks > 0 then
        chunks = on_list('LRANGE', stream, 0, batch.chunks - 1)
    end
    redis.call('ZADD', key('due'), IN_HAND + call, stream)
    local found = {stream, batch.id, again, batch.left, batch.parts, drops}
    for _, item in ipairs(chunks) do table.insert(found, #item < TOO_LARGE and item or '') end
    table.insert(answer, found)
    room = room - batch.bytes
end

-- What the shipper does not have in hand is due again: the answer to the call that took it never came,
-- or its outcome is lost, as this engine was a replica that lagged.
local taken = redis.call('ZRANGEBYSCORE', key('due'), IN_HAND, '+inf', 'WITHSCORES')
for i = 1, #taken, 2 do
    local of_call = taken[i + 1] - IN_HAND
    if of_call > answered or of_call < first then redis.call('ZADD', key('due'), now, taken[i]) end
end

-- What seems to have come later than now came before the clock was set back. Large streams are among
-- those that are taken again later, but none of these waits longer than LONGEST.
for set, latest in pairs({ready = now, due = now + LONGEST}) do
    local ahead = redis.call(
        'ZRANGEBYSCORE', key(set), '(' .. latest, '(' .. IN_HAND, 'LIMIT', 0, max_streams)
    for _, stream in ipairs(ahead) do redis.call('ZADD', key(set), now, stream) end
end

local function take_from(set, before, most)
    local streams = redis.call('ZRANGEBYSCORE', key(set), '-inf', before, 'LIMIT', 0, most)
    for _, stream in ipairs(streams) do
        if room <= 0 then break end
        take(stream)
    end
    return #streams
end

-- Half of the places are for streams that wait in order, so that large ones cannot take all.
local half = math.ceil(max_streams / 2)
local found = take_from('due', now, half)
found = found + take_from('ready', now - linger, max_streams - found)
if found < max_streams then found = found + take_from('due', now, max_streams - found) end
if found >= max_streams or room <= 0 then answer[1] = 0 end
write_books()
return answer
