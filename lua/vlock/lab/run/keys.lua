-- The keys of a run: under a prefix of its own, and gone when it is over, whatever becomes of it.

local again = require "vlock.cell.again"
local cells = require "vlock.cell.cell"
local core = require "vlock.core"
local hex = require "vlock.text.hex"
local lab_core = require "vlock.lab_core"

local keys = {}

local BATCH = 500 -- cells at a time: between two batches others have their turn

local Keys = {}
Keys.__index = Keys

local function key_of(prefix, i)
  return prefix .. i
end

-- Removes the keys of `count` cells under this prefix, value and version, by the present
-- connection.
local function remove(prefix, count)
  for first = 1, count, BATCH do
    local words = { "UNLINK" }
    for i = first, math.min(first + BATCH - 1, count) do
      local key = key_of(prefix, i)
      words[#words + 1] = key
      words[#words + 1] = cells.version_key(key)
    end
    again(redis.call, table.unpack(words))
  end
end

--- The keys of a run of so many cells: prefix, count, cells (a list).
function keys.new(count)
  local self = setmetatable({ prefix = "vlock:lab:" .. hex(core.entropy(6)) .. ":", count = count,
    cells = {} }, Keys)
  for i = 1, count do
    self.cells[i] = cells.new(key_of(self.prefix, i), {})
    if i % BATCH == 0 then
      core.sleep(0) -- an interrupt is heeded, and the bar moves
    end
  end
  return self
end

--- From here on the keys will be removed from the server at `url` even if this process is killed,
-- or stuck in a policy that never ends: by a process of its own. password_file: of the command
-- line, or nil.
function Keys:guard(url, password_file)
  local words = { "vlockrun", "--eval", 'require("vlock.lab.run.keys").clean_up(KEYS[1], ARGV[1])',
    self.prefix, ",", tostring(self.count) }
  if password_file then
    table.insert(words, 2, "--password-file=" .. password_file)
  end
  self.cleanup = lab_core.cleanup(words, url)
end

--- Removes them, by the present connection.
function Keys:remove()
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
