-- Commands of the simulated server on keys of any type: whether they are there, and for how long.
-- (https://redis.io/docs/latest/commands/?group=generic)

local keyspace = require "vlock.sim.keyspace"

local keys = {}

local integer, no_integer = keyspace.integer, keyspace.no_integer
local MOST_MS = math.maxinteger // 2 -- since 1970

local function type_of(value)
  return value == nil and "none" or type(value) == "table" and "hash" or "string"
end

-- The conditions behind EXPIRE: whether each allows a key that is over then, or never (nil), to be
-- over at `wanted`.
local CONDITIONS = {
  NX = function(present)
    return present == nil
  end,
  XX = function(present)
    return present ~= nil
  end,
  GT = function(present, wanted)
    return present ~= nil and wanted > present
  end,
  LT = function(present, wanted)
    return present == nil or wanted < present
  end,
}

local function read_conditions(words)
  local chosen = {}
  for i, word in ipairs(words) do
    local name = word:upper()
    if not CONDITIONS[name] then
      return nil, { err = "ERR Unsupported option " .. word }
    end
    chosen[i], chosen[name] = CONDITIONS[name], true
  end
  if chosen.NX and (chosen.XX or chosen.GT or chosen.LT) then
    return nil, { err = "ERR NX and XX, GT or LT options at the same time are not compatible" }
  elseif chosen.GT and chosen.LT then
    return nil, { err = "ERR GT and LT options at the same time are not compatible" }
  end
  return chosen
end

-- EXPIRE and its like: `unit`, milliseconds of one of the number; is_absolute: counted from 1970.
local function expire(space, name, unit, is_absolute)
  return function(key, text, ...)
    local number = integer(text)
    local conditions, refusal = read_conditions { ... }
    if not conditions then
      return refusal
    elseif not number then
      return no_integer()
    elseif math.abs(number) > MOST_MS // unit then
      return { err = ("ERR invalid expire time in '%s' command"):format(name) }
    end
    local over = number * unit + (is_absolute and 0 or space.ms())
    if space.get(key) == nil then
      return 0
    end
    for _, allows in ipairs(conditions) do
      if not allows(space.expires(key), over) then
        return 0
      end
    end
    if over <= space.ms() then
      space.remove(key)
    else
      space.expire(key, over)
    end
    return 1
  end
end

local function lifetime(space, of)
  return function(key)
    if space.get(key) == nil then
      return -2
    end
    local over = space.expires(key)
    return over and of(over) or -1
  end
end

local function count_where(holds)
  return function(...)
    local count = 0
    for i = 1, select("#", ...) do
      count = count + (holds((select(i, ...))) and 1 or 0)
    end
    return count
  end
end

--- The commands, as vlock.sim.redis_server has them.
function keys.commands(space)
  local remove = count_where(space.remove)
  local function clear()
    space.clear()
    return { ok = "OK" }
  end
  return {
    DEL = { remove, 1, nil, "write" },
    UNLINK = { remove, 1, nil, "write" },
    EXISTS = { count_where(function(key)
      return space.get(key) ~= nil
    end), 1 },
    TYPE = { function(key)
      return { ok = type_of(space.get(key)) }
    end, 1, 1 },
    EXPIRE = { expire(space, "expire", 1000, false), 2, nil, "write" },
    PEXPIRE = { expire(space, "pexpire", 1, false), 2, nil, "write" },
    EXPIREAT = { expire(space, "expireat", 1000, true), 2, nil, "write" },
    PEXPIREAT = { expire(space, "pexpireat", 1, true), 2, nil, "write" },
    PERSIST = { function(key)
      if space.get(key) == nil or not space.expires(key) then
        return 0
      end
      space.expire(key, nil)
      return 1
    end, 1, 1, "write" },
    TTL = { lifetime(space, function(over)
      return (over - space.ms() + 500) // 1000
    end), 1, 1 },
    PTTL = { lifetime(space, function(over)
      return over - space.ms()
    end), 1, 1 },
    EXPIRETIME = { lifetime(space, function(over)
      return (over + 500) // 1000
    end), 1, 1 },
    PEXPIRETIME = { lifetime(space, function(over)
      return over
    end), 1, 1 },
    DBSIZE = { space.count, 0, 0 },
    FLUSHALL = { clear, 0, 1, "write" },
    FLUSHDB = { clear, 0, 1, "write" },
  }
end

return keys
