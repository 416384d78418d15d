-- Reads a cell: its value, version and stamp, in one atomic step. Writes nothing, so that EVAL_RO
-- may run it.
--
-- KEYS[1]  the value's key; KEYS[2]  the version's key; a third is accepted and never touched
-- ARGV[1]  PTTL: with the value's lifetime; or nothing
-- ARGV[2]  any text: the reply's fifth element, by which it can be told from those to other reads
-- Reply: {value or null, version, stamp}; version 0 and stamp "0" where there is no record. See
-- lua/cas.lua for the stamp. A fourth element is the lifetime, where it is asked for: milliseconds
-- from now; -1: it does not expire; -2: there is none. Errors of its own begin with "VLOCK ".

if #KEYS < 2 or #KEYS > 3 then
  return redis.error_reply("VLOCK takes 2 keys, the value's and the version's, and a third " ..
    "that is not used; got " .. #KEYS)
end
local value = redis.pcall("GET", KEYS[1])
if type(value) == "table" then
  return value
end
local stamp = redis.pcall("HGET", KEYS[2], "s")
local version
if type(stamp) == "string" then
  version = string.match(stamp, "^([1-9]%d*):[ep][^:]*:")
elseif stamp == false then
  if redis.call("EXISTS", KEYS[2]) == 0 then
    stamp, version = "0", "0"
  end
elseif not string.find(stamp.err, "^WRONGTYPE") then
  return stamp
elseif redis.call("TYPE", KEYS[2]).ok == "string" then -- the article's: a plain decimal number
  stamp = redis.call("GET", KEYS[2])
  version = string.match(stamp, "^[1-9]%d*$") or string.match(stamp, "^0$")
end
if not version then
  local kind = redis.call("TYPE", KEYS[2]).ok
  if kind == "string" then
    kind = "string other than a decimal number"
  end
  return redis.error_reply("VLOCK the version's key holds something that is no version, a " .. kind
    .. ": name another key, or delete this one")
end
if #version > 16 or tonumber(version) > 9007199254740991 then
  return redis.error_reply("VLOCK the version " .. version
    .. " is too large to be counted on exactly: its limit is 9007199254740991")
end
local lifetime
if ARGV[1] == "PTTL" then
  lifetime = value and redis.call("PTTL", KEYS[1]) or -2
end
return { value, tonumber(version), stamp, lifetime or ARGV[2] and false, ARGV[2] }
