-- The article's script, put right: it compares first, and counts only what it writes. The peers
-- that lock by a script use it, and cas_cost compares lua/cas.lua with it. It has no token, so it
-- knows neither ABA nor what became of a write whose reply was lost.
--
-- KEYS[1], KEYS[2]  the value, its version
-- ARGV[1], ARGV[2]  the new value, the version that it makes
local version = tonumber(redis.call("GET", KEYS[2]) or "0")
if version + 1 ~= tonumber(ARGV[2]) then
  return { -1, version }
end
redis.call("INCR", KEYS[2])
return redis.call("SET", KEYS[1], ARGV[1])
