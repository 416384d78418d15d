-- The core script: writes a value if its version has not moved. It runs inside Redis (7.0 or later) or Valkey (7.2 or later).
--
--   redis-cli EVAL "$(cat ./lua/cas.lua)" 3 mykey version1 expire 1 1 100
--
-- KEYS[1]  the value's key, a plain string, which anyone may GET
-- KEYS[2]  the version's key
-- KEYS[3]  accepted and never touched
-- ARGV[1]  the new value, any bytes
-- ARGV[2]  the version that this write would create: one more than the version read, 1 where there is none
-- ARGV[3]  lifetime of the version record in whole seconds, up to a hundred years; absent, empty or 0: it does not expire
-- ARGV[4]  token of this write: 1 to 64 of A-Z a-z 0-9 _ - . ; absent or empty: the short call, without a token
-- ARGV[5]  the stamp of the state that was read, compared as a whole; absent or empty: only the number is compared
-- ARGV[6…] DEL: delete the value (ARGV[1] is ignored; the record stays and moves on)
--          PX ms: the value expires; without it, it keeps the lifetime it has
--
-- Replies to the short call: status OK = committed; the array {-1, version, value or null, stamp} = conflict, and nothing was changed.
-- To a call with a token: status "OK STAMP", where the stamp ends with the token; a conflict's array has the token as fifth element.
-- Anything else is an error reply, and nothing was written. The script's own errors begin with "VLOCK " and end with " (token T)".
--
-- The stamp of a cell is the text of its record: "0" where there is none, the decimal number that the article's script keeps as a
-- string (converted at the next commit), else VERSION:ID:TOKEN. The record is a hash at KEYS[2]: field s is the stamp; fields k and
-- 0 … k-1 are kept free for receipts of earlier commits. ID is fixed when the record is made: a letter, e where it was made with a
-- lifetime and p where without, and the token that made it (or the time). A p record never expires, so its commits need no further
-- command; a commit never shortens a lifetime.

local LARGEST = 9007199254740991 -- 2^53 - 1: Redis' numbers are doubles
local LONGEST = 3153600000 -- a hundred years of seconds

local value_key, version_key = KEYS[1], KEYS[2]
local value, wanted, lifetime, token, expected = ARGV[1], ARGV[2], ARGV[3] or "", ARGV[4] or "", ARGV[5] or ""

local function refuse(reason)
  if token ~= "" then
    reason = reason .. " (token " .. token .. ")"
  end
  return redis.error_reply("VLOCK " .. reason)
end

local function is_whole(text, largest)
  return string.find(text, "^%d+$") and #text <= 16 and tonumber(text) <= largest
end

