-- ARGV: now token fingerprint lease retention take_over max_attempts
-- No shebang: a script that is not flagged reads even when memory is out, so replays go on.
local token, fingerprint = ARGV[2], ARGV[3]

-- First, for most claims are replays.
if situation == 'done' and fp == fingerprint then
  return 'D\n' .. whole(of - now) .. '\n' ..
    oa .. '\n' .. oc .. '\n' .. of .. '\n' .. og .. '\n' .. oh .. '\n' .. ov
end

local function outcome()
  return '\n' .. oa .. '\n' .. oc .. '\n' .. of .. '\n' .. og .. '\n' .. oh .. '\n' .. ov
end

-- With the journal, where there is one.
local function granted(answer)
  if not jn then return answer end
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return {answer, redis.call('HGETALL', KEYS[2])}
end

local function take(epoch, attempt, abandoned, stale)
  epoch = whole(epoch)
  -- The first write of a script is the one that is refused when memory is out: nothing before it.
  redis.call('HSET', KEYS[1], 'fv', '1', 'st', 'R', 'tk', token, 'fp', fingerprint, 'ep', epoch,
    'at', attempt, 'ab', abandoned, 'lx', whole(now + ARGV[4]), 'xp', whole(now + ARGV[5]))
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  if jn and attempt == 1 then
    redis.call('HDEL', KEYS[1], 'jn')
    redis.call('DEL', KEYS[2])
    jn = false
  end
  if sq then redis.call('UNLINK', KEYS[3]) end
  local answer = 'A\n' .. epoch .. '\n' .. attempt .. '\n' .. abandoned
  if stale then
    redis.call('HDEL', KEYS[1], 'er', 'sq', 'cx')
    return granted(answer .. outcome())
  end
  if st then
    redis.call('HDEL', KEYS[1], 'er', 'sq', 'cx', 'oa', 'oc', 'of', 'og', 'oh', 'ov')
  end
  return granted(answer)
end

if situation == 'absent' then return take(now, 1, 0, false) end
if situation ~= 'stale' and situation ~= 'forgotten' and fp ~= fingerprint then
  return 'U\n' .. st
end

-- A sequence does not stand in: its chunks go when the next owner comes.
local stale = og and now < tonumber(og) and not string.find(oh, '^%["sequence"')
if situation == 'running' or situation == 'abandoned' then
  if tk == token then
    -- Not HSET first: the owner must learn that it owns even when memory is out.
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    redis.call('HSET', KEYS[1], 'lx', whole(now + ARGV[4]), 'xp', whole(now + ARGV[5]))
    if sq then redis.call('PEXPIRE', KEYS[3], ARGV[5]) end
    return granted('A\n' .. ep .. '\n' .. at .. '\n' .. ab .. (stale and outcome() or ''))
  end
  if situation == 'running' then return 'W\n' .. ep .. '\n' .. whole(lx - now) end
  if ARGV[6] ~= '1' then return 'I\n' .. at .. '\n' .. whole(now - lx) end
  if ab + 1 >= tonumber(ARGV[7]) then return 'P\n' .. at end
end
if situation == 'failed' and tk == token then
  return 'W\n' .. ep .. '\n' .. whole(math.max(lx - now, 0))
end

local epoch = math.max(ep + 1, now)
if situation == 'abandoned' then return take(epoch, at + 1, ab + 1, stale) end
return take(epoch, situation == 'failed' and at + 1 or 1, 0, stale)
