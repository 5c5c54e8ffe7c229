-- ARGV: now room, and a fingerprint for each of KEYS, the records. What is no outcome for it is
-- answered with nothing, and once they fill the room, the rest is not answered at all.
local room, answers = tonumber(ARGV[2]), {}
for place, key in ipairs(KEYS) do
  local fv, st, fp, xp, oa, oc, of, og, oh, ov = unpack(
    redis.call('HMGET', key, 'fv', 'st', 'fp', 'xp', 'oa', 'oc', 'of', 'og', 'oh', 'ov'))
  answers[place] = false
  if fv == '1' and st == 'D' and fp == ARGV[place + 2]
    and now < tonumber(xp) and now < tonumber(of) then
    answers[place] = 'D\n' .. whole(of - now) .. '\n' ..
      oa .. '\n' .. oc .. '\n' .. of .. '\n' .. og .. '\n' .. oh .. '\n' .. ov
    room = room - #ov
    if room <= 0 then break end
  end
end
return answers
