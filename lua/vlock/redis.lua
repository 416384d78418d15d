-- The `redis` library: what is not bytes. Scripts by name, the server's version, the protocol.

local core = require "vlock.core"
local redis = require "vlock.redis_core"

-- Where Lua scripts for the server are looked for by name: the folders that the command adds, then the built-in files.
local script_folders = { "lua" }

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

local function source_of(name)
  for _, folder in ipairs(script_folders) do
    local text = read_file(folder .. "/" .. name .. ".lua")
    if text then
      return text
    end
  end
  local text = core.source(name .. ".lua")
  return text or error(("no script '%s': there is no %s.lua in %s, and none is built in"):format(name, name,
    table.concat(script_folders, ", ")), 3)
end

local Script = {}
Script.__index = Script

local function run(script, call, keys, args)
  local words = table.move(keys, 1, #keys, 4, { "EVALSHA", script.sha1, #keys })
  table.move(args, 1, #args, #words + 1, words)
  local reply = call(table.unpack(words))
  if type(reply) == "table" and reply.err and reply.err:find("^NOSCRIPT") then
    words[1], words[2] = "EVAL", script.source -- runs it, and loads it for the next time
    reply = call(table.unpack(words))
  end
  return reply
end

--- Runs it on the server. keys, args: lists; connection: from redis.connect, else the shared one. Raises on an error reply.
function Script:call(keys, args, connection)
  local reply = self:pcall(keys, args, connection)
  if type(reply) == "table" and reply.err then
    error(reply, 0)
  end
  return reply
end

--- The same, but returns an error reply as {err = …}.
function Script:pcall(keys, args, connection)
  local call = redis.pcall
  if connection then
    call = function(...)
      return connection:pcall(...)
    end
  end
  return run(self, call, keys or {}, args or {})
end

Script.__call = Script.call

local known = setmetatable({}, { __mode = "v" }) -- scripts by their source: thousands of clients share one

--- redis.script(name or source): a script for the server, called by its SHA-1; a server that does not know it, or has forgotten it, is
-- sent the source. A name (letters, digits, _ - /) means lua/NAME.lua, or a script built into vlock: "cas".
function redis.script(name_or_source)
  local source = name_or_source
  if name_or_source:find("^[%w_/-]+$") then
    source = source_of(name_or_source)
  end
  local script = known[source]
  if not script then
    script = setmetatable({ source = source, sha1 = redis.sha1hex(source) }, Script)
    known[source] = script
  end
  return script
end

local function send_all(commands, connection)
  local tasks, replies = {}, {}
  for i, words in ipairs(commands) do
    tasks[i] = core.spawn(function()
      if connection then
        return connection:pcall(table.unpack(words))
      end
      return redis.pcall(table.unpack(words))
    end)
  end
  for i, task in ipairs(tasks) do
    replies[i] = task:join()
  end
  return replies
end

--- redis.pipeline(commands, connection): sends several commands in one go and returns their replies in order, an error as {err = …}.
-- commands: a list of lists, { { "SET", "a", "1" }, { "GET", "a" } }. connection: from redis.connect, else the shared one. It is one round
-- trip, and not atomic.
function redis.pipeline(commands, connection)
  return core.run(send_all, commands, connection)
end

--- Adds a folder in which scripts are found by name, before the others.
function redis.add_script_folder(folder)
  table.insert(script_folders, 1, folder)
end

-- The connections that setresp(3) has put in the place of others, by the task that called it.
local replaced = setmetatable({}, { __mode = "k" })

--- redis.setresp(3): from here on this task's commands go by a connection that speaks RESP3, and their replies are converted as Redis
-- does it for RESP3: a null is nil, a map {map = {…}}, a set {set = {…}}, a double {double = …}. setresp(2) goes back. Needs hiredis 1.0.
function redis.setresp(version)
  if version ~= 2 and version ~= 3 then
    error("RESP version must be 2 or 3.", 2)
  end
  local present = redis.local_connection()
  local is_resp3 = present and replaced[present] ~= nil
  if version == 3 and not is_resp3 then
    local speaking = redis.resp3()
    replaced[speaking] = { before = present }
    redis.use(speaking)
  elseif version == 2 and is_resp3 then
    redis.use(replaced[present].before)
  end
end

local function number_of(version)
  local major, minor, patch = version:match("^(%d+)%.(%d+)%.(%d+)")
  return major and (tonumber(major) << 16 | tonumber(minor) << 8 | tonumber(patch))
end

-- REDIS_VERSION and REDIS_VERSION_NUM are the server's: asked for once, when first used.
setmetatable(redis, {
  __index = function(_, name)
    if name ~= "REDIS_VERSION" and name ~= "REDIS_VERSION_NUM" then
      return nil
    end
    local version = redis.call("INFO", "server"):match("redis_version:([^\r\n]+)")
    rawset(redis, "REDIS_VERSION", version)
    rawset(redis, "REDIS_VERSION_NUM", number_of(version))
    return rawget(redis, name)
  end,
})

return redis
