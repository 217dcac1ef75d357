/**
 * What all scripts begin with. Every name of a key is made of the prefix, which is the one key that is declared: with braces in it
 * all keys are in one slot of a cluster. Time is the server's: the clocks of machines need not agree.
 */
export const PRELUDE = `
local P = KEYS[1]
local call = redis.call
local function k(...) return P .. ':' .. table.concat({...}, ':') end
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- An event of a job; its number is one more than that of the last.
local function tell(id, text)
  local n = call('HINCRBY', k('job', id), 'events', 1)
  call('XADD', k('events', id), n .. '-1', 'e', text)
  call('PUBLISH', k('news', id), n)
  return n
end

-- How many jobs of its model go before a job, itself included; and seconds until it is done, if those were all as long as it.
local function outlook(id, model, units)
  local rank = call('ZRANK', k('queued', model), id)
  local position = rank and rank + 1 or 0
  local rate = tonumber(call('HGET', k('rates'), model) or '')
  if not rate then return position, nil end
  local workers = math.max(1, tonumber(call('HGET', k('places'), model) or '1'))
  return position, math.ceil((position / workers + 1) * units * rate) / 1000
end

local function enqueue(id, model, rank)
  call('ZADD', k('queued'), rank, id)
  call('ZADD', k('queued', model), rank, id)
end

local function dequeue(id, model)
  call('ZREM', k('queued'), id)
  call('ZREM', k('queued', model), id)
end

-- A job ends: it takes up nothing any more but what is kept of it.
local function over(id, state, event)
  local job = k('job', id)
  local f = call('HMGET', job, 'owner', 'model', 'input', 'hook', 'state', 'share', 'keep', 'token')
  local owner, model = f[1], f[2]
  if f[5] == 'queued' and call('EXISTS', k('client', owner)) == 1 then
    call('HINCRBYFLOAT', k('client', owner), 'end', -tonumber(f[6]))
  end
  call('HSET', job, 'state', state, 'ended', now)
  dequeue(id, model)
  call('ZREM', k('running'), id)
  call('ZREM', k('leases'), id)
  call('ZREM', k('unadded'), id)
  call('DEL', k('input', id), k('look', id), k('holds', id))
  call('DECRBY', k('bytes'), f[3])
  call('SREM', k('open', owner), id)
  if call('SCARD', k('open', owner)) == 0 then call('SREM', k('owners'), owner) end
  if call('GET', k('newest', owner)) == id then call('DEL', k('newest', owner)) end
  call('ZADD', k('ends'), now, id)
  if f[4] ~= '' then call('ZADD', k('hooks'), now, id) end
  tell(id, event)
  -- Servers forget it in time; where none is left, it goes by itself.
  for _, name in ipairs({job, k('events', id), k('token', f[8])}) do call('PEXPIRE', name, 2 * f[7] + 3600000) end
end

-- Nothing is left of a job but what it made, whose names are returned.
local function forget(id)
  local job = k('job', id)
  local f = call('HMGET', job, 'owner', 'token', 'once', 'result', 'made')
  call('ZREM', k('ends'), id)
  call('ZREM', k('hooks'), id)
  if not f[1] then return '' end
  call('ZREM', k('mine', f[1]), id)
  call('DEL', job, k('events', id), k('token', f[2]))
  if f[3] ~= '' and call('GET', k('once', f[3])) == id then call('DEL', k('once', f[3])) end
  call('DECRBY', k('made'), f[5] or 0)
  return f[4] or ''
end
`;
