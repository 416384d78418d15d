-- The surroundings of a policy that is fuzzed: see policy_files.c. ARGV[1] is the policy's text.

local STORE = [[
local cell = require "fuzzed_cell"
return {
  read = function()
    return cell.value, tostring(cell.version)
  end,
  commit = function(_, base, value)
    if cell.conflicts > 0 then
      cell.conflicts = cell.conflicts - 1
      cell.version, cell.value = cell.version + 10, "theirs"
    end
    if base.stamp ~= tostring(cell.version) then
      return "conflict", cell.value, tostring(cell.version)
    end
    cell.version, cell.value = cell.version + 1, value
    return "committed", tostring(cell.version)
  end,
  version = tonumber,
}
]]

package.loaded.fuzzed_cell = { conflicts = 3, version = 0 }

local files = { ["policy.lua"] = ARGV[1], ["memory.lua"] = STORE }

local function open(name)
  local text = files[name]
  if not text then
    return nil, ("%s: No such file or directory"):format(name)
  end
  return { read = function() return text end, close = function() end }
end

-- Lets a table keep these fields alone.
local function keep(list, names)
  for name in pairs(list) do
    if not names:find(" " .. name .. " ", 1, true) then
      list[name] = nil
    end
  end
end

-- A text that is made up of pieces of others must not start programs, write files, talk to servers
-- or end this process; with `debug` and bytecode Lua itself promises nothing.
local vlock_files = require "vlock.files"
vlock_files.open, vlock_files.popen, vlock_files.tmpfile, vlock_files.make_folder = nil, nil, nil,
  nil
keep(io, " write ")
io.open = open -- luacheck: ignore
keep(os, " clock date difftime getenv time ")
keep(debug, " traceback getinfo ")
keep(redis, " error_reply status_reply sha1hex log script call pcall ")
package.loadlib, package.path, package.cpath = nil, "", "" -- luacheck: ignore
string.dump = nil -- luacheck: ignore
getmetatable("").__index.dump = nil
