-- Files of policies and stores, compiled: once, however many clients run the chunk.

local environment = require "vlock.script.environment"

local chunk = {}

local compiled = require("vlock.cell.cache").new(1024) -- by path

-- What a chunk sees: the names that we see, and `more`.
local function names_of(path, more)
  local names = path:find("^built%-in ") and environment.own_chunk_names or environment.chunk_names
  return names(_ENV, more)
end

--- The chunk of a file's text; `path` is its name in messages. It sees the names that we see, and
-- those in `more`. Raises a syntax error.
function chunk.compile(text, path, more)
  local entry = compiled:get(path)
  if not entry or entry.text ~= text then
    local code, reason = load((text:gsub("^#[^\n]*", "")), "@" .. (path:gsub("^built%-in ", "")),
      "t", names_of(path, more))
    if not code then
      error(reason, 0)
    end
    entry = { text = text, code = code }
    compiled:put(path, entry)
  end
  return entry.code
end

return chunk
