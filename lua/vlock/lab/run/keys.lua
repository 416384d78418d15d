-- The keys of a run: under a prefix of its own, and gone when it is over, whatever becomes of it.

local cells = require "vlock.cell.cell"
local connections = require "vlock.redis_core"
local core = require "vlock.core"
local hex = require "vlock.text.hex"
local lab_core = require "vlock.lab_core"
local patient = require "vlock.cell.patient"
local redis = require "vlock.script.redis"

local keys = {}

local BATCH = 500 -- cells at a time: between two batches others have their turn

local Keys = {}
Keys.__index = Keys

local function key_of(prefix, i)
  return prefix .. i
end

-- Removes the keys of these cells by one command each.
local function remove_each(prefix, first, last)
  local commands = {}
  for i = first, last do
    local key = key_of(prefix, i)
    commands[#commands + 1] = { "UNLINK", key, cells.version_key(key) }
  end
  for i, reply in ipairs(redis.pipeline(commands)) do
    if type(reply) == "table" and reply.err then
      patient(redis.call, table.unpack(commands[i]))
    end
  end
end

-- Removes the keys of these cells: by one command, where a server takes that.
local function remove_batch(prefix, first, last)
  if connections.is_cluster() then
    return remove_each(prefix, first, last)
  end
  local words = { "UNLINK" }
  for i = first, last do
    local key = key_of(prefix, i)
    words[#words + 1] = key
    words[#words + 1] = cells.version_key(key)
  end
  local ok, reason = pcall(patient, redis.call, table.unpack(words))
  if ok then
    return
  elseif not tostring(reason):find("^CROSSSLOT") then -- so says a cluster's node that has all slots
    error(reason, 0)
  end
  remove_each(prefix, first, last)
end

-- Removes the keys of `count` cells under this prefix, value and version, by the present
-- connection.
local function remove(prefix, count)
  for first = 1, count, BATCH do
    remove_batch(prefix, first, math.min(first + BATCH - 1, count))
  end
end

--- The keys of a run of so many cells: prefix, count, cells (a list). is_simulated: they are on a
-- server that is no more when the run is over.
function keys.new(count, is_simulated)
  local self = setmetatable({ count = count, cells = {}, is_simulated = is_simulated,
    prefix = ("vlock:lab:%s:"):format(is_simulated and "sim" or hex(core.entropy(6))) }, Keys)
  for i = 1, count do
    self.cells[i] = cells.new(key_of(self.prefix, i), {})
    if i % BATCH == 0 then
      core.sleep(0) -- an interrupt is heeded, and the bar moves
    end
  end
  return self
end

--- From here on the keys will be removed from the server at `url` even if this process is killed,
-- or stuck in a policy that never ends: by a process of its own. login: the options by which that
-- is let in, a list of words.
function Keys:guard(url, login)
  local words = { "vlockrun", "--eval", 'require("vlock.lab.run.keys").clean_up(KEYS[1], ARGV[1])',
    self.prefix, ",", tostring(self.count) }
  table.move(words, 2, #words, 2 + #login)
  table.move(login, 1, #login, 2, words)
  self.cleanup = lab_core.cleanup(words, url)
end

--- Removes them, by the present connection.
function Keys:remove()
  if self.is_simulated then
    return
  end
  remove(self.prefix, self.count)
  if self.cleanup then
    self.cleanup:dismiss()
  end
end

--- What the process of `guard` does when the lab is gone. The last commands that the lab sent may
-- still arrive after a first removal.
function keys.clean_up(prefix, count)
  for _, seconds in ipairs { 0.2, 1 } do
    core.sleep(seconds)
    remove(prefix, math.tointeger(tonumber(count)))
  end
end

return keys
