#!lua flags=allow-oom
-- ARGV: now token fingerprint epoch attempt abandoned lease retention heal
local lease_until, expires_at = whole(now + ARGV[7]), whole(now + ARGV[8])

if situation == 'absent' then
  if ARGV[9] ~= '1' then return 'gone' end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'R', 'tk', ARGV[2], 'fp', ARGV[3], 'ep', ARGV[4],
    'at', ARGV[5], 'ab', ARGV[6], 'lx', lease_until, 'xp', expires_at)
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  return 'healed'
end
if tk ~= ARGV[2] or situation == 'forgotten' then return standing_of_loser() end
if st ~= 'R' then return 'repeated' end
redis.call('HSET', KEYS[1], 'lx', lease_until, 'xp', expires_at)
redis.call('PEXPIRE', KEYS[1], ARGV[8])
return 'held'
