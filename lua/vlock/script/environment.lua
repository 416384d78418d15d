-- What our own files, and those of policies and stores, see of the script's globals. A script may
-- call a global of its own `type` or `redis`, by design or because it forgot `local`: that is its
-- business, and must not break ours.

local OF_LUA = {
  "assert", "collectgarbage", "coroutine", "debug", "dofile", "error", "getmetatable", "io",
    "ipairs", "load", "loadfile", "math", "next",
  "os", "package", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "require",
    "select", "setmetatable", "string",
  "table", "tonumber", "tostring", "type", "utf8", "warn", "xpcall",
}
local OF_VLOCK = { "bit", "cjson", "cmsgpack", "loadstring", "redis", "struct", "unpack", "vlock" }

-- Of which a script may replace a function, too, or add one: it has the libraries themselves, and
-- our own files have copies.
local LIBRARIES = { "string", "table", "math", "utf8", "coroutine", "debug" }

local function copy(list, from, to)
  for _, name in ipairs(list) do
    to[name] = from[name]
  end
end

local function copy_libraries(from, to)
  for _, name in ipairs(LIBRARIES) do
    local library = setmetatable({}, { __index = from[name] })
    for field, value in pairs(from[name]) do
      library[field] = value
    end
    to[name] = library
  end
end

--- The names for our own files: those of Lua as they stand now, then the script's. names: the
-- script's globals. The second result is to be called when the names of vlock have been added
-- there: it takes those over.
local function own_names(names)
  local libraries = {}
  copy(LIBRARIES, names, libraries)
  local own = setmetatable({ _G = names }, { __index = names, libraries = libraries })
  copy(OF_LUA, names, own)
  copy_libraries(names, own)
  return own, function()
    copy(OF_VLOCK, names, own)
    own.require, own.io = names.require, names.io
    copy_libraries(names, own)
  end
end

local of_chunks = setmetatable({}, { __mode = "k" })

-- The same to read; a name that nobody has is an error, in Redis' words: it is a slip of the pen
-- ("backoff = none"), not a nil that is meant.
local function to_read(own)
  local names = {}
  for name, value in next, own do
    names[name] = value -- found without a call
  end
  copy(LIBRARIES, getmetatable(own).libraries, names)
  return setmetatable(names, {
    __index = function(_, name)
      local value = own[name]
      if value == nil then
        error(("Script attempted to access nonexistent global variable '%s' (a text stands in " ..
          "quotes; _G.%s is nil where there is none)")
          :format(name, name), 2)
      end
      return value
    end,
  })
end

--- The names for the chunk of a script, a policy or a store: ours, then the script's, and `more`.
-- What it sets becomes a global of the script's; where it hides one of ours, it does so for this
-- chunk and the script, not for us.
local function chunk_names(own, more)
  of_chunks[more] = true
  return setmetatable(more, {
    __index = to_read(own),
    __newindex = function(chunk, name, value)
      if rawget(own, name) ~= nil then
        rawset(chunk, name, value)
      end
      own._G[name] = value
    end,
  })
end

--- The same for a file of ours, a policy or store that is built in: it has our copies of the
-- libraries.
local function own_chunk_names(own, more)
  copy(LIBRARIES, own, more)
  return chunk_names(own, more)
end

--- Whether this is the table of names that a chunk sees.
local function is_of_chunk(names)
  return names ~= nil and of_chunks[names] ~= nil
end

return {
  is_of_chunk = is_of_chunk,
  own_names = own_names,
  chunk_names = chunk_names,
  own_chunk_names = own_chunk_names,
}
