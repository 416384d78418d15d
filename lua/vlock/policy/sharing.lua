-- Whether functions keep anything from one call to the next. Those that keep nothing are the same
-- for all clients, and one instance of a policy serves them; those that may need an instance each.
--
-- A function may keep things in its upvalues, and in tables that it is given each time. One that
-- has no upvalues, but for the names that its chunk sees, can keep them in those tables alone: they
-- are watched. A chunk that calls something when it is loaded may do so differently, or do
-- something, each time. Globals, and what modules hold, all instances have in common anyway.

local environment = require "vlock.script.environment"

local sharing = {}

local is_plain = { string = true, number = true, boolean = true }

local function has_upvalues(fn)
  for i = 1, debug.getinfo(fn, "u").nups do
    local _, value = debug.getupvalue(fn, i)
    if not environment.is_of_chunk(value) then
      return true
    end
  end
  return false
end

-- A copy of a table, without the fields in `but`; nil where it holds more than plain values.
local function copy_of(given, but)
  local copy = {}
  for name, value in next, given do
    if not is_plain[type(value)] then
      return nil
    elseif not but[name] then
      copy[name] = value
    end
  end
  return getmetatable(given) == nil and copy or nil
end

local function is_like(given, copy, but)
  for name, value in next, copy do
    if not rawequal(rawget(given, name), value) then
      return false
    end
  end
  for name in next, given do
    if copy[name] == nil and not but[name] then
      return false
    end
  end
  return getmetatable(given) == nil
end

--- A function that tells whether all is as it was; nil: something may be kept that cannot be
-- watched. slots: a list of { fn, p, trips }: functions, the tables that they are given, and, or
-- nil, a table of those fields in there that are anew with each call.
function sharing.watch(slots)
  local copies = {}
  for i, slot in ipairs(slots) do
    copies[i] = copy_of(slot.p, slot.trips or {})
    if has_upvalues(slot.fn) or not copies[i] then
      return nil
    end
  end
  return function()
    for i, slot in ipairs(slots) do
      if not is_like(slot.p, copies[i], slot.trips or {}) then
        return false
      end
    end
    return true
  end
end

--- An instance of a policy, made by new(); and a function that tells whether it is as it was when
-- it was made, or nil: it may keep something else, or its chunks called something when they were
-- loaded.
function sharing.load(new)
  local calls = false
  debug.sethook(function()
    local caller = debug.getinfo(3, "S")
    calls = calls or caller ~= nil and caller.what == "main"
  end, "c")
  local ok, result = pcall(new)
  debug.sethook()
  if not ok then
    error(result, 0)
  end
  return result, not calls and result.watch_sharing() or nil
end

return sharing
