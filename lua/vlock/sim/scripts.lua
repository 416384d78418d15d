-- Scripts of the simulated server: EVAL and its like, in an environment as Redis' Lua 5.1 has it,
-- run by Lua 5.4. What is left of the difference: `..`, unlike tostring, writes a whole number that
-- came of a division as "2.0", and one of more than 14 digits with all of them.
-- (https://redis.io/docs/latest/develop/programmability/lua-api/)

local connections = require "vlock.redis_core"
local keyspace = require "vlock.sim.keyspace"

local scripts = {}

local VERSION, VERSION_NUM = "7.0.15", 7 << 16 | 15
local CHUNK = "@user_script" -- its name in messages
local NO_ARGUMENT = "Lua redis lib command arguments must be strings or integers"

-- ---- values between scripts and commands

-- A number as it is sent: with 17 digits where it is not whole.
local function text_of(value)
  local whole = math.tointeger(value)
  return whole and ("%d"):format(whole) or ("%.17g"):format(value)
end

local function raise(text)
  error({ err = text }, 0)
end

local function word(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind ~= "number" then
    raise("ERR " .. NO_ARGUMENT)
  end
  return text_of(value)
end

-- All of them as texts.
local function words(count, first, second, third, ...)
  if count == 1 then
    return word(first)
  elseif count == 2 then
    return word(first), word(second)
  elseif count == 3 then
    return word(first), word(second), word(third)
  end
  return word(first), word(second), word(third), words(count - 3, ...)
end

-- What a script returned, as its caller sees the reply.
local function reply_of(value)
  local kind = type(value)
  if kind == "number" then
    return math.tointeger(value) or math.tointeger(value < 0 and math.ceil(value)
      or math.floor(value)) or math.mininteger
  elseif kind == "boolean" then
    return value and 1
  elseif kind ~= "table" then
    return kind == "string" and value
  elseif type(value.err) == "string" then
    return { err = value.err }
  elseif type(value.ok) == "string" then
    return { ok = value.ok }
  end
  local list = {}
  for i, element in ipairs(value) do
    list[i] = reply_of(element)
  end
  return list
end

-- ---- the library

local EXACT = 1 << 53

-- Behind 2^53, what the number of a reply is in a Lua that knows doubles only.
local function as_double(reply)
  if math.type(reply) == "integer" and (reply > EXACT or reply < -EXACT) then
    return reply + 0.0
  end
  return reply
end

local function status_reply(text)
  return { ok = text }
end

local function error_reply(text)
  if text:sub(1, 1) == "-" then
    return { err = text:sub(2) }
  end
  return { err = text:find(" ", 1, true) and text or "ERR " .. text }
end

-- run: what executes a command of a script: a function from its words to its reply. commands: those
-- that there are.
local function new_library(run, commands)
  local function call(...)
    local reply = run(...)
    if type(reply) == "table" and reply.err then
      error(reply, 0)
    end
    return as_double(reply)
  end
  local function pcall_of(...)
    local ok, reply = pcall(run, ...)
    if not ok and type(reply) ~= "table" then
      error(reply, 0) -- an interrupt
    end
    return as_double(reply)
  end
  return {
    call = call,
    pcall = pcall_of,
    status_reply = status_reply,
    error_reply = error_reply,
    sha1hex = connections.sha1hex,
    acl_check_cmd = function(name)
      if not commands[name] then
        raise("ERR Invalid command passed to redis.acl_check_cmd()")
      end
      return true
    end,
    log = connections.log,
    setresp = function(version)
      if version ~= 2 then
        raise("ERR the simulated server speaks RESP2 alone")
      end
    end,
    REDIS_VERSION = VERSION,
    REDIS_VERSION_NUM = VERSION_NUM,
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  }
end

local OF_LUA = { "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal",
  "rawget", "select", "setmetatable", "tonumber", "type", "xpcall" }

local function copy(library, more)
  local copied = more or {}
  for name, value in pairs(library) do
    copied[name] = value
  end
  return copied
end

-- As Lua 5.1 writes numbers.
local function old_tostring(value)
  return type(value) == "number" and ("%.14g"):format(value) or tostring(value)
end

local function new_names(library)
  local names = {}
  for _, name in ipairs(OF_LUA) do
    names[name] = _G[name]
  end
  names.redis = library
  names.unpack, names.loadstring, names.tostring = table.unpack, load, old_tostring
  names.string, names.math = copy(string), copy(math, { pow = function(base, power)
    return base ^ power
  end })
  names.table = copy(table, { getn = function(list)
    return #list
  end })
  names.cjson, names.bit = cjson, require "vlock.script.bit"
  names._G = names
  return names
end

-- What a script sees: the names above, its KEYS and ARGV, and nothing that it makes up.
local function new_environment(names)
  return setmetatable(copy(names, { KEYS = {}, ARGV = {} }), {
    __index = function(_, name)
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end,
    __newindex = function()
      error("Attempt to modify a readonly table", 2)
    end,
  })
end

-- ---- errors

-- Where the script is that raised what is handled now.
local function line_of_script()
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and info.source ~= CHUNK do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return info and info.currentline or 0
end

local function described(reason)
  local text
  if type(reason) == "table" and type(reason.err) == "string" then
    text = reason.err
  else
    text = "ERR " .. tostring(reason)
  end
  return { text = text, line = line_of_script() }
end

-- ---- running

local COUNTS = { ["0"] = 0, ["1"] = 1, ["2"] = 2, ["3"] = 3 } -- of keys, in most calls

local function new_runner(commands)
  local self = { cache = {}, is_read_only = false }

  local function run(name, ...)
    local command = commands[name]
    if not command then
      raise(name == nil and "ERR Please specify at least one argument for this redis.call() call"
        or ("ERR Unknown Redis command called from script: the simulated server has no '%s'")
          :format(tostring(name)))
    end
    local count = select("#", ...)
    if count < command[2] or command[3] and count > command[3] then
      raise("ERR Wrong number of args calling Redis command from script")
    elseif self.is_read_only and command[4] then
      raise("ERR Write commands are not allowed from read-only scripts.")
    elseif command.is_script then
      raise("ERR This Redis command is not allowed from script")
    elseif count == 0 then
      return command[1]()
    end
    return command[1](words(count, ...))
  end

  local names = new_names(new_library(run, commands))

  --- A script from its source; or nil and the reply that says what is wrong with it.
  function self.compile(source)
    local environment = new_environment(names)
    local code, reason = load(source, CHUNK, "t", environment)
    if not code then
      return nil, { err = "ERR Error compiling script (new function): " .. reason }
    end
    return { code = code, environment = environment, sha1 = connections.sha1hex(source) }
  end

  function self.keep(script)
    self.cache[script.sha1] = script
    return script
  end

  --- Runs one with these words behind it: the number of its keys, keys, and arguments.
  function self.run(script, is_read_only, count_text, ...)
    local count, given = COUNTS[count_text] or keyspace.integer(count_text), select("#", ...)
    if not count then
      return keyspace.no_integer()
    elseif count > given then
      return { err = "ERR Number of keys can't be greater than number of args" }
    elseif count < 0 then
      return { err = "ERR Number of keys can't be negative" }
    end
    local all = { ... }
    local environment = script.environment
    environment.ARGV = table.move(all, count + 1, given, 1, {})
    environment.KEYS = table.move(all, 1, count, 1, {})
    self.is_read_only = is_read_only
    local ok, result = xpcall(script.code, described)
    if ok then
      return reply_of(result)
    end
    return { err = ("%s script: %s, on %s:%d."):format(result.text, script.sha1, CHUNK,
      result.line) }
  end

  return self
end

local function script_command(runner)
  local verbs = {
    LOAD = function(source)
      local script, refusal = runner.compile(source or "")
      return script and runner.keep(script).sha1 or refusal
    end,
    EXISTS = function(...)
      local found = {}
      for i, sha1 in ipairs { ... } do
        found[i] = runner.cache[sha1:lower()] and 1 or 0
      end
      return found
    end,
    FLUSH = function()
      runner.cache = {}
      return { ok = "OK" }
    end,
  }
  return function(verb, ...)
    local run = verbs[verb:upper()]
    if not run then
      return { err = ("VLOCK the simulated server does not know SCRIPT %s; it knows: EXISTS, " ..
        "FLUSH, LOAD"):format(verb) }
    end
    return run(...)
  end
end

--- Scripts that call these commands, by name, as vlock.sim.redis_server has them: `commands`, their
-- own; `forget`, a function that forgets them all.
function scripts.new(commands)
  local runner = new_runner(commands)

  local function eval(is_read_only)
    return function(source, ...)
      local sha1 = connections.sha1hex(source)
      local script, refusal = runner.cache[sha1], nil
      if not script then
        script, refusal = runner.compile(source)
      end
      if not script then
        return refusal
      end
      return runner.run(runner.keep(script), is_read_only, ...)
    end
  end

  local function evalsha(is_read_only)
    return function(sha1, ...)
      local script = runner.cache[sha1] or runner.cache[sha1:lower()]
      if not script then
        return { err = "NOSCRIPT No matching script. Please use EVAL." }
      end
      return runner.run(script, is_read_only, ...)
    end
  end

  return {
    commands = {
      EVAL = { eval(false), 2, nil, "write", is_script = true },
      EVAL_RO = { eval(true), 2, is_script = true },
      EVALSHA = { evalsha(false), 2, nil, "write", is_script = true },
      EVALSHA_RO = { evalsha(true), 2, is_script = true },
      SCRIPT = { script_command(runner), 1, is_script = true },
    },
    forget = function()
      runner.cache = {}
    end,
  }
end

return scripts
