#!lua flags=allow-oom
-- ARGV: now tombstone
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'X', 'tk', '', 'fp', '', 'ep', ep or whole(now),
  'at', 0, 'ab', 0, 'lx', whole(now), 'xp', whole(now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[4], 'G')
return (situation == 'absent' or situation == 'forgotten') and 0 or 1
