-- The `redis` library: what is not bytes. Several commands in one go, the protocol, the server's
-- version.

local core = require "vlock.core"
local connections = require "vlock.redis_core"
local misuse = require "vlock.script.misuse"
local server_scripts = require "vlock.script.server_scripts"

local redis = { script = server_scripts.find }
for _, name in ipairs {
  "call", "pcall", "connect", "private_server", "error_reply", "status_reply", "sha1hex", "log",
    "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE",
  "LOG_WARNING",
} do
  redis[name] = connections[name]
end

--- redis.acl_check_cmd(command, …): whether this connection's user may run that command with these
-- arguments.
function redis.acl_check_cmd(...)
  if select("#", ...) == 0 then
    error(redis.error_reply("ERR Please specify at least one argument for this redis lib call"), 0)
  end
  local reply = redis.pcall("ACL", "DRYRUN", redis.call("ACL", "WHOAMI"), ...)
  if type(reply) == "table" and reply.err then
    local is_unknown = reply.err:find("not found", 1, true)
    error(is_unknown and redis.error_reply("ERR Invalid command passed to redis.acl_check_cmd()")
      or reply, 0)
  end
  return type(reply) == "table" and reply.ok == "OK"
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

--- redis.pipeline(commands, connection): sends several commands in one go and returns their replies
-- in order, an error as {err = …}. commands: a list of lists, { { "SET", "a", "1" }, { "GET", "a" }
-- }. connection: from redis.connect, else the shared one. It is one round trip, and not atomic.
function redis.pipeline(commands, connection)
  for _, words in ipairs(type(commands) == "table" and commands or { false }) do
    if type(words) ~= "table" then
      misuse("redis.pipeline takes a list of commands, each a list of words: { { \"SET\", " ..
        "\"a\", \"1\" }, { \"GET\", \"a\" } }")
    end
  end
  return core.run(send_all, commands, connection)
end

-- The connections that setresp(3) has put in the place of others, by the task that called it.
local replaced = setmetatable({}, { __mode = "k" })

--- redis.setresp(3): from here on this task's commands go by a connection that speaks RESP3, and
-- their replies are converted as Redis does it for RESP3: a null is nil, a map {map = {…}}, a set
-- {set = {…}}, a double {double = …}. setresp(2) goes back. Needs hiredis 1.0.
function redis.setresp(version)
  if version ~= 2 and version ~= 3 then
    error("RESP version must be 2 or 3.", 2)
  end
  local present = connections.local_connection()
  local is_resp3 = present and replaced[present] ~= nil
  if version == 3 and not is_resp3 then
    local speaking = connections.resp3()
    replaced[speaking] = { before = present }
    connections.use(speaking)
  elseif version == 2 and is_resp3 then
    connections.use(replaced[present].before)
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
    local _, _, version = require "vlock.script.server_info"()
    rawset(redis, "REDIS_VERSION", version)
    rawset(redis, "REDIS_VERSION_NUM", number_of(version))
    return rawget(redis, name)
  end,
})

return redis
