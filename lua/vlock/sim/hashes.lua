-- Commands of the simulated server on hashes.
-- (https://redis.io/docs/latest/commands/?group=hash)

local keyspace = require "vlock.sim.keyspace"
local names_of = require "vlock.text.names_of"

local hashes = {}

local integer, no_integer, wrong_type = keyspace.integer, keyspace.no_integer, keyspace.wrong_type
local EMPTY = {}

local function wrong_count(name)
  return { err = ("ERR wrong number of arguments for '%s' command"):format(name) }
end

-- f(fields, …) for a key that holds a hash, or nothing: then there are no fields.
local function read(space, f)
  return function(key, ...)
    local hash = space.get(key)
    if type(hash) == "string" then
      return wrong_type()
    end
    return f(hash and hash.fields or EMPTY, ...)
  end
end

-- f(hash, …) for a key that holds a hash, which is changed in place. One that is made here, or is
-- empty afterwards, comes and goes.
local function change(space, f)
  return function(key, ...)
    local hash = space.get_to_change(key)
    if type(hash) == "string" then
      return wrong_type()
    end
    local changed = hash or { fields = {}, count = 0 }
    local reply = f(changed, ...)
    if changed.count == 0 then
      space.remove(key)
    elseif not hash then
      space.put(key, changed)
    end
    return reply
  end
end

local function set(hash, field, value)
  local is_new = hash.fields[field] == nil
  hash.fields[field] = value
  hash.count = hash.count + (is_new and 1 or 0)
  return is_new and 1 or 0
end

local function set_all(hash, field, value, ...)
  local made = set(hash, field, value)
  local count = select("#", ...)
  for i = 1, count, 2 do
    made = made + set(hash, select(i, ...))
  end
  return made
end

-- Redis gives fields in no order that one may rely on; here it is always the same.
local function listed(with_name, with_value)
  return function(fields)
    local list = {}
    for _, name in ipairs(names_of(fields)) do
      list[#list + 1] = with_name and name or nil
      list[#list + 1] = with_value and fields[name] or nil
    end
    return list
  end
end

local function get_several(fields, ...)
  local values = {}
  for i = 1, select("#", ...) do
    values[i] = fields[(select(i, ...))] or false
  end
  return values
end

local function remove(hash, ...)
  local count = 0
  for i = 1, select("#", ...) do
    local field = select(i, ...)
    if hash.fields[field] then
      hash.fields[field] = nil
      count = count + 1
    end
  end
  hash.count = hash.count - count
  return count
end

local function add(hash, field, step)
  local number = integer(hash.fields[field] or "0")
  if not number then
    return { err = "ERR hash value is not an integer" }
  elseif step > 0 and number > math.maxinteger - step or step < 0
    and number < math.mininteger - step then
    return { err = "ERR increment or decrement would overflow" }
  end
  set(hash, field, ("%d"):format(number + step))
  return number + step
end

--- The commands, as vlock.sim.redis_server has them.
function hashes.commands(space)
  local set_fields, add_to = change(space, set_all), change(space, add)
  return {
    HSET = { function(...)
      if select("#", ...) % 2 == 0 then
        return wrong_count("hset")
      end
      return set_fields(...)
    end, 3, nil, "write" },
    HSETNX = { change(space, function(hash, field, value)
      return hash.fields[field] and 0 or set(hash, field, value)
    end), 3, 3, "write" },
    HGET = { read(space, function(fields, field)
      return fields[field] or false
    end), 2, 2 },
    HMGET = { read(space, get_several), 2 },
    HGETALL = { read(space, listed(true, true)), 1, 1 },
    HKEYS = { read(space, listed(true, false)), 1, 1 },
    HVALS = { read(space, listed(false, true)), 1, 1 },
    HEXISTS = { read(space, function(fields, field)
      return fields[field] and 1 or 0
    end), 2, 2 },
    HSTRLEN = { read(space, function(fields, field)
      return #(fields[field] or "")
    end), 2, 2 },
    HLEN = { function(key)
      local hash = space.get(key)
      if type(hash) == "string" then
        return wrong_type()
      end
      return hash and hash.count or 0
    end, 1, 1 },
    HDEL = { change(space, remove), 2, nil, "write" },
    HINCRBY = { function(key, field, text)
      local step = integer(text)
      if not step then
        return no_integer()
      end
      return add_to(key, field, step)
    end, 3, 3, "write" },
  }
end

return hashes
