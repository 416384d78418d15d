-- The keys of the simulated server: what stands at each, and until when. A string is a Lua string;
-- a hash is a table, { fields, count }.

local keyspace = {}

local WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"

--- The reply to a command on a key of another type.
function keyspace.wrong_type()
  return { err = WRONGTYPE }
end

--- The reply to what should be a whole number of 64 bits.
function keyspace.no_integer()
  return { err = "ERR value is not an integer or out of range" }
end

--- A text as an integer, where it is one as Redis writes them; else nil.
function keyspace.integer(text)
  if text:find("^-?[1-9]%d*$") or text == "0" then
    return math.tointeger(tonumber(text)) -- nil: more than 64 bits
  end
end

local function copy_of(value)
  if type(value) ~= "table" then
    return value
  end
  local fields = {}
  for name, text in pairs(value.fields) do
    fields[name] = text
  end
  return { fields = fields, count = value.count }
end

--- A keyspace, empty. epoch and remember: as vlock.sim.redis_server has them.
function keyspace.new(epoch, remember)
  local values, expires = {}, {} -- by key; when it is over, in ms since 1970
  local ns = 0
  local space = {}

  --- From here on it is so late, in nanoseconds of virtual time.
  function space.set_time(now)
    ns = now
  end

  --- Microseconds since 1970.
  function space.us()
    return epoch + ns // 1000
  end

  --- Milliseconds since 1970.
  function space.ms()
    return (epoch + ns // 1000) // 1000
  end

  --- What stands at a key; nil: nothing.
  function space.get(key)
    local over = expires[key]
    if over and over <= space.ms() then
      values[key], expires[key] = nil, nil
    end
    return values[key]
  end

  -- To be called before what stands at a key is changed.
  local function changes(key)
    local value, over = copy_of(values[key]), expires[key]
    remember(function()
      values[key], expires[key] = value, over
    end)
  end

  --- The same, to be changed in place, if it is a hash.
  function space.get_to_change(key)
    local value = space.get(key)
    if remember then
      changes(key)
    end
    return value
  end

  --- Puts it there; its lifetime stays what it was.
  function space.put(key, value)
    if remember then
      changes(key)
    end
    values[key] = value
  end

  --- Removes it; whether there was anything.
  function space.remove(key)
    local was_there = space.get(key) ~= nil
    if was_there then
      space.put(key, nil)
      expires[key] = nil
    end
    return was_there
  end

  --- When a key is over, in ms since 1970; nil: it is not, or there is none.
  function space.expires(key)
    return expires[key]
  end

  --- Sets that; nil: never.
  function space.expire(key, over)
    if remember then
      changes(key)
    end
    expires[key] = over
  end

  --- The number of keys.
  function space.count()
    local count = 0
    for key in pairs(values) do
      local over = expires[key]
      count = count + (over and over <= space.ms() and 0 or 1)
    end
    return count
  end

  --- Removes all keys.
  function space.clear()
    local old_values, old_expires = values, expires
    if remember then
      remember(function()
        values, expires = old_values, old_expires
      end)
    end
    values, expires = {}, {}
  end

  return space
end

return keyspace
