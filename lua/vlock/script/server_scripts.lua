-- Scripts for the server, by name: called by their SHA-1, and sent again where the server has
-- forgotten them.

local connections = require "vlock.redis_core"
local core = require "vlock.core"

local server_scripts = {}

local Script = {}
Script.__index = Script

--- Whether this reply says that the server does not know the script, or no longer.
function Script.is_forgotten(_, reply)
  return type(reply) == "table" and reply.err and reply.err:find("^NOSCRIPT") ~= nil
end

-- How it is called once the server has been told of it: "EVALSHA" and its SHA-1; or "EVAL" and its
-- source, where the user may not load scripts. SCRIPT LOAD keeps it for good, which EVAL need not.
-- In a cluster each node has its own scripts, and SCRIPT LOAD has no key that would lead to the
-- right one.
local function load_script(script, call, connection)
  if connections.is_cluster(connection) then
    return "EVAL", script.source
  end
  local reply = call("SCRIPT", "LOAD", script.source)
  if type(reply) ~= "table" or not reply.err then
    return "EVALSHA", script.sha1
  elseif reply.err:find("^NOPERM") then
    return "EVAL", script.source
  end
  error(reply, 0)
end

--- Makes it known to the server; returns the command and the script by which it is called now. Of
-- thousands of tasks that learn at the same time that the server has forgotten it, one sends it.
-- call: as redis.pcall; connection: by which it calls, where that is not the task's. Raises what
-- the server says otherwise.
function Script:teach(call, connection)
  if not core.task() or connections.is_cluster(connection) then
    return load_script(self, call, connection)
  end
  local teacher = self.teacher
  if teacher and core.is_alive(teacher) then
    local ok, command, script = pcall(teacher.join, teacher)
    if ok then
      return command, script
    end
    return "EVALSHA", self.sha1 -- the teacher failed: whoever is told so next is the teacher
  end
  self.teacher = core.spawn(load_script, self, call)
  return self.teacher:join()
end

local function run(script, call, keys, args, connection)
  local words = table.move(keys, 1, #keys, 4, { "EVALSHA", script.sha1, #keys })
  table.move(args, 1, #args, #words + 1, words)
  local reply = call(table.unpack(words))
  while script:is_forgotten(reply) do
    words[1], words[2] = script:teach(call, connection)
    reply = call(table.unpack(words))
  end
  return reply
end

--- Runs it on the server. keys, args: lists; connection: from redis.connect, else the shared one.
-- Raises on an error reply.
function Script:call(keys, args, connection)
  local reply = self:pcall(keys, args, connection)
  if type(reply) == "table" and reply.err then
    error(reply, 0)
  end
  return reply
end

--- The same, but returns an error reply as {err = …}.
function Script:pcall(keys, args, connection)
  local call = connections.pcall
  if connection then
    call = function(...)
      return connection:pcall(...)
    end
  end
  return run(self, call, keys or {}, args or {}, connection)
end

Script.__call = Script.call

-- Scripts by their source: thousands of clients share one.
local known = setmetatable({}, { __mode = "v" })

--- redis.script(name or source): a script for the server, called by its SHA-1; a server that does
-- not know it, or has forgotten it, is sent the source. A name (letters, digits, _ - /) means
-- NAME.lua, looked for where policies are, or a script built into vlock: "cas".
function server_scripts.find(name_or_source)
  local source = name_or_source
  if name_or_source:find("^[%w_/-]+$") then
    source = require("vlock.engine.current").script_source(name_or_source)
  end
  local script = known[source]
  if not script then
    script = setmetatable({ source = source, sha1 = connections.sha1hex(source) }, Script)
    known[source] = script
  end
  return script
end

return server_scripts
