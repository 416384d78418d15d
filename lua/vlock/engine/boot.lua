-- Makes a fresh Lua state a vlock state: `require` and coroutines that may wait for the server, and
-- the names of script/globals.lua as globals. Run once by the engine, before any script. (In a
-- state that is somebody else's, module.lua does it.)

local core = require "vlock.core"
local files = require "vlock.files"

-- As they stand now, whatever a script makes of them.
local assert, load = assert, load
local lua = {}
for name, value in next, _G do
  lua[name] = value
end

local function load_own(file, names)
  return assert(load(files.built_in(file), "@" .. file, "t", names))
end

local environment = load_own("vlock/script/environment.lua", lua)()
local own, update_own = environment.own_names(_G)

-- The built-in copies of lua/vlock/ come before any file of the same name.
table.insert(package.searchers, 2, function(name)
  local file = name:gsub("%.", "/") .. ".lua"
  local text = name:find("^vlock") and files.built_in(file)
  if not text then
    return ("no built-in file '%s'"):format(file)
  end
  return load_own(file, own), file
end)

require("vlock.script.globals")(_G)
require = require "vlock.script.require" -- luacheck: ignore
package.loaded.redis, package.loaded.vlock, package.loaded.cjson = redis, vlock, cjson
update_own()
-- What is called as a method, by our own files too: what a script has replaced is not, what it has
-- added is.
getmetatable("").__index = own.string
-- For our own C code: `require`, whatever a script's global of that name becomes; what a script of
-- the program sees.
core.require, core.script_names = require, environment.chunk_names(own, {})
