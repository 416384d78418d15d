-- Store "envelope": versions for servers without scripts. The value stands in an envelope, which
-- says which version it is and who wrote it, and is written by the server's own SET … IFEQ (Valkey
-- from 8.1, Redis from 8.4). One command a commit; a conflict carries what stands there.
--
-- What other programs see at the key is the envelope: "vlock1 STAMP", a line's end, and the value;
-- without the line's end the cell is deleted, and only its version is left. A value that stands
-- there without an envelope has version 0, and is put into one by the first commit. There is no
-- record beside it: version_key and expire mean nothing here, and a value whose lifetime is over
-- takes its version along.
--
-- The whole envelope is compared, so a value that went away and came back is another one (no ABA).
-- Of a commit whose reply was lost the envelope tells as long as nobody has written since: no
-- receipts are kept, so then nobody can tell any more.

local native_set = require "vlock.cell.native_set"
local stamps = require "vlock.cell.stamp"

local MARK = "vlock1 "

-- Bytes as the server has them (nil: none): the value, and the stamp.
local function open(text)
  if not text then
    return nil, "0"
  end
  local stamp, at = text:match("^vlock1 ([1-9]%d*:p[%w_.-]+:[%w_.-]+)()")
  if not stamp then
    return text, "0" -- written by somebody who knows nothing of envelopes
  elseif at > #text then
    return nil, stamp
  elseif text:sub(at, at) ~= "\n" then
    return text, "0"
  end
  return text:sub(at + 1), stamp
end

local function close(value, stamp)
  if stamp == "0" then
    return value
  end
  return MARK .. stamp .. (value and "\n" .. value or "")
end

-- The base with the value that is compared: compare_and_set knows the stamp or the version alone.
-- nil: another state stands there; its value and stamp.
local function whole(cell, base)
  if not base.is_bare then
    return base
  end
  local value, stamp = open(redis.call("GET", cell.key) or nil)
  if stamps.version(stamp) == base.version and (base.stamp == "" or base.stamp == stamp) then
    return { value = value, stamp = stamp }
  end
  return nil, value, stamp
end

-- The write, and what `judge` says of a state that it did not expect.
local function write(cell, asked, value, token, judge)
  local base, found, found_stamp = whole(cell, asked)
  if not base then
    return judge(asked, token, found, found_stamp)
  end
  local stamp = stamps.next(base, token, "p")
  local expected = close(base.value, base.stamp)
  local before = native_set.write("envelope", cell, expected, close(value, stamp),
    value and cell.ttl)
  if before == expected then
    return "committed", stamp
  end
  local present, present_stamp = open(before)
  return judge(base, token, present, present_stamp)
end

local function judge_first(base, _, value, stamp)
  if stamps.went_back(base, stamp) then
    return "history_lost"
  end
  return "conflict", value, stamp
end

-- Of the same write once more. Whoever has written since may have written over it.
local function judge_again(base, token, _, stamp)
  if stamp:sub(-#token - 1) == ":" .. token then
    return "committed", stamp
  elseif stamps.went_back(base, stamp) then
    return "history_lost"
  end
  return "undecidable"
end

return {
  doc = "SET … IFEQ of Valkey 8.1 and Redis 8.4, no scripts: version and token stand in the value.",

  stateless = true,

  read = function(cell)
    native_set.check("envelope", cell.key)
    return open(redis.call("GET", cell.key) or nil)
  end,

  commit = function(cell, base, value, token)
    return write(cell, base, value, token, judge_first)
  end,

  -- Where nothing stood there and the value has a lifetime, it may be over, and the write would be
  -- made a second time.
  resolve = function(cell, base, value, token)
    if cell.ttl and not close(base.value, base.stamp) then
      return "undecidable"
    end
    return write(cell, base, value, token, judge_again)
  end,

  version = stamps.version,

  made = function(base, token)
    return stamps.next(base, token, "p")
  end,
}
