-- Reads a cell: its value, version and stamp, in one atomic step. Writes nothing, so that EVAL_RO may run it.
--
-- KEYS[1]  the value's key; KEYS[2]  the version's key
-- Reply: {value or null, version, stamp}; version 0 and stamp "0" where there is no record. See lua/cas.lua for the stamp. Errors of
-- its own begin with "VLOCK ".

local value = redis.pcall("GET", KEYS[1])
if type(value) == "table" then
  return value
end
local stamp = redis.pcall("HGET", KEYS[2], "s")
if type(stamp) == "table" then
  stamp = redis.pcall("GET", KEYS[2])
end
local version
if type(stamp) == "string" then
  version = string.match(stamp, "^(%d+)$") or string.match(stamp, "^(%d+):[^:]+:")
elseif stamp == false and redis.call("EXISTS", KEYS[2]) == 0 then
  stamp, version = "0", "0"
end
if not version or #version > 16 or tonumber(version) > 9007199254740991 then
  return redis.error_reply("VLOCK the version's key holds something that is no version: it must be absent, a record of ours, or a "
    .. "decimal number")
end
return { value, tonumber(version), stamp }
