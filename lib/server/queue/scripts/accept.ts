/**
 * Accepts a job, all at once or not at all.
 *
 * ARGV: id; what there is to know (JSON); the request; the binary parts of the request.
 * Returns 'accepted'; or 'repeat' and the id of the same request; 'conflict'; 'full', 'pending' or 'bytes', and how much
 * there is of it.
 */
export const ACCEPT = `
local id, a = ARGV[1], cjson.decode(ARGV[2])
if a.once ~= '' then
  local known = call('GET', k('once', a.once))
  if known then
    local digest = call('HGET', k('job', known), 'digest')
    if digest == a.digest then return {'repeat', known} end
    if digest then return {'conflict'} end
  end
end
if call('EXISTS', k('job', id)) == 1 then return {'repeat', id} end
local queued = call('ZCARD', k('queued'))
if queued >= a.maxQueued then return {'full', queued} end
local open = call('SCARD', k('open', a.owner))
if open >= a.maxPending then return {'pending', open} end
local bytes = tonumber(call('GET', k('bytes')) or 0)
if a.bytes > 0 and bytes + a.bytes > a.maxBytes then return {'bytes', bytes} end

call('SADD', k('open', a.owner), id)
call('SADD', k('owners'), a.owner)
-- Start-time fair queueing, as the engine's own ranking has it: jobs of a client begin behind each other.
local rate = tonumber(call('HGET', k('rates'), a.model) or a.rate)
local left = a.units * rate
local client = k('client', a.owner)
local start = math.max(now, tonumber(call('HGET', client, 'end') or now))
local share = left * call('SCARD', k('owners'))
call('HSET', client, 'end', start + share)
call('PEXPIRE', client, math.ceil(math.max(start + share - now, 0)) + 60000)
local due = start + a.stretch * left
if a.deadline then due = math.min(due, a.deadline - 2 * left) end
local rank = -a.priority * 1e13 + math.floor(due)

call('HSET', k('job', id), 'token', a.token, 'owner', a.owner, 'model', a.model, 'task', a.task,
  'request', ARGV[3], 'about', a.about, 'digest', a.digest, 'once', a.once, 'hook', a.hook, 'detach', a.detach,
  'input', a.bytes, 'keep', a.keep, 'units', a.units, 'rank', rank, 'share', share,
  'state', 'queued', 'created', now, 'attempts', 0, 'events', 0)
for i = 4, #ARGV do call('HSET', k('input', id), i - 4, ARGV[i]) end
call('INCRBY', k('bytes'), a.bytes)
call('SET', k('token', a.token), id)
call('ZADD', k('mine', a.owner), now, id)
if a.once ~= '' then call('SET', k('once', a.once), id) end
if a.newest then call('SET', k('newest', a.owner), id) end
if a.detach == 0 then call('ZADD', k('leases'), now + a.lease, id) end
-- Until BullMQ has it, too: who finds it here later adds it.
call('ZADD', k('unadded'), now, id)
enqueue(id, a.model, rank)
local position, seconds = outlook(id, a.model, a.units)
tell(id, cjson.encode({type = 'queued', position = position, secondsLeft = seconds}))
return {'accepted', id}
`;
