-- Begins every script. ARGV[1] is the time in milliseconds, or '' for the server's own clock.
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(ARGV[1])
end

-- What Lua itself makes of a number has an exponent from 1e14 on.
local function whole(number) return string.format('%.0f', number) end

