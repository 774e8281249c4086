#!lua flags=allow-oom
-- Writes outcomes of batches to the books, and says what becomes of what is left of them.
--
-- KEYS: the shard's lease; the bytes of all shards under one bound.
-- ARGV: the token; then for each batch: stream, frame id, records left before this, fate, delivered
--       records, dropped ones by cause as JSON, drops that were reported as JSON, parts, seconds.
-- Reads and writes: q, bytes, ready, due, fly, drops, books; reads lease.
-- Returns 0 if the lease is not the shipper's; else for each batch 1, or 0 if there is none such.
-- Works in an engine that is full.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local now = time()

local function note_reported(stream, reported)
    if next(reported) == nil then return end
    local left = {}
    for cause, records in pairs(drops_of(stream)) do
        if records > (reported[cause] or 0) then left[cause] = records - (reported[cause] or 0) end
    end
    if next(left) == nil then
        redis.call('HDEL', key('drops'), stream)
    else
        redis.call('HSET', key('drops'), stream, cjson.encode(left))
    end
end

local function take_off(stream, batch)
    if batch.chunks > 0 then redis.call('LTRIM', key('q:' .. stream), batch.chunks, -1) end
    redis.call('HDEL', key('fly'), stream)
    count('bytes', -batch.bytes)
end

-- Drops all that waits of a stream which has ended. There is nowhere to report it.
local function finish(stream, cause)
    for _, item in ipairs(on_list('LRANGE', stream, 0, -1)) do
        local records = numbers(item)
        count('waiting', -records)
        count('bytes', -#item)
        count('dropped:' .. cause, records)
    end
    redis.call('DEL', key('q:' .. stream))
    redis.call('ZREM', key('ready'), stream)
    redis.call('ZREM', key('due'), stream)
    for _, hash in ipairs({'bytes', 'drops'}) do redis.call('HDEL', key(hash), stream) end
end

-- Counts what is settled of a batch; the rest of it is left.
local function settle_some(stream, batch, delivered, dropped)
    for cause, records in pairs(dropped) do
        records = math.min(records, batch.left)
        batch.left = batch.left - records
        count('in_flight', -records)
        count_drop(stream, cause, records)
    end
    delivered = math.min(delivered, batch.left)
    batch.left = batch.left - delivered
    count('in_flight', -delivered)
    count('delivered', delivered)
end

local function settle(stream, batch, fate, dropped, parts, seconds)
    if fate == 'UNDONE' and batch.left ~= batch.records then fate = 'LATER' end
    if fate == 'DONE' or fate == 'ENDED' then
        local cause = fate == 'ENDED' and next(dropped) or 'relay_lost'
        local left = batch.left
        count('in_flight', -left)
        count_drop(stream, cause, left)
        take_off(stream, batch)
        if fate == 'ENDED' then finish(stream, cause) else schedule(stream, now) end
    elseif fate == 'UNDONE' then
        redis.call('HDEL', key('fly'), stream)
        add_bytes(stream, batch.bytes)
        count('waiting', batch.left)
        count('in_flight', -batch.left)
        redis.call('ZADD', key('due'), now + seconds, stream)
    else
        batch.parts = parts
        write_batch(stream, batch)
        if fate == 'LATER' then redis.call('ZADD', key('due'), now + seconds, stream) end
    end
end

local results = {}
for i = 2, #ARGV, 9 do
    local stream, id, before, fate = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    local delivered = tonumber(ARGV[i + 4])
    local dropped, reported = cjson.decode(ARGV[i + 5]), cjson.decode(ARGV[i + 6])
    local batch = batch_of(stream)
    local is_known = batch and batch.id == id
    table.insert(results, is_known and 1 or 0)
    if is_known then
        -- Otherwise the outcome is in the books already. They may lack an earlier one, as those of a
        -- replica that lagged: then only the parts tell, which no two outcomes leave alike.
        local parts = ARGV[i + 7]
        local is_held = fate == 'HELD' and parts ~= '' and parts == batch.parts
        if batch.left >= before and not is_held then
            settle_some(stream, batch, delivered, dropped)
        else
            parts = batch.parts
        end
        note_reported(stream, reported)
        settle(stream, batch, fate, dropped, parts, tonumber(ARGV[i + 8]))
    end
end
add_to_total(changes.bytes or 0)
write_books()
return results
