-- Whether functions keep anything from one call to the next. Those that keep nothing are the same
-- for all clients, and one instance of a policy serves them; those that do need an instance each.
--
-- A function keeps things in its upvalues, in those of functions among them, and in tables that it
-- is given each time. An upvalue that holds a number, a switch or nothing yet is taken for such a
-- thing; what hardly ever is one is watched: whoever has one instance for many looks from time to
-- time whether it is what it was. Globals, and what modules hold, all instances have in common
-- anyway.

local environment = require "vlock.script.environment"

local sharing = {}

-- What is watched, by type: as an upvalue, and as a field of a table.
local UPVALUES = { string = true }
local FIELDS = { string = true, number = true, boolean = true }

local function is_of_c(value)
  return type(value) == "function" and debug.getinfo(value, "S").what == "C"
end

local Watch = {}
Watch.__index = Watch

-- Watches what `get` returns, of one of these types; false: it cannot be watched.
function Watch:value(get, types)
  local value = get()
  if types[type(value)] or is_of_c(value) then
    self[#self + 1] = { get = get, value = value }
    return true
  end
  return type(value) == "function" and self:upvalues(value)
end

function Watch:upvalues(fn)
  if self.functions[fn] then
    return true
  end
  self.functions[fn] = true
  for i = 1, debug.getinfo(fn, "u").nups do
    local _, value = debug.getupvalue(fn, i)
    if not environment.is_of_chunk(value) and not self:value(function()
      return (select(2, debug.getupvalue(fn, i)))
    end, UPVALUES) then
      return false
    end
  end
  return true
end

-- The fields of a table, but for those in `but`.
function Watch:fields(given, but)
  for name in next, given do
    if not but[name] and not self:value(function()
      return rawget(given, name)
    end, FIELDS) then
      return false
    end
  end
  return self:value(function()
    local size = 0
    for _ in next, given do
      size = size + 1
    end
    return size
  end, FIELDS)
end

--- A function that tells whether all is as it was; nil: some of it cannot be watched. slots: a list
-- of { fn, p, trips }: functions, the tables that they are given, and, or nil, a table of those
-- fields in there that are anew with each call.
function sharing.watch(slots)
  local watch = setmetatable({ functions = {} }, Watch)
  for _, slot in ipairs(slots) do
    if not (watch:upvalues(slot.fn) and watch:fields(slot.p, slot.trips or {})) then
      return nil
    end
  end
  return function()
    for _, one in ipairs(watch) do
      if not rawequal(one.get(), one.value) then
        return false
      end
    end
    return true
  end
end

return sharing
