#!lua flags=allow-oom
-- ARGV, after those of a beat: a step's name and its entry, then the next one's
local count = tonumber(jn or 0)
if count == 0 then redis.call('DEL', KEYS[2]) end -- of a record that was lost without its journal
for i = 10, #ARGV, 2 do
  if redis.call('HSET', KEYS[2], 'e' .. ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('HSET', KEYS[2], count, ARGV[i])
    count = count + 1
  end
end
if count > 0 then
  renew('jn', count)
  keep(KEYS[2])
else
  renew()
end
if sq then keep(KEYS[3]) end
return answer
