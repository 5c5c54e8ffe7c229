#!lua flags=allow-oom
-- KEYS: record journal channel
-- ARGV: now token fingerprint epoch attempt abandoned lease retention heal head body ttl stale
local answer = 'held'
if situation == 'absent' then
  if ARGV[9] ~= '1' then return 'gone' end
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'fv', '1', 'tk', ARGV[2], 'fp', ARGV[3], 'ep', ARGV[4],
    'at', ARGV[5], 'ab', ARGV[6], 'lx', whole(now + ARGV[7]))
  at, jn, answer = ARGV[5], false, 'healed'
elseif tk ~= ARGV[2] or st == 'F' then
  return standing_of_loser()
elseif st == 'D' then
  return 'repeated'
end

local fresh_until = now + ARGV[12]
local gone_at = fresh_until + ARGV[13]
redis.call('HSET', KEYS[1], 'st', 'D', 'xp', whole(gone_at), 'oa', at, 'oc', whole(now),
  'of', whole(fresh_until), 'og', whole(gone_at), 'oh', ARGV[10], 'ov', ARGV[11])
redis.call('PEXPIRE', KEYS[1], whole(gone_at - now))
if jn then
  redis.call('HDEL', KEYS[1], 'jn')
  redis.call('DEL', KEYS[2])
end
redis.call('PUBLISH', KEYS[3], 'D')
return answer
