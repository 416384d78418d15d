-- The server's own compare-and-set, SET … IFEQ, which Valkey has from 8.1 and Redis from 8.4.
-- (https://valkey.io/commands/set/, https://redis.io/docs/latest/commands/set/)

local native_set = {}

local function words_for_old_server(store)
  local name, version = require "vlock.script.server_info"()
  return ("store '%s' needs the server's SET … IFEQ, which Valkey has from 8.1 and Redis from " ..
    "8.4; this is %s %s: use --store plain")
    :format(store, name == "valkey" and "Valkey" or "Redis", version)
end

local function is_unable(reply)
  return type(reply) == "table" and reply.err and reply.err:find("syntax error", 1, true)
end

local is_known_able = false

-- Where nothing stands at the key, IFEQ writes nothing; and nothing changes where "" does.
local function is_able(key)
  is_known_able = is_known_able
    or not is_unable(redis.pcall("SET", key, "", "IFEQ", "", "KEEPTTL"))
  return is_known_able
end

--- For a store's `read`: raises where the server has no IFEQ, before a value is written that could
-- never be changed.
function native_set.check(store, key)
  if not is_able(key) then
    error(words_for_old_server(store), 0)
  end
end

-- The same in a commit: an error of the server's kind says that nothing was written.
local function refuse(store)
  error(redis.error_reply("VLOCK " .. words_for_old_server(store)), 0)
end

--- Writes `text` to the cell's key where `expected` stands there, nil for nothing. Returns what
-- stood there, nil for nothing: what was expected, if it was written. ttl: its lifetime in
-- milliseconds; nil: it keeps the one it has. store: what asks, for the message to a server that
-- cannot do it.
function native_set.write(store, cell, expected, text, ttl)
  local words = { "SET", cell.key, text, "GET" }
  if expected then
    words[5], words[6] = "IFEQ", expected
  else
    words[5] = "NX"
  end
  if ttl then
    words[#words + 1], words[#words + 2] = "PX", ttl
  else
    words[#words + 1] = "KEEPTTL"
  end
  if not expected and not is_able(cell.key) then
    refuse(store)
  end
  local before = redis.pcall(table.unpack(words))
  if type(before) == "table" and before.err then
    if expected and is_unable(before) then
      refuse(store)
    end
    error(before, 0)
  end
  return before or nil
end

return native_set
