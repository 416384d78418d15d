-- The names that scripts, policies and stores find beside those of Lua 5.4: what Redis' own Lua 5.1
-- has and 5.4 lacks, coroutines that may wait for the server, and `redis` and `vlock`.

local files = require "vlock.files"
local misuse = require "vlock.script.misuse"

-- What Redis has and the host does not: an error that says so, not a nil somewhere later.
local function absent(name, instead)
  return setmetatable({}, {
    __index = function()
      error(("%s is not there on the host: %s"):format(name, instead), 2)
    end,
  })
end

local FIXED = "cjson.%s cannot be set on the host: it writes numbers so that they read back " ..
  "as the same, and reads what JSON allows"

-- cjson's constants, and its settings, which inside Redis change what encode and decode do: here
-- they would change nothing.
local cjson = require "cjson"

local function settings_of_cjson(_, name)
  local value = cjson[name]
  if type(value) ~= "function" then
    return value
  end
  return function(setting, ...)
    if setting ~= nil or select("#", ...) > 0 or name == "new" then
      misuse(FIXED, name)
    end
    return value()
  end
end

--- Puts them into `names`: the globals of a state, or a table that stands before them; its tables
-- `coroutine`, `io` and `table` are added to.
return function(names)
  for _, name in ipairs { "open", "popen", "tmpfile" } do
    names.io[name] = files[name] -- the same; no program that is started inherits what they open
  end
  for name, fn in pairs(require "vlock.script.coroutine") do
    names.coroutine[name] = fn
  end

  -- Lua 5.1's names.
  names.unpack, names.loadstring = table.unpack, load
  names.table.getn = function(list)
    return #list
  end

  -- As in Redis, but exact: whole numbers are read as integers, and numbers are written so that
  -- they read back as the same.
  local json = require "vlock.text.json"
  names.cjson = setmetatable({
    decode = function(text)
      if type(text) == "number" then
        return text
      elseif type(text) ~= "string" then
        misuse("bad argument #1 to 'decode' (string expected, got %s)", type(text))
      end
      local ok, value = pcall(json.decode, text)
      if not ok then
        misuse("%s", value)
      end
      return value
    end,
    encode = function(value)
      return (json.encode_bytes(value):gsub("/", "\\/")) -- as lua-cjson writes it
    end,
  }, { __index = settings_of_cjson })

  names.bit = require "vlock.script.bit"
  names.struct = absent("struct", "string.pack and string.unpack do the same")
  names.cmsgpack = absent("cmsgpack", "run the script on the server (redis.script), or use cjson")
  names.redis = require "vlock.script.redis"
  names.vlock = require "vlock.init"
end
