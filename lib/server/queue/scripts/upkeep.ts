// What servers do now and then, whichever of them comes first.

/**
 * Cancels what nobody wants any more, and forgets what was kept long enough. ARGV: milliseconds that ended jobs are kept; bytes of
 * pictures that are kept; milliseconds without upkeep after which all wishes are prolonged: nobody could renew them then.
 *
 * Returns models and ids of jobs that were cancelled; what forgotten jobs had made; ids of accepted jobs that BullMQ may not have,
 * and their models.
 */
export const SWEEP = `
local last = tonumber(call('GET', k('swept')) or now)
call('SET', k('swept'), now)
if now - last > tonumber(ARGV[3]) then
  local open = call('ZRANGE', k('leases'), 0, -1)
  for _, id in ipairs(open) do call('ZINCRBY', k('leases'), now - last, id) end
end
local cancelled, forgotten, unadded = {}, {}, {}
for _, id in ipairs(call('ZRANGE', k('leases'), '-inf', '(' .. now, 'BYSCORE', 'LIMIT', 0, 100)) do
  local model = call('HGET', k('job', id), 'model')
  if model then
    call('HDEL', k('job', id), 'fence')
    over(id, 'cancelled', '{"type":"cancelled"}')
    call('PUBLISH', k('stop'), id)
    cancelled[#cancelled + 1] = model
    cancelled[#cancelled + 1] = id
  else
    call('ZREM', k('leases'), id)
  end
end
local old = call('ZRANGE', k('ends'), '-inf', now - tonumber(ARGV[1]), 'BYSCORE', 'LIMIT', 0, 100)
for _, id in ipairs(old) do forgotten[#forgotten + 1] = forget(id) end
while #forgotten < 200 and tonumber(call('GET', k('made')) or 0) > tonumber(ARGV[2]) do
  local first = call('ZRANGE', k('ends'), 0, 0)[1]
  if not first then break end
  forgotten[#forgotten + 1] = forget(first)
end
for _, id in ipairs(call('ZRANGE', k('unadded'), '-inf', now - 5000, 'BYSCORE', 'LIMIT', 0, 100)) do
  local model = call('HGET', k('job', id), 'model')
  if model then
    unadded[#unadded + 1] = model
    unadded[#unadded + 1] = id
  else
    call('ZREM', k('unadded'), id)
  end
end
return {cancelled, forgotten, unadded}
`;

/** A worker is there. ARGV: its id; what it says (JSON); then name and card (JSON) of each of its models. */
export const BEAT = `
call('HSET', k('workers'), ARGV[1], ARGV[2])
call('ZADD', k('beats'), now, ARGV[1])
for i = 3, #ARGV, 2 do
  call('ZADD', k('models'), 'NX', now + i / 1000, ARGV[i])
  call('HSET', k('seen'), ARGV[i], now)
  call('HSET', k('cards'), ARGV[i], ARGV[i + 1])
end
`;

/**
 * Who is there. ARGV: milliseconds after which a worker that says nothing counts as gone, a model as absent, and a model is
 * forgotten.
 *
 * Returns what the workers say; models, whether each is there, and its card; how many jobs wait and run.
 */
export const ROSTER = `
for _, id in ipairs(call('ZRANGE', k('beats'), '-inf', now - tonumber(ARGV[1]), 'BYSCORE')) do
  call('ZREM', k('beats'), id)
  call('HDEL', k('workers'), id)
end
local models = {}
local workers = call('HVALS', k('workers'))
for _, name in ipairs(call('ZRANGE', k('models'), 0, -1)) do
  local age = now - tonumber(call('HGET', k('seen'), name) or 0)
  if age > tonumber(ARGV[3]) then
    call('ZREM', k('models'), name)
    call('HDEL', k('seen'), name)
    call('HDEL', k('cards'), name)
  else
    models[#models + 1] = name
    models[#models + 1] = age <= tonumber(ARGV[2]) and 1 or 0
    models[#models + 1] = call('HGET', k('cards'), name) or ''
  end
end
call('DEL', k('places'))
for _, text in ipairs(workers) do
  for _, name in ipairs(cjson.decode(text).models) do call('HINCRBY', k('places'), name, 1) end
end
return {workers, models, call('ZCARD', k('queued')), call('ZCARD', k('running'))}
`;

/** Takes a job whose end is to be told somewhere: who takes it has so many milliseconds (ARGV). Returns its id, or nothing. */
export const HOOK = `
local id = call('ZRANGE', k('hooks'), '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
if not id then return false end
call('ZADD', k('hooks'), now + tonumber(ARGV[1]), id)
return id
`;
