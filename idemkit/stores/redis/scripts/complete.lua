#!lua flags=allow-oom
-- ARGV: now token fingerprint epoch attempt abandoned lease retention heal head body ttl stale length
local answer, head, body = 'held', ARGV[10], ARGV[11]
if situation == 'absent' then
  if ARGV[9] ~= '1' then return 'gone' end
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'fv', '1', 'tk', ARGV[2], 'fp', ARGV[3], 'ep', ARGV[4],
    'at', ARGV[5], 'ab', ARGV[6], 'lx', whole(now + ARGV[7]))
  at, jn, sq, cx, answer = ARGV[5], false, false, false, 'healed'
elseif tk ~= ARGV[2] or st == 'F' then
  return standing_of_loser()
elseif st == 'D' then
  return 'repeated'
end

-- An outcome's head is a list in JSON, and its kind comes first.
local kind = string.match(head, '^%["(%l+)"')
if kind == 'sequence' and ARGV[14] ~= (sq or '0') then
  kind, head, body = 'incomplete', string.gsub(head, kind, 'incomplete', 1), ''
end

local fresh_until = now + ARGV[12]
local gone_at = fresh_until + ARGV[13]
redis.call('HSET', KEYS[1], 'st', 'D', 'xp', whole(gone_at), 'oa', at, 'oc', whole(now),
  'of', whole(fresh_until), 'og', whole(gone_at), 'oh', head, 'ov', body)
redis.call('PEXPIRE', KEYS[1], whole(gone_at - now))
if jn then redis.call('UNLINK', KEYS[2]) end
if sq and (kind == 'sequence' or kind == 'error') then
  redis.call('PEXPIRE', KEYS[3], whole(gone_at - now))
elseif sq then
  redis.call('UNLINK', KEYS[3])
  redis.call('HDEL', KEYS[1], 'sq')
end
if jn or cx then redis.call('HDEL', KEYS[1], 'jn', 'cx') end
redis.call('PUBLISH', KEYS[4], 'D')
return answer
