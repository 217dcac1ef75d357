// What a worker says of a run. A run has a token, which no other attempt has: what comes with another one than that of the newest
// attempt changes nothing, however late it comes.

/**
 * The job that should be begun next, of the models that are named; others are not told of it for a while.
 *
 * Returns its model and id, or nothing.
 */
export const PICK = `
local best, model, rank
for _, name in ipairs(ARGV) do
  local found = call('ZRANGE', k('queued', name), 0, 31, 'WITHSCORES')
  for i = 1, #found, 2 do
    if rank and tonumber(found[i + 1]) >= rank then break end
    if call('EXISTS', k('picked', found[i])) == 0 then
      best, model, rank = found[i], name, tonumber(found[i + 1])
      break
    end
  end
end
if not best then return {} end
call('SET', k('picked', best), 1, 'PX', 5000)
return {model, best}
`;

/**
 * An attempt begins.
 *
 * ARGV: id; the key of BullMQ's lock; the token, which must be in it; the most attempts; the event for too many.
 * Returns 'gone', 'over', 'lost', 'spent'; or 'run', what was asked for, units of work, milliseconds that
 * the result is kept, and which attempt it is.
 */
export const BEGIN = `
local id, token = ARGV[1], ARGV[3]
local job = k('job', id)
local f = call('HMGET', job, 'state', 'attempts', 'model', 'request', 'about', 'units', 'keep')
if not f[1] then return {'gone'} end
if f[1] ~= 'queued' and f[1] ~= 'running' then return {'over'} end
if call('GET', ARGV[2]) ~= token then return {'lost'} end
local attempts = tonumber(f[2]) + 1
if attempts > tonumber(ARGV[4]) then
  call('HDEL', job, 'fence')
  call('HSET', job, 'error', ARGV[5])
  over(id, 'failed', '{"type":"failed"}')
  return {'spent'}
end
call('HSET', job, 'state', 'running', 'fence', token, 'attempts', attempts, 'pushed', 0, 'started', now)
call('HDEL', job, 'progress')
call('DEL', k('look', id), k('picked', id))
dequeue(id, f[3])
call('ZREM', k('unadded'), id)
call('ZADD', k('running'), now, id)
tell(id, '{"type":"started"}')
return {'run', f[4], f[5], f[6], f[7], attempts}
`;

/**
 * Events of a run, each once: ARGV: id, token, how many of this attempt came before, which of these has the preview (0: none),
 * the preview, the progress, and the events. Returns 1, or 0 for a run that is not the newest attempt.
 */
export const PUSH = `
local id, token, from, at = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local job = k('job', id)
local f = call('HMGET', job, 'fence', 'state', 'pushed')
if f[1] ~= token or f[2] ~= 'running' then return 0 end
local pushed = tonumber(f[3])
for i = 7, #ARGV do
  local index = i - 6
  if from + index > pushed then
    local n = tell(id, ARGV[i])
    if index == at then call('HSET', k('look', id), 'event', n, 'bytes', ARGV[5]) end
  end
end
call('HSET', job, 'pushed', math.max(pushed, from + #ARGV - 6), 'progress', ARGV[6])
return 1
`;

/**
 * The end of a run, once: ARGV: id, token, state, the result or error (JSON), bytes of pictures that count, milliseconds for a unit
 * of work (empty: unknown), the event. Returns 1, also when it is said again; 0 for a run that is not the newest attempt.
 */
export const FINISH = `
local id, token, state = ARGV[1], ARGV[2], ARGV[3]
local job = k('job', id)
local f = call('HMGET', job, 'fence', 'state', 'model')
if f[1] ~= token then return 0 end
if f[2] ~= 'running' then return f[2] == state and 1 or 0 end
call('HSET', job, state == 'done' and 'result' or 'error', ARGV[4], 'made', ARGV[5])
call('INCRBY', k('made'), ARGV[5])
if ARGV[6] ~= '' then
  local before = tonumber(call('HGET', k('rates'), f[3]) or ARGV[6])
  call('HSET', k('rates'), f[3], 0.8 * before + 0.2 * tonumber(ARGV[6]))
end
over(id, state, ARGV[7])
return 1
`;

/** A run is given back, and was no attempt: ARGV: id, token. Returns 1, or 0 for one that is not the newest attempt. */
export const GIVE_BACK = `
local id, token = ARGV[1], ARGV[2]
local job = k('job', id)
local f = call('HMGET', job, 'fence', 'state', 'model', 'rank', 'units')
if f[1] ~= token or f[2] ~= 'running' then return 0 end
call('HDEL', job, 'fence', 'progress', 'started')
call('HINCRBY', job, 'attempts', -1)
call('HSET', job, 'state', 'queued', 'share', 0)
call('DEL', k('look', id), k('picked', id))
call('ZREM', k('running'), id)
enqueue(id, f[3], f[4])
local position, seconds = outlook(id, f[3], tonumber(f[5]))
tell(id, cjson.encode({type = 'queued', position = position, secondsLeft = seconds}))
return 1
`;
