-- Follows the head in beat, step and append: an owner goes on, or puts back what the store lost.
-- ARGV: now token fingerprint epoch attempt abandoned lease retention heal
local answer = 'held'
if situation == 'absent' then
  if ARGV[9] ~= '1' then return 'gone' end
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'R', 'tk', ARGV[2], 'fp', ARGV[3], 'ep', ARGV[4],
    'at', ARGV[5], 'ab', ARGV[6])
  jn, sq, cx, answer = false, false, false, 'healed'
elseif tk ~= ARGV[2] or situation == 'forgotten' then
  return standing_of_loser()
elseif st ~= 'R' then
  return 'repeated'
end

local function keep(key) redis.call('PEXPIRE', key, ARGV[8]) end

-- Not HSET first: it is refused when memory is out, unless something has been written before.
local function renew(...)
  keep(KEYS[1])
  redis.call('HSET', KEYS[1], 'lx', whole(now + ARGV[7]), 'xp', whole(now + ARGV[8]), ...)
end
