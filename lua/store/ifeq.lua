-- Store "ifeq": the server's own compare-and-set, SET … IFEQ, of Valkey ≥ 8.1 and Redis ≥ 8.4. One
-- command a commit, no script and no version record. It compares the value alone: a value that went
-- away and came back meanwhile is taken for untouched (ABA), so it is for values that do not come
-- back, like counters; and of a commit whose reply is lost nobody can tell who made it.

local native_set = require "vlock.cell.native_set"

local STAMP = "value" -- there is no version: what names a state is its value

-- Deletes what is as expected (no argument: absent). Not every server has a command for this; a
-- script is one step as well.
local delete = redis.script([[
if redis.call('GET', KEYS[1]) ~= (ARGV[1] or false) then return 0 end
redis.call('DEL', KEYS[1])
return 1]])

return {
  doc = "SET … IFEQ of Valkey 8.1 and Redis 8.4: compares the value, keeps no version.",

  stateless = true,

  read = function(cell)
    native_set.check("ifeq", cell.key)
    return redis.call("GET", cell.key) or nil, STAMP
  end,

  commit = function(cell, base, value)
    if value == nil then
      return delete({ cell.key }, { base.value }) == 1 and "committed" or "conflict", STAMP
    end
    local before = native_set.write("ifeq", cell, base.value, value, cell.ttl)
    if before == base.value then
      return "committed", STAMP
    end
    return "conflict", before, STAMP
  end,
}
