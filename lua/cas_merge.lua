-- A commit that carries its merge: where the version has moved, the merge is done here, inside of
-- the server, and what it makes is written over theirs in the same round trip. This is a part of a
-- script that vlock.cell.server_merge puts together: it stands in lua/cas.lua, which is a function
-- there,
--   cas(is_asking)  is_asking: nothing is merged, and nothing is void
-- where that says that it carries none, and before it stands
--   merge_part()    the merge's function, its parameters, and a `require` of its modules
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
local mine = value
local session, sequence = match(token, "^(.+)%.(%d+)$")

if form ~= "HELD" and form ~= "ABSENT" and form ~= "LEFT" or not (wanted and session) then
  return redis.error_reply("VLOCK a commit with a merge has a token SESSION.SEQUENCE, and ends " ..
    "with the base's value, and HELD, ABSENT or LEFT")
end
local base, number = (tonumber(wanted) or 0) - 1, tonumber(sequence)
local own_field = "r/" .. session -- of the record
local read_fields -- the record's fields of `read`
local over, theirs -- the stamp and the value that it was merged over

-- The stamp; fields t, p and r of one's own session.
local function read()
  read_fields = redis.pcall("HMGET", version_key, "s", "t", "p", "r" .. session, own_field, "f")
  if read_fields.err then
    return read_fields
  end
  return read_fields[1], { read_fields[2], read_fields[3], read_fields[4] }
end

-- Whether it is known that no copy of this write was applied, or is void. last: the token of the
-- last write. See (1) and (3).
local function is_fresh(last)
  if receipt_ms == 0 then
    return true -- it is never sent again
  end
  local last_session, last_sequence = match(last, "^(.+)%.(%d+)$")
  if last_session == session and tonumber(last_sequence) >= number then
    return false
  end
  for i = 4, 5 do -- one's own session's
    local its_sequence = read_fields[i] and match(read_fields[i], "^%d+:(%d+):")
    if its_sequence and tonumber(its_sequence) >= number then
      return false
    end
  end
  return base >= (tonumber(read_fields[6]) or 0)
end

-- Whether the state is of the same count as the base. Where the base was nothing, the count must be
-- one that does not expire: receipts of this write may have gone with another.
local function is_same_count(id)
  local base_id = match(expected, "^%d+:([^:]+):")
  return base_id ~= nil and base_id == id
    or expected == "0" and id ~= nil and sub(id, 1, 1) == "p"
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
local function merged_text(version, present)
  if #mine > MOST_BYTES or present and #present > MOST_BYTES then
    return nil, "the value is longer than " .. MOST_BYTES .. " bytes"
  end
  local load
  local ok, result = pcall(function()
    local merge, p, require = merge_part()
    load = require
    return merge(p, conflict(version, present))
  end)
  local kind = type(result)
  if not ok then
    return nil, "it raised: " .. sub(tostring(result), 1, 200)
  elseif kind == "number" and math.abs(result) <= EXACT then
    return load("vlock.text.number").text(result)
  elseif kind == "number" then
    return nil, "it returned a number that is not exact: " .. tostring(result)
  elseif kind ~= "string" and kind ~= "nil" then
    return nil, "it returned a " .. kind
  end
  return result
end

-- A copy that was not applied: no other one may be, from here on. See (2). Where that cannot be
-- written down, nobody can tell what becomes of the copies that were sent before this one.
local function void(reply, id)
  if is_asking or receipt_ms == 0 or not is_same_count(id) then
    return reply
  end
  local time = redis.pcall("TIME")
  local now = not time.err and time[1] * 1000 + math.floor(time[2] / 1000) or 0
  local written = redis.pcall("HSET", version_key, own_field, format("%.0f:%s:|:%.0f", reply[2],
    sequence, now))
  if type(written) ~= "number" then
    return not is_again and reply or { -3, reply[2], false, reply[4], token }
  end
  redis.pcall("HSETNX", version_key, "p", format("%.0f", now + receipt_ms))
  return reply
end

-- A conflict: the text to write over theirs, or else the reply. id: the record's; last: the token
-- of the last write. A deletion is not merged.
local function merge(reply, id, last)
  local version, present, stamp = reply[2], reply[3], reply[4]
  local may_merge = not (is_asking or deletes) and is_same_count(id)
  if may_merge and (version > base or stamp == expected) then
    if is_fresh(last) then
      local text
      text, reply[6] = merged_text(version, present)
      if text then
        carried.is_over, over, theirs = true, stamp, present
        return text
      end
    elseif not is_again then
      ARGV[#ARGV + 1] = "AGAIN"
      ARGV[#ARGV + 1], ARGV[#ARGV + 2] = base_value, form
      local said = cas(true)
      return not said.err and said[1] ~= -3 and said or reply
    end
  end
  return void(reply, id)
end

local function kept(text)
  return text and format("%d,", #text) .. text or "-"
end

-- What else a commit over theirs writes into the record: one's own field, and the receipt, if
-- there is one.
local function fields(now, receipt, receipt_text)
  local is_short = #value + (theirs and #theirs or 0) <= MOST_KEPT
  local text = wanted .. ":" .. sequence .. ":" .. over .. "|"
    .. (is_short and kept(value) .. kept(theirs) or "") .. ":" .. format("%.0f", now)
  if receipt then
    return own_field, text, receipt, receipt_text
  end
  return own_field, text
end

-- The reply to a commit over theirs.
local function merged_reply(stamp)
  local lifetime = redis.pcall("PTTL", value_key)
  return { 1, tonumber(wanted), value, stamp, token, over,
    type(lifetime) == "number" and lifetime or -3, theirs }
end

-- The value at the beginning of a text that `kept` made; false: it was absent; nil: none was kept.
-- And the rest of the text.
local function unpacked(text)
  if sub(text, 1, 1) == "-" then
    return false, sub(text, 2)
  end
  local length, at = match(text, "^(%d+),()")
  if not length then
    return nil, ""
  end
  return sub(text, at, at + tonumber(length) - 1), sub(text, at + tonumber(length))
end

-- The reply to a write that was committed earlier, with this stamp; nil: it was not merged.
local function recall(stamp)
  local version = match(stamp, "^%d+")
  local its_version, its_sequence, rest = match(read_fields[5] or "", "^(%d+):(%d+):(.*):%d+$")
  if its_version ~= version or its_sequence ~= sequence then
    return version ~= wanted and { -3, tonumber(version), false, stamp, token } or nil
  end
  local base_stamp, values = match(rest, "^([^|]*)|(.*)$")
  local written, before
  written, values = unpacked(values)
  if written ~= nil then
    before = unpacked(values)
  elseif read_fields[1] == stamp then
    written = redis.call("GET", value_key) -- nobody has written since
  end
  return { 1, tonumber(version), written or false, stamp, token, base_stamp, -3, before }
end

carried = {
  session = session, -- one's own
  is_over = false, -- whether it was merged
  read = read,
  merge = merge,
  void = void,
  fields = fields,
  reply = merged_reply,
  recall = recall,
}
