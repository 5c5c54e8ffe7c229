#!lua flags=allow-oom
-- ARGV: now token in_doubt error retention_failed retention
if situation == 'absent' or tk ~= ARGV[2] or st == 'D' then return standing_of_loser() end
if st == 'F' then return 'repeated' end

local expires_at
if ARGV[3] == '1' then
  expires_at = now + ARGV[6]
  redis.call('HSET', KEYS[1], 'tk', '', 'ab', math.max(ab - 1, 0))
else
  local retention = jn and math.max(ARGV[5], ARGV[6]) or ARGV[5]
  expires_at = math.max(now + retention, tonumber(og or 0))
  redis.call('HSET', KEYS[1], 'st', 'F', 'ab', 0)
end
redis.call('HSET', KEYS[1], 'lx', whole(now), 'xp', whole(expires_at), 'er', ARGV[4])
redis.call('PEXPIRE', KEYS[1], whole(expires_at - now))
if jn then redis.call('PEXPIRE', KEYS[2], whole(expires_at - now)) end
if sq then redis.call('PEXPIRE', KEYS[3], whole(expires_at - now)) end
redis.call('PUBLISH', KEYS[4], 'F')
return 'held'
