-- The server of a model that is not Redis: a register for each key, which knows a value and how
-- often it was written. And the store that goes with it. It is what simulations of optimistic
-- concurrency have for a server: READ tells value and version; WRITE wins if the version is still
-- the one that was read, and tells no more than that.

local register = {}

--- Its commands, by name, on an empty server; and a function of a key, a value and a version, which
-- puts them there. remember, or nil: called before each change by a command with a function that
-- takes it back.
function register.commands(remember)
  local values, versions = {}, {}
  local commands = {}

  function commands.READ(key)
    return { values[key] or false, versions[key] or 0 }
  end

  function commands.WRITE(key, version, value)
    local current = versions[key] or 0
    if ("%d"):format(current) ~= version then
      return 0
    end
    if remember then
      local before = values[key]
      remember(function()
        values[key], versions[key] = before, current
      end)
    end
    values[key], versions[key] = value, current + 1
    return 1
  end

  return commands, function(key, value, version)
    values[key], versions[key] = value, version
  end
end

-- base.stamp "": only the number base.version is compared, which here is the stamp.
local function stamp_of(base)
  return base.stamp ~= "" and base.stamp or ("%d"):format(base.version)
end

local function next_version(base)
  return ("%d"):format(tonumber(stamp_of(base)) + 1)
end

local function write(cell, base, value)
  if value == nil then
    return redis.call("WRITE", cell.key, stamp_of(base))
  end
  return redis.call("WRITE", cell.key, stamp_of(base), value)
end

register.store = {
  doc = "The commands of a simulated register.",

  stateless = true,

  read = function(cell)
    local reply = redis.call("READ", cell.key)
    return reply[1] or nil, ("%d"):format(reply[2])
  end,

  commit = function(cell, base, value)
    if write(cell, base, value) == 1 then
      return "committed", next_version(base)
    end
    return "conflict"
  end,

  version = function(stamp)
    return tonumber(stamp)
  end,

  made = next_version,
}

return register