if #KEYS < 2 or #KEYS > 3 then
  return refuse("takes 2 keys, the value's and the version's, and a third that is not used; got " .. #KEYS)
end
if value_key == version_key then
  return refuse("the value's key and the version's key must differ")
end
if token ~= "" and (#token > 64 or string.find(token, "[^%w_.-]")) then
  token = ""
  return refuse("the token (ARGV[4]) must be 1 to 64 letters, digits, _ - or .")
end
if not value or not wanted then
  return refuse("takes a value and the version that it would have: ARGV[1] and ARGV[2] are missing")
end
if not string.find(wanted, "^[1-9]%d*$") or not is_whole(wanted, LARGEST) then
  return refuse("the version (ARGV[2]) must be a whole number from 1 to 9007199254740991, one more than the version read")
end
if lifetime == "" then
  lifetime = "0"
elseif not is_whole(lifetime, LONGEST) then
  return refuse("the lifetime (ARGV[3]) must be a whole number of seconds from 0 to 3153600000")
end

local deletes, expires_ms = false, nil
do
  local i = 6
  while ARGV[i] do
    if ARGV[i] == "DEL" then
      deletes = true
    elseif ARGV[i] == "PX" and ARGV[i + 1] and is_whole(ARGV[i + 1], LONGEST * 1000) and tonumber(ARGV[i + 1]) > 0 then
      expires_ms = ARGV[i + 1]
      i = i + 1
    else
      return refuse("unknown flag, or PX without milliseconds, in ARGV[" .. i .. "]: there are DEL and PX ms")
    end
    i = i + 1
  end
end

-- The record: its text, its number, its identity, and whether it is ours (a hash) or the article's (a string).
local stamp = redis.pcall("HGET", version_key, "s")
local version, id
local is_article = false
if type(stamp) == "string" then
  version, id = string.match(stamp, "^(%d+):([^:]+):")
  if not id then
    return refuse("the version's key holds a hash that is no version record")
  end
elseif type(stamp) == "table" then
  if not string.find(stamp.err, "^WRONGTYPE") then
    return stamp
  end
  stamp = redis.pcall("GET", version_key)
  if type(stamp) == "table" or not string.find(stamp, "^%d+$") then
    return refuse("the version's key holds something that is no version: it must be absent, a record of ours, or a decimal number")
  end
  version, is_article = stamp, true
elseif redis.call("EXISTS", version_key) == 1 then
  return refuse("the version's key holds a hash that is no version record")
else
  stamp, version = "0", "0"
end
if #version > 16 or tonumber(version) >= LARGEST then
  return refuse("the version " .. version .. " is too large to be counted on exactly: its limit is 9007199254740991")
end

-- Compare; a conflict changes nothing at all.
local current = tonumber(version)
if current + 1 ~= tonumber(wanted) or (expected ~= "" and expected ~= stamp) then
  local present = redis.pcall("GET", value_key)
  if type(present) == "table" then
    return present
  end
  local conflict = { -1, current, present, stamp }
  if token ~= "" then
    conflict[5] = token
  end
  return conflict
end

-- What could refuse the second write is asked before the first one. (A first write that is refused has written nothing.)
local made_id = id
if not id then
  local now = redis.call("TIME")
  local maker = token ~= "" and token or "t" .. now[1] .. "." .. now[2]
  made_id = (lifetime == "0" and "p" or "e") .. maker
end
local made = wanted .. ":" .. made_id .. ":" .. (token ~= "" and token or "-")
local can_expire = string.sub(made_id, 1, 1) == "e"
local remaining = is_article and redis.call("PTTL", version_key) or 0 -- ms; -1: no limit

local function is_refused(...)
  return not redis.acl_check_cmd(...)
end

if is_refused("HSET", version_key, "s", made)
    or (is_article and is_refused("DEL", version_key))
    or (can_expire and is_refused("EXPIRE", version_key, lifetime))
    or (can_expire and is_refused("PERSIST", version_key)) then
  return redis.error_reply("NOPERM this user may not write the version's key (HSET, DEL, EXPIRE and PERSIST): nothing was written")
end

local written
if deletes then
  written = redis.pcall("STRLEN", value_key) -- WRONGTYPE where it is no string
  if type(written) ~= "table" then
    written = redis.pcall("DEL", value_key)
  end
elseif expires_ms then
  written = redis.pcall("SET", value_key, value, "PX", expires_ms, "GET")
else
  written = redis.pcall("SET", value_key, value, "KEEPTTL", "GET")
end
if type(written) == "table" and written.err then
  return written
end

-- Nothing below can be refused.
if is_article then
  redis.call("DEL", version_key)
end
redis.call("HSET", version_key, "s", made)
if not id then
  if can_expire and remaining >= 0 then -- the article's record may have had no limit, or a longer one
    redis.call("EXPIRE", version_key, math.max(math.ceil(remaining / 1000), tonumber(lifetime)))
  end
elseif can_expire then
  if lifetime == "0" then
    redis.call("PERSIST", version_key)
  else
    redis.call("EXPIRE", version_key, lifetime, "GT")
  end
end

if token == "" then
  return redis.status_reply("OK")
end
return redis.status_reply("OK " .. made)
