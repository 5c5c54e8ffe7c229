#!lua flags=no-writes
-- ARGV: now epoch after limit room
if situation == 'absent' then return false end

-- In steps, for nobody knows how large chunks are before they have been read: a page may be of very
-- many, or of very few, and what does not fit must not be read in vain.
local function page(after, limit, room)
  local chunks, step = {}, 4
  while #chunks < limit do
    local wanted = ep .. '-' .. (after + #chunks + 1)
    local found = redis.call('XRANGE', KEYS[3], wanted, ep .. '-' .. sq,
      'COUNT', math.min(step, limit - #chunks))
    if not found[1] or found[1][1] ~= wanted then break end
    for _, entry in ipairs(found) do
      local chunk = entry[2][2]
      room = room - #chunk
      if room < 0 and #chunks > 0 then return chunks end
      chunks[#chunks + 1] = chunk
    end
    if #found < step then break end
    step = math.min(2 * step, 32)
  end
  return chunks
end

local chunks = {}
if sq and (ARGV[2] == '0' or ARGV[2] == ep) then
  chunks = page(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
end
local left = situation == 'running' and whole(lx - now) or '0'
local error = redis.call('HGET', KEYS[1], 'er') or ''
return {
  situation .. '\n' .. ep .. '\n' .. (sq or '0') .. '\n' .. left .. '\n' .. error,
  st == 'D' and table.concat({oa, oc, of, og, oh, ov}, '\n') or '',
  chunks
}
