-- ARGV, after those of a beat: the first chunk's number, and the chunks
-- No shebang: when memory is out, new chunks are refused before anything is written; an owner who
-- sends only what is there already, or comes too late, still hears how it stands.
local length, first = tonumber(sq or 0), tonumber(ARGV[10])
local last = first + #ARGV - 11
local there = redis.call('EXISTS', KEYS[3]) == 1
local gap = first > length + 1 or sq and not there

if last > length and not gap then
  if there and not sq then redis.call('UNLINK', KEYS[3]) end -- its record was lost without it
  local epoch = answer == 'healed' and ARGV[4] or ep
  for number = length + 1, last do
    redis.call('XADD', KEYS[3], epoch .. '-' .. number, 'd', ARGV[number - first + 11])
  end
  sq = last
  renew('sq', sq)
  redis.call('PUBLISH', KEYS[4], 'C' .. sq)
else
  renew()
end
if jn then keep(KEYS[2]) end
if sq then keep(KEYS[3]) end
if gap then return 'gap' end
return cx and 'cancelled' or answer
