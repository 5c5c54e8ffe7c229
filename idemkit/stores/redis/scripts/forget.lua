#!lua flags=allow-oom
-- KEYS: record journal channel
-- ARGV: now tombstone
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'X', 'tk', '', 'fp', '', 'ep', ep or whole(now),
  'at', 0, 'ab', 0, 'lx', whole(now), 'xp', whole(now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[3], 'G')
return (situation == 'absent' or situation == 'forgotten') and 0 or 1
