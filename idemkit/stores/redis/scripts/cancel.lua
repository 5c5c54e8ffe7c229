#!lua flags=allow-oom
-- ARGV: now
if situation ~= 'running' and situation ~= 'abandoned' then return 0 end
redis.call('HSET', KEYS[1], 'cx', '1')
redis.call('PUBLISH', KEYS[4], 'X')
return 1
