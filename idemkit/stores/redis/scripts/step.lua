#!lua flags=allow-oom
-- ARGV, after those of a beat: a step's name and its entry, then the next one's
if not jn then redis.call('DEL', KEYS[2]) end -- of a record that was lost without its journal
local count = tonumber(jn or 0)
for i = 10, #ARGV, 2 do
  if redis.call('HSET', KEYS[2], 'e' .. ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('HSET', KEYS[2], count, ARGV[i])
    count = count + 1
  end
end
renew('jn', count)
keep(KEYS[2])
if sq then keep(KEYS[3]) end
return answer
