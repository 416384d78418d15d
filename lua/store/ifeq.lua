-- Store "ifeq": the server's own compare-and-set, SET … IFEQ, of Valkey ≥ 8.1 and Redis ≥ 8.4. One
-- command a commit, no script and no version record. It compares the value alone: a value that went
-- away and came back meanwhile is taken for untouched (ABA), so it is for values that do not come
-- back, like counters; and of a commit whose reply is lost nobody can tell who made it.

local STAMP = "value" -- there is no version: what names a state is its value

-- Deletes what is as expected (no argument: absent). Not every server has a command for this; a
-- script is one step as well.
local delete = redis.script([[
if redis.call('GET', KEYS[1]) ~= (ARGV[1] or false) then return 0 end
redis.call('DEL', KEYS[1])
return 1]])

local function refuse_old_server()
  local name, version = require "vlock.script.server_info"()
  error(("store 'ifeq' needs the server's SET … IFEQ, which Valkey has from 8.1 and Redis " ..
    "from 8.4; this is %s %s: use --store plain")
    :format(name == "valkey" and "Valkey" or "Redis", version), 0)
end

local function set(cell, base, value)
  local words = { "SET", cell.key, value, "GET" }
  if base.value then
    words[5], words[6] = "IFEQ", base.value
  else
    words[5] = "NX"
  end
  if cell.ttl then
    words[#words + 1], words[#words + 2] = "PX", cell.ttl
  else
    words[#words + 1] = "KEEPTTL"
  end
  local before = redis.pcall(table.unpack(words))
  if type(before) == "table" and before.err then
    if base.value and before.err:find("syntax error", 1, true) then
      refuse_old_server()
    end
    error(before, 0)
  end
  return before or nil
end

return {
  doc = "SET … IFEQ of Valkey 8.1 and Redis 8.4: compares the value, keeps no version.",

  stateless = true,

  read = function(cell)
    return redis.call("GET", cell.key) or nil, STAMP
  end,

  commit = function(cell, base, value)
    if value == nil then
      return delete({ cell.key }, { base.value }) == 1 and "committed" or "conflict", STAMP
    end
    local before = set(cell, base, value) -- what stood there: what was expected, if it was written
    if before == base.value then
      return "committed", STAMP
    end
    return "conflict", before, STAMP
  end,
}
