-- The server of a simulation: what lua/cas.lua and the bundled policies and stores use of Redis 7.0
-- (strings, counters, hashes, expiry, scripts), with its replies and errors, for clients and for
-- scripts. Another command is refused, with the names of those that it knows.
-- tests/lua/sim_server_spec.lua compares it with a real server.

local hashes = require "vlock.sim.hashes"
local keys = require "vlock.sim.keys"
local keyspace = require "vlock.sim.keyspace"
local names_of = require "vlock.text.names_of"
local scripts = require "vlock.sim.scripts"
local strings = require "vlock.sim.strings"

local redis_server = {}

-- A command: { function, fewest, most } words behind its name; most nil: as many as there are. A
-- fourth element, "write": it changes something. is_script: scripts may not call it.
local function connection_commands(space)
  return {
    PING = { function(text)
      return text or { ok = "PONG" }
    end, 0, 1 },
    ECHO = { function(text)
      return text
    end, 1, 1 },
    TIME = { function()
      local us = space.us()
      return { ("%d"):format(us // 1000000), ("%d"):format(us % 1000000) }
    end, 0, 0 },
    INFO = { function()
      return "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
    end, 0 },
  }
end

-- A command by a name that is not all in capitals, which it is found by from then on.
local function in_capitals(commands, name)
  local command = type(name) == "string" and rawget(commands, name:upper()) or nil
  if command then
    commands[name] = command
  end
  return command
end

--- A server, empty. epoch: microseconds since 1970, when virtual time is 0. remember, or nil:
-- called before each change with a function that takes it back. Returns a function from the words
-- of a command and the time, in nanoseconds of virtual time, to its reply, as scripts see replies;
-- and one to be called when another server has taken over.
function redis_server.new(epoch, remember)
  local space = keyspace.new(epoch, remember)
  local commands = {}
  local function add(more)
    for name, command in pairs(more) do
      commands[name] = command
    end
  end
  add(connection_commands(space))
  add(keys.commands(space))
  add(strings.commands(space))
  add(hashes.commands(space))
  local cache = scripts.new(commands)
  add(cache.commands)
  local known = table.concat(names_of(commands), ", ")
  setmetatable(commands, { __index = in_capitals })

  local function execute(words, ns)
    space.set_time(ns)
    local name = words[1]
    local command = commands[name]
    if not command then
      return { err = ("VLOCK the simulated server does not know the command '%s'; it knows: %s")
        :format(name, known) }
    end
    local count = #words - 1
    if count < command[2] or command[3] and count > command[3] then
      return { err = ("ERR wrong number of arguments for '%s' command"):format(name:lower()) }
    end
    return command[1](table.unpack(words, 2))
  end
  return execute, cache.forget
end

return redis_server
