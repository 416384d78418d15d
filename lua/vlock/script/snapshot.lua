-- What scripts can get at by their globals and modules, as it is now, to be put back: for a run
-- that begins anew. Tables in tables are followed; what functions keep in their upvalues is not.

-- The tables in there that are ours stay as they are.
local function list_of_ours()
  local list = { [package.loaded] = false }
  for name, module in next, package.loaded do
    if name:find("^vlock") and type(module) == "table" then
      list[module] = false
    end
  end
  return list
end

local function copy_all(found, list)
  if list[found] ~= nil then
    return
  end
  local copy = {}
  list[found] = copy
  for name, value in next, found do
    copy[name] = value
    if type(value) == "table" then
      copy_all(value, list)
    end
  end
end

local function put_back(found, copy)
  for name in next, found do
    if copy[name] == nil then
      rawset(found, name, nil)
    end
  end
  for name, value in next, copy do
    rawset(found, name, value)
  end
end

--- Takes one; returns a function that puts all of it back.
return function()
  local list = list_of_ours()
  copy_all(_G, list)
  for _, module in next, package.loaded do
    if type(module) == "table" then
      copy_all(module, list)
    end
  end
  return function()
    for found, copy in next, list do
      if copy then
        put_back(found, copy)
      end
    end
  end
end
