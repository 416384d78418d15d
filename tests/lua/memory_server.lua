-- A server in memory, as small as can be: what lua/cas.lua and lua/cas_merge.lua ask of one. It
-- runs such a script, as it is, over a table that can be copied, so that every order of events can
-- be tried.

local memory_server = {}

local function kind_of(value)
  return type(value) == "table" and "hash" or value and "string" or "none"
end

local function wrongtype()
  return { err = "WRONGTYPE Operation against a key holding the wrong kind of value" }
end

local commands = {}

function commands.HMGET(state, key, ...)
  local hash = state.keys[key]
  if type(hash) == "string" then
    return wrongtype()
  end
  local values = {}
  for i, field in ipairs { ... } do
    values[i] = hash and hash[field] or false
  end
  return values
end

function commands.HGET(state, key, field)
  local hash = state.keys[key]
  if type(hash) == "string" then
    return wrongtype()
  end
  return hash and hash[field] or false
end

function commands.HGETALL(state, key)
  local list = {}
  for field, value in pairs(state.keys[key] or {}) do
    list[#list + 1], list[#list + 2] = field, value
  end
  return list
end

function commands.HSET(state, key, ...)
  local hash = {}
  for field, value in pairs(state.keys[key] or {}) do
    hash[field] = value
  end
  local words = { ... }
  for i = 1, #words, 2 do
    hash[words[i]] = tostring(words[i + 1])
  end
  state.keys[key] = hash
  return #words // 2
end

function commands.HSETNX(state, key, field, value)
  if commands.HGET(state, key, field) then
    return 0
  end
  return commands.HSET(state, key, field, value)
end

function commands.HDEL(state, key, ...)
  local hash = {}
  for field, value in pairs(state.keys[key] or {}) do
    hash[field] = value
  end
  for _, field in ipairs { ... } do
    hash[field] = nil
  end
  state.keys[key] = next(hash) and hash or nil
  return 1
end

function commands.GET(state, key)
  local value = state.keys[key]
  if type(value) == "table" then
    return wrongtype()
  end
  return value or false
end

function commands.STRLEN(state, key)
  local value = state.keys[key]
  if type(value) == "table" then
    return wrongtype()
  end
  return value and #value or 0
end

function commands.SET(state, key, value)
  state.keys[key] = value
  return { ok = "OK" }
end

function commands.DEL(state, key)
  state.keys[key] = nil
  return 1
end

function commands.PTTL()
  return -1
end

function commands.EXISTS(state, key)
  return state.keys[key] and 1 or 0
end

function commands.TYPE(state, key)
  return { ok = kind_of(state.keys[key]) }
end

-- No two records of a real server are made in the same microsecond: here each epoch, in which a
-- record is made once, has one of its own.
function commands.TIME(state)
  return { tostring(state.ms // 1000), tostring(state.ms % 1000 * 1000 + (state.epoch or 0)) }
end

-- A chunk's view of the server whose `state` is set before it runs.
local function view(server)
  local function run(name, ...)
    local command = commands[name]
    if not command then
      error("the server in memory has no " .. name)
    end
    return command(server.state, ...)
  end
  return {
    call = run,
    pcall = run,
    acl_check_cmd = function()
      return true
    end,
    error_reply = function(text)
      return { err = text }
    end,
    status_reply = function(text)
      return { ok = text }
    end,
  }
end

--- A server that runs this script: run(state, keys, args) -> its reply. A state is { keys = {},
-- ms = … }, whose hashes are never changed in place.
function memory_server.new(source)
  local server = {}
  local names = setmetatable({ redis = view(server), unpack = table.unpack }, { __index = _G })
  local chunk = assert(load(source, "=cas.lua", "t", names))
  return function(state, keys, args)
    server.state = state
    rawset(names, "KEYS", keys)
    rawset(names, "ARGV", args)
    local reply = chunk()
    server.state = nil
    return reply
  end
end

return memory_server
