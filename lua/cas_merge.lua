-- A commit that carries its merge: where the version has moved, the merge is done here, inside of
-- the server, and what it makes is written over theirs in the same round trip. This is the end of a
-- script that vlock.cell.server_merge puts together; before it stand, as local functions,
--   cas()         lua/cas.lua
--   merge_part()  the merge's function, its parameters, and a function that makes texts of numbers
--
-- KEYS     as lua/cas.lua has them
-- ARGV     as lua/cas.lua has them, with a token, a stamp and the new value ("mine"); then two
--          more, the value of the base, and HELD: this is it; ABSENT: it had none; LEFT: it is not
--          sent, since the merge does not look at it
--
-- Replies, beside those of lua/cas.lua: {1, version, value, stamp, token, stamp of theirs, lifetime
-- of the value in ms (-1: it has none), value of theirs or null} = committed over theirs. To a call
-- that says AGAIN, and was committed so earlier, the lifetime is -3, not known, and so may be the
-- value and that of theirs: {…, null, stamp, token, stamp of theirs, -3}. A conflict may have a
-- sixth element: why it was not merged.
--
-- That nothing is merged twice. Without a merge a late copy of a write meets another version, and
-- changes nothing; a merge would take it for one more. So a copy is merged only where it is certain
-- that no other copy was, or will have been told "conflict":
-- (1) The record's receipts (see lua/cas.lua) say which write a session made last. This one and
--     earlier ones of it are not merged.
-- (2) Where a copy is not applied, that is written down, as a receipt of a write that is void: no
--     other copy of it is merged later, however late it comes. It is all that a conflict changes.
-- (3) Receipts that are over are removed, and field f of the record holds the highest version among
--     those. What stands on an older base than that is not merged, but is an ordinary conflict.
--
-- Field r/SESSION of the record: VERSION:SEQUENCE:STAMP OF THEIRS|VALUES:TIME, of the last write of
-- a session that was merged or is void (then STAMP and VALUES are empty). VALUES are what was
-- written and what theirs was, each as LENGTH,BYTES, - for absent; there are none where they are
-- too long to be kept.

-- Of each value: while a merge is done all others wait. A document of this size takes some
-- milliseconds.
local MOST_BYTES = 16384
local MOST_KEPT = 64 -- bytes of both values together
local EXACT = 9007199254740992 -- 2^53

local form = table.remove(ARGV)
local base_value = table.remove(ARGV)
local value_key, version_key = KEYS[1], KEYS[2]
local mine, wanted, token, expected = ARGV[1], ARGV[2], ARGV[4] or "", ARGV[5] or ""
local base = tonumber(wanted)
local session, sequence = string.match(token, "^(.+)%.(%d+)$")

if form ~= "HELD" and form ~= "ABSENT" and form ~= "LEFT" or not base then
  return redis.error_reply("VLOCK a commit with a merge ends with the base's value, and HELD, " ..
    "ABSENT or LEFT")
end
base = base - 1

local is_again, exists_at, receipt_ms = false, nil, 0
for i = 6, #ARGV do
  if ARGV[i] == "AGAIN" then
    is_again = true
  elseif ARGV[i] == "XX" then
    exists_at = i
  elseif ARGV[i] == "RECEIPT" then
    receipt_ms = tonumber(ARGV[i + 1]) or 0
  end
end

-- One's own field of the record.
local function place()
  return "r/" .. session
end

local function kept(value)
  return value and #value .. "," .. value or "-"
end

-- The value at the beginning of a text that `kept` made; false: it was absent; nil: none was kept.
-- And the rest of the text.
local function unpacked(text)
  if string.sub(text, 1, 1) == "-" then
    return false, string.sub(text, 2)
  end
  local length, at = string.match(text, "^(%d+),()")
  if not length then
    return nil, ""
  end
  return string.sub(text, at, at + tonumber(length) - 1), string.sub(text, at + tonumber(length))
end

-- The reply to a write that was committed earlier, with this stamp; nil: it was not merged.
local function recalled(stamp)
  local version = string.match(stamp, "^%d+")
  local text = session and redis.call("HGET", version_key, place())
  local its_version, its_sequence, rest = string.match(text or "", "^(%d+):(%d+):(.*):%d+$")
  if its_version ~= version or its_sequence ~= sequence then
    return version ~= wanted and { -3, tonumber(version), false, stamp, token } or nil
  end
  local over, values = string.match(rest, "^([^|]*)|(.*)$")
  local value, theirs
  value, values = unpacked(values)
  if value ~= nil then
    theirs = unpacked(values)
  elseif redis.call("HGET", version_key, "s") == stamp then
    value = redis.call("GET", value_key) -- nobody has written since
  end
  return { 1, tonumber(version), value or false, stamp, token, over, -3, theirs }
end

local function answer_again(reply)
  if reply.ok then
    return recalled(string.sub(reply.ok, 4)) or reply
  end
  return reply
end

