-- ARGV: now
if situation == 'absent' then return false end
return {whole(now), redis.call('HGETALL', KEYS[1]), jn and redis.call('HGETALL', KEYS[2]) or {}}
