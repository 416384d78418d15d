-- A table that remembers a bounded number of things: when there are too many, the older half is
-- forgotten.

local Cache = {}
Cache.__index = Cache

--- What stands at this key; nil where nothing does, or where it has been forgotten.
function Cache:get(key)
  local value = self.recent[key]
  if value == nil then
    value = self.older[key]
    if value ~= nil then
      self:put(key, value) -- it is in use
    end
  end
  return value
end

--- Remembers it. Not nil.
function Cache:put(key, value)
  if self.recent[key] == nil then
    if self.count >= self.half then
      self.older, self.recent, self.count = self.recent, {}, 0
    end
    self.count = self.count + 1
  end
  self.recent[key] = value
end

local NOTHING = {}

return {
  --- A cache of at most `limit` things, 2 or more.
  new = function(limit)
    return setmetatable({ recent = {}, older = NOTHING, count = 0, half = limit // 2 }, Cache)
  end,
}
