// What callers do with a job.

/** Cancels a job that is not over: ARGV: id. Returns the state that it had and its model, or nothing for one that is not there. */
export const CANCEL = `
local id = ARGV[1]
local job = k('job', id)
local f = call('HMGET', job, 'state', 'model')
if not f[1] then return {} end
if f[1] == 'queued' or f[1] == 'running' then
  call('HDEL', job, 'fence')
  over(id, 'cancelled', '{"type":"cancelled"}')
  call('PUBLISH', k('stop'), id)
end
return {f[1], f[2]}
`;

/**
 * Somebody wants a job: ARGV: id; who; milliseconds from now on; 1 where an earlier wish of theirs counts for nothing. It is cancelled
 * when the last wish has run out.
 */
export const LEASE = `
local id, who, till = ARGV[1], ARGV[2], now + tonumber(ARGV[3])
if not call('ZSCORE', k('leases'), id) then return 0 end
local holds = k('holds', id)
if ARGV[4] == '1' then call('ZADD', holds, till, who) else call('ZADD', holds, 'GT', till, who) end
call('ZADD', k('leases'), call('ZRANGE', holds, -1, -1, 'WITHSCORES')[2], id)
return 1
`;

/** All that is known of a job, and its place: ARGV: id. Returns fields and values; position; seconds left; whether there is a preview. */
export const LOOK = `
local id = ARGV[1]
local fields = call('HGETALL', k('job', id))
if #fields == 0 then return {} end
local f = call('HMGET', k('job', id), 'model', 'units')
local position, seconds = outlook(id, f[1], tonumber(f[2]))
return {fields, position, tostring(seconds or ''), call('EXISTS', k('look', id))}
`;