-- A copy that was not applied: no other one may be, from here on. See (2). Where that cannot be
-- written down, nobody can tell what becomes of the copies that were sent before this one.
local function void(reply)
  local time = redis.pcall("TIME")
  local now = not time.err and time[1] * 1000 + math.floor(time[2] / 1000) or 0
  local written = session and redis.pcall("HSET", version_key, place(),
    string.format("%.0f:%s:|:%.0f", reply[2], sequence, now))
  if type(written) ~= "number" then
    return not is_again and reply or { -3, reply[2], false, reply[4], token }
  end
  redis.pcall("HSETNX", version_key, "p", string.format("%.0f", now + receipt_ms))
  return reply
end

local function id_of(stamp)
  return string.match(stamp, "^%d+:([^:]+):")
end

-- Whether the state with this stamp is of the same count as the base. Where the base was nothing,
-- the count must be one that does not expire: receipts of this write may have gone with another.
local function is_same_count(stamp)
  local base_id, id = id_of(expected), id_of(stamp)
  return base_id ~= nil and base_id == id
    or expected == "0" and id ~= nil and string.sub(id, 1, 1) == "p"
end

-- Whether a merge may be done over this state at all.
local function is_later(version, stamp)
  return is_same_count(stamp) and (version > base or stamp == expected)
end

-- Whether it is known that no copy of this write was applied, or is void. See (1) and (3).
local function is_fresh(stamp)
  if receipt_ms == 0 then
    return true -- it is never sent again
  elseif not session then
    return false
  end
  local last_session, last_sequence = string.match(stamp, "^%d+:[^:]*:(.+)%.(%d+)$")
  local number = tonumber(sequence)
  if last_session == session and tonumber(last_sequence) >= number then
    return false
  end
  local fields = redis.call("HMGET", version_key, "r" .. session, place(), "f")
  for i = 1, 2 do
    local its_sequence = string.match(fields[i] or "", "^%d+:(%d+):")
    if its_sequence and tonumber(its_sequence) >= number then
      return false
    end
  end
  return base >= (tonumber(fields[3]) or 0)
end

-- What a merge sees of the conflict. What else it asks for is not there.
local function conflict(version, present)
  local c = { key = value_key, codec = "string", mine = mine, gap = version - base,
    theirs = { value = present or nil, version = version } }
  if form ~= "LEFT" then
    c.base = { value = form == "HELD" and base_value or nil, version = base }
  end
  return setmetatable(c, { __index = function(_, name)
    error("c." .. tostring(name) .. " is not there inside of the server", 0)
  end })
end

-- The text to write; nil: none, and perhaps why.
local function merged(version, present)
  if #mine > MOST_BYTES or present and #present > MOST_BYTES then
    return nil, "the value is longer than " .. MOST_BYTES .. " bytes"
  end
  local number
  local ok, result = pcall(function()
    local merge, p, number_text = merge_part()
    number = number_text
    return merge(p, conflict(version, present))
  end)
  local kind = type(result)
  if not ok then
    return nil, "it raised: " .. string.sub(tostring(result), 1, 200)
  elseif kind == "number" and math.abs(result) <= EXACT then
    return number(result)
  elseif kind == "number" then
    return nil, "it returned a number that is not exact: " .. tostring(result)
  elseif kind ~= "string" and kind ~= "nil" then
    return nil, "it returned a " .. kind
  end
  return result
end

local reply = cas()
if reply.ok and is_again then
  return answer_again(reply)
elseif reply.ok or reply.err or reply[1] < -2 then
  return reply
end

local version, present, stamp = reply[2], reply[3], reply[4]
local text, why
if reply[1] == -1 and token ~= "" and is_later(version, stamp) then
  if is_fresh(stamp) then
    text, why = merged(version, present)
  elseif not is_again then
    ARGV[#ARGV + 1] = "AGAIN"
    local said = answer_again(cas())
    return not said.err and said[1] ~= -3 and said or reply
  end
end
if not text then
  reply[6] = why
  if receipt_ms > 0 and is_same_count(stamp) then
    return void(reply)
  end
  return reply
end

-- The same write once more, now over theirs.
local time = redis.pcall("TIME")
if time.err then
  return time
end
ARGV[1], ARGV[2], ARGV[5] = text, string.format("%.0f", version + 1), stamp
if exists_at then
  table.remove(ARGV, exists_at)
end
local written = cas()
if not written.ok then
  return written
end
local made = string.sub(written.ok, 4)
if receipt_ms > 0 then
  local values = kept(text) .. kept(present)
  redis.call("HSET", version_key, place(), ARGV[2] .. ":" .. sequence .. ":" .. stamp .. "|"
    .. (#values <= MOST_KEPT and values or "") .. ":"
    .. string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000)))
end
local lifetime = redis.pcall("PTTL", value_key)
return { 1, version + 1, text, made, token, stamp, type(lifetime) == "number" and lifetime or -3,
  present }
