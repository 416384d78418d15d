-- merge "union": JSON arrays as sets, merged three ways: an element is there if it is in theirs or
-- mine, unless one of them has removed it from base. Order: theirs as it is, then what mine added,
-- in its order. Elements are compared as JSON. Runs on Lua 5.1 and 5.4.

local document = require "vlock.text.document"
local json = require "vlock.text.json"

local function elements(tree, which)
  if tree == document.ABSENT then
    return {}, {}
  elseif type(tree) ~= "table" or (not json.is_array(tree) and next(tree) ~= nil) then
    error("merge 'union': " .. which .. " is no JSON array", 0)
  end
  local set = {}
  for _, element in ipairs(tree) do
    set[json.encode(element)] = true
  end
  return tree, set
end

return {
  doc = "Merge JSON arrays as sets; what one side removed stays removed.",
  merge = function(_, c)
    local base, theirs, mine, close = document.open(c, "merge 'union'")
    local _, in_base = elements(base, "base")
    local their_list, in_theirs = elements(theirs, "theirs")
    local my_list, in_mine = elements(mine, "mine")
    local merged, seen = json.array({}), {}
    local function take(element, in_other)
      local name = json.encode(element)
      local is_removed = in_base[name] and not in_other[name]
      if not seen[name] and not is_removed then
        seen[name] = true
        merged[#merged + 1] = element
      end
    end
    for _, element in ipairs(their_list) do
      take(element, in_mine)
    end
    for _, element in ipairs(my_list) do
      take(element, in_theirs)
    end
    return close(merged)
  end,
}
