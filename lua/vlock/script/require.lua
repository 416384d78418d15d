-- `require`, written in Lua so that a module may call the server while it loads. Two tasks that
-- want the same module at the same time get the same one: the second waits for the first.

local inputs = require "vlock.script.inputs"
local locks = require "vlock.cell.lock"

local loaded = package.loaded
local loading = {} -- by name: the lock of who loads it

local function find(name)
  local misses = {}
  for _, searcher in ipairs(package.searchers) do
    local loader, extra = searcher(name)
    if type(loader) == "function" then
      inputs.note(tostring(extra))
      return loader, extra
    elseif type(loader) == "string" then
      misses[#misses + 1] = (loader:gsub("^\n?\t?", "\n\t"))
    end
  end
  error(("module '%s' not found:%s"):format(name, table.concat(misses)), 3)
end

return function(name)
  if loaded[name] ~= nil then
    return loaded[name]
  end
  local lock = loading[name] or locks.new()
  if lock:is_mine() then
    error(("module '%s' requires itself while it loads"):format(name), 2)
  end
  local loader, extra = find(name)
  loading[name] = lock
  lock:take()
  if loaded[name] ~= nil then
    lock:release()
    return loaded[name]
  end
  local ok, result = pcall(loader, name, extra)
  lock:release()
  if not ok then
    error(result, 0)
  end
  if result ~= nil then
    loaded[name] = result
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], extra
end
