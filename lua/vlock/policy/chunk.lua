-- Files of policies and stores, compiled: once, however many clients run the chunk.

local chunk = {}

local compiled = require("vlock.cell.cache").new(1024) -- by path

--- The chunk of a file's text; `path` is its name in messages. environment(): what it sees. Raises
-- a syntax error.
function chunk.compile(text, path, environment)
  local entry = compiled:get(path)
  if not entry or entry.text ~= text then
    local code, reason = load((text:gsub("^#[^\n]*", "")), "@" .. (path:gsub("^built%-in ", "")),
      "t", environment())
    if not code then
      error(reason, 0)
    end
    entry = { text = text, code = code }
    compiled:put(path, entry)
  end
  return entry.code
end

return chunk
