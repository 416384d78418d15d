-- Makes a fresh Lua state a vlock state: `require` and coroutines that may wait for the server, the names that Redis' own Lua 5.1 has
-- and 5.4 lacks, and the globals `redis` and `vlock`. Run once by the engine, before any script.

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

local threads = require "vlock.coroutine"
coroutine.create, coroutine.resume = threads.create, threads.resume
coroutine.wrap, coroutine.close = threads.wrap, threads.close
require = require "vlock.require" -- luacheck: ignore

-- Lua 5.1's names, as scripts inside Redis know them.
unpack = table.unpack -- luacheck: ignore
loadstring = load -- luacheck: ignore
table.getn = function(list) -- luacheck: ignore
  return #list
end

bit = require "vlock.bit" -- luacheck: ignore

-- As in Redis, but exact: whole numbers are read as integers, and numbers are written so that they read back as the same.
local json = require "vlock.json"
cjson = setmetatable({ -- luacheck: ignore
  decode = json.decode,
  encode = function(value)
    return (json.encode_bytes(value):gsub("/", "\\/")) -- as lua-cjson writes it
  end,
}, { __index = cjson })
package.loaded.cjson = cjson

-- What Redis has and the host does not: an error that says so, not a nil somewhere later.
local function absent(name, instead)
  return setmetatable({}, {
    __index = function()
      error(("%s is not there on the host: %s"):format(name, instead), 2)
    end,
  })
end
struct = absent("struct", "string.pack and string.unpack do the same") -- luacheck: ignore
cmsgpack = absent("cmsgpack", "run the script on the server (redis.script), or use cjson") -- luacheck: ignore

redis = require "vlock.redis" -- luacheck: ignore
vlock = require "vlock.init" -- luacheck: ignore
package.loaded.vlock = vlock
