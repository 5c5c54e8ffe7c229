-- Follows the head in beat and step: an owner renews its lease, or puts back what the store lost.
-- KEYS: record journal
-- ARGV: now token fingerprint epoch attempt abandoned lease retention heal
local lease_until, expires_at = whole(now + ARGV[7]), whole(now + ARGV[8])

local answer = 'held'
if situation == 'absent' then
  if ARGV[9] ~= '1' then return 'gone' end
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'R', 'tk', ARGV[2], 'fp', ARGV[3], 'ep', ARGV[4],
    'at', ARGV[5], 'ab', ARGV[6], 'lx', lease_until, 'xp', expires_at)
  jn, answer = false, 'healed'
elseif tk ~= ARGV[2] or situation == 'forgotten' then
  return standing_of_loser()
elseif st ~= 'R' then
  return 'repeated'
else
  redis.call('HSET', KEYS[1], 'lx', lease_until, 'xp', expires_at)
end
redis.call('PEXPIRE', KEYS[1], ARGV[8])
