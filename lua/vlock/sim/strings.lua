-- Commands of the simulated server on strings and counters.
-- (https://redis.io/docs/latest/commands/?group=string)

local keyspace = require "vlock.sim.keyspace"

local strings = {}

local integer, no_integer, wrong_type = keyspace.integer, keyspace.no_integer, keyspace.wrong_type

local function syntax_error()
  return { err = "ERR syntax error" }
end

local function no_expire(name)
  return { err = ("ERR invalid expire time in '%s' command"):format(name) }
end

-- Milliseconds of one of the number behind an option of SET, and whether it counts from now.
local LIFETIMES = { EX = { 1000, true }, PX = { 1, true }, EXAT = { 1000, false },
  PXAT = { 1, false } }

-- When what is written now will be over. Or nil and a reply.
local function read_lifetime(space, text, unit, is_relative, name)
  local number = integer(text)
  if not number then
    return nil, no_integer()
  elseif number <= 0 or number > math.maxinteger // 2 // unit then
    return nil, no_expire(name)
  end
  return number * unit + (is_relative and space.ms() or 0)
end

-- The options of SET: a table, or nil and a reply.
local function read_options(space, words)
  local read, i = {}, 1
  while words[i] do
    local name = words[i]:upper()
    local unit = LIFETIMES[name]
    if (name == "NX" or name == "XX") and not read.condition then
      read.condition = name
    elseif name == "GET" and not read.wants_value then
      read.wants_value = true
    elseif name == "KEEPTTL" and not read.over and not read.keeps then
      read.keeps = true
    elseif unit and words[i + 1] and not read.over and not read.keeps then
      read.over, read.unit = words[i + 1], unit
      i = i + 1
    else
      return nil, syntax_error()
    end
    i = i + 1
  end
  if read.unit then
    local over, refusal = read_lifetime(space, read.over, read.unit[1], read.unit[2], "set")
    if not over then
      return nil, refusal
    end
    read.over = over
  end
  return read
end

local function write(space, key, value, over)
  space.put(key, value)
  if over and over <= space.ms() then
    space.remove(key)
  elseif space.expires(key) ~= over then
    space.expire(key, over)
  end
end

local function set_with(space, key, value, words)
  local options, refusal = read_options(space, words)
  if not options then
    return refusal
  end
  local present = space.get(key)
  if options.wants_value and type(present) == "table" then
    return wrong_type()
  end
  local is_free = not options.condition or (options.condition == "NX") == (present == nil)
  if is_free then
    write(space, key, value, options.keeps and space.expires(key) or options.over)
  end
  if options.wants_value then
    return present or false
  end
  return is_free and { ok = "OK" } or false
end

local function set(space)
  return function(key, value, option, ...)
    if option == "KEEPTTL" and ... == nil then -- as the core script does
      space.get(key)
      space.put(key, value)
      return { ok = "OK" }
    elseif option then
      return set_with(space, key, value, { option, ... })
    end
    write(space, key, value)
    return { ok = "OK" }
  end
end

-- SETEX and PSETEX.
local function set_for(space, unit, name)
  return function(key, lifetime, value)
    local over, refusal = read_lifetime(space, lifetime, unit, true, name)
    if not over then
      return refusal
    end
    write(space, key, value, over)
    return { ok = "OK" }
  end
end

-- f(value, …) for a key that holds a string or nothing.
local function of_string(space, f)
  return function(key, ...)
    local value = space.get(key)
    if type(value) == "table" then
      return wrong_type()
    end
    return f(value, key, ...)
  end
end

-- INCR and its like: f(key, step).
local function add_to(space)
  return of_string(space, function(value, key, step)
    local number = integer(value or "0")
    if not number then
      return no_integer()
    elseif step > 0 and number > math.maxinteger - step or step < 0
      and number < math.mininteger - step then
      return { err = "ERR increment or decrement would overflow" }
    end
    space.put(key, ("%d"):format(number + step))
    return number + step
  end)
end

local function add(space, sign)
  local add_step = add_to(space)
  return function(key, text)
    local step = text and integer(text) or 1
    if text and not integer(text) then
      return no_integer()
    elseif sign < 0 and step == math.mininteger then
      return { err = "ERR decrement would overflow" }
    end
    return add_step(key, sign * step)
  end
end

local function several(space)
  return function(...)
    local count = select("#", ...)
    if count % 2 == 1 then
      return { err = "ERR wrong number of arguments for 'mset' command" }
    end
    for i = 1, count, 2 do
      local key, value = select(i, ...)
      write(space, key, value)
    end
    return { ok = "OK" }
  end
end

local function values_of(space)
  return function(...)
    local values = {}
    for i = 1, select("#", ...) do
      local value = space.get((select(i, ...)))
      values[i] = type(value) == "string" and value or false
    end
    return values
  end
end

--- The commands, as vlock.sim.redis_server has them.
function strings.commands(space)
  return {
    GET = { of_string(space, function(value)
      return value or false
    end), 1, 1 },
    SET = { set(space), 2, nil, "write" },
    SETNX = { function(key, value)
      if space.get(key) ~= nil then
        return 0
      end
      write(space, key, value)
      return 1
    end, 2, 2, "write" },
    SETEX = { set_for(space, 1000, "setex"), 3, 3, "write" },
    PSETEX = { set_for(space, 1, "psetex"), 3, 3, "write" },
    GETSET = { of_string(space, function(value, key, new)
      write(space, key, new)
      return value or false
    end), 2, 2, "write" },
    GETDEL = { of_string(space, function(value, key)
      space.remove(key)
      return value or false
    end), 1, 1, "write" },
    MGET = { values_of(space), 1 },
    MSET = { several(space), 2, nil, "write" },
    APPEND = { of_string(space, function(value, key, more)
      local text = (value or "") .. more
      space.put(key, text)
      return #text
    end), 2, 2, "write" },
    STRLEN = { of_string(space, function(value)
      return value and #value or 0
    end), 1, 1 },
    INCR = { add(space, 1), 1, 1, "write" },
    DECR = { add(space, -1), 1, 1, "write" },
    INCRBY = { add(space, 1), 2, 2, "write" },
    DECRBY = { add(space, -1), 2, 2, "write" },
  }
end

return strings
