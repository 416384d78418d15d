-- Stores: how a cell is read and committed. A store file returns read, commit and perhaps version,
-- made and stateless: see lua/README.md.

local chunk = require "vlock.policy.chunk"
local search = require "vlock.policy.search"

local store = {}

local function check(spec, path)
  if type(spec) ~= "table" then
    error(("%s: a store must return a table, not %s"):format(path, type(spec)), 0)
  end
  for _, field in ipairs { "read", "commit" } do
    if type(spec[field]) ~= "function" then
      error(("%s: a store must have a function %s"):format(path, field), 0)
    end
  end
  for _, field in ipairs { "version", "made" } do
    if spec[field] ~= nil and type(spec[field]) ~= "function" then
      error(("%s: %s must be a function, where a store has one"):format(path, field), 0)
    end
  end
  if spec.stateless ~= nil and type(spec.stateless) ~= "boolean" then
    error(("%s: stateless must be true or false, not %s"):format(path, type(spec.stateless)), 0)
  end
  return spec
end

--- An instance of the store of this name, or in this file (a name that ends in .lua), or the table
-- itself.
function store.new(name, context)
  if type(name) == "table" then
    return check(name, "store")
  end
  local text, path
  if name:find("%.lua$") then
    path = name
    local reason
    text, reason = search.at(context, path)
    if not text then
      error("cannot read the store: " .. reason, 0)
    end
  else
    text, path = search.find(context, "store", name)
    if not text then
      search.fail(context, "store", name)
    end
  end
  return check(chunk.compile(text, path, {})(), path)
end

return store
