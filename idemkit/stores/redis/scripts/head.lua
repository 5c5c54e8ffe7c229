-- Goes on in every script about one record. KEYS: record journal stream, then the channel where
-- there is a bell to ring.
local fv, st, tk, fp, ep, at, ab, lx, xp, jn, sq, cx, oa, oc, of, og, oh, ov = unpack(
  redis.call('HMGET', KEYS[1], 'fv', 'st', 'tk', 'fp', 'ep', 'at', 'ab', 'lx', 'xp', 'jn', 'sq', 'cx',
    'oa', 'oc', 'of', 'og', 'oh', 'ov'))
-- jn, the number of steps, is there if the call has a journal, the hash that KEYS[2] names: 'e' and
-- a step's name -> its entry, and a step's place, from 0 -> its name. Most calls have none, and then
-- nobody looks. It is no format of its own: to an older release, which writes no steps, it is a
-- field that it never asks for, and a journal that such a release leaves behind expires by itself.
-- The same holds of sq, the number of chunks in the stream that KEYS[3] names, their ids
-- <epoch>-<number>, and of cx, which is there if the owner has been asked to stop.
if fv and fv ~= '1' then return redis.error_reply('IDEMFORMAT ' .. fv) end

local situation
if not st or now >= tonumber(xp) then situation = 'absent'
elseif st == 'D' then situation = now < tonumber(of) and 'done' or 'stale'
elseif st == 'R' then situation = now < tonumber(lx) and 'running' or 'abandoned'
elseif st == 'F' then situation = 'failed'
else situation = 'forgotten' end

local function standing_of_loser()
  if situation == 'absent' then return 'gone' end
  return situation == 'forgotten' and 'forgotten' or 'superseded'
end
