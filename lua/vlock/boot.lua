-- Makes a fresh Lua state a vlock state: `require` and coroutines that may wait for the server, and the names of names.lua as globals. Run
-- once by the engine, before any script. (In a state that is somebody else's, module.lua does it.)

local core = require "vlock.core"

-- The built-in copies of lua/vlock/ come before any file of the same name.
table.insert(package.searchers, 2, function(name)
  local file = name:gsub("%.", "/") .. ".lua"
  local text = name:find("^vlock") and core.source(file)
  if not text then
    return ("no built-in file '%s'"):format(file)
  end
  return assert(load(text, "@" .. file)), file
end)

require("vlock.names")(_G)
require = require "vlock.require" -- luacheck: ignore
package.loaded.redis, package.loaded.vlock, package.loaded.cjson = redis, vlock, cjson
