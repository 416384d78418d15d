-- merge "json3": three-way merge of JSON documents, field by field. A field that only one side changed is taken from that side, deletions
-- included; objects that both changed are merged in the same way; anything else that both changed differently is a conflict on that
-- field, and goes to the rule: theirs, mine, max, min, sum (both changes of a number), or fail. Arrays are taken as a whole. Runs on
-- Lua 5.1 and 5.4.

local document = require "vlock.document"
local ABSENT = document.ABSENT

local rules = {
  theirs = function(_, theirs)
    return theirs
  end,
  mine = function(_, _, mine)
    return mine
  end,
  fail = function(_, _, _, path)
    error("merge 'json3': both changed " .. path .. ", and the rule is to fail", 0)
  end,
}

local function with_numbers(name, combine)
  rules[name] = function(base, theirs, mine, path)
    if type(theirs) ~= "number" or type(mine) ~= "number" then
      error("merge 'json3': both changed " .. path .. ", which is no number on both sides: rule '" .. name .. "' cannot decide", 0)
    end
    return combine(type(base) == "number" and base or 0, theirs, mine)
  end
end

with_numbers("max", function(_, theirs, mine)
  return math.max(theirs, mine)
end)
with_numbers("min", function(_, theirs, mine)
  return math.min(theirs, mine)
end)
with_numbers("sum", function(base, theirs, mine)
  return theirs + (mine - base)
end)

local function child(tree, key)
  local value = document.is_object(tree) and tree[key]
  if value == nil or not document.is_object(tree) then
    return ABSENT
  end
  return value
end

local merge

local function merge_objects(base, theirs, mine, path, rule)
  local merged = {}
  local function take(key)
    if merged[key] == nil then
      local value = merge(child(base, key), child(theirs, key), child(mine, key), path .. "." .. key, rule)
      if value ~= ABSENT then
        merged[key] = value
      end
    end
  end
  for key in pairs(theirs) do
    take(key)
  end
  for key in pairs(mine) do
    take(key)
  end
  return merged
end

function merge(base, theirs, mine, path, rule)
  if document.equal(theirs, mine) or document.equal(base, mine) then
    return theirs
  elseif document.equal(base, theirs) then
    return mine
  elseif document.is_object(theirs) and document.is_object(mine) then
    return merge_objects(base, theirs, mine, path, rule)
  end
  return rule(base, theirs, mine, path)
end

return {
  doc = "Merge JSON documents field by field; a conflict on one field goes to the rule.",
  params = { rule = "theirs" },
  merge = function(p, c)
    local rule = rules[p.rule]
    if not rule then
      error("merge 'json3': unknown rule '" .. tostring(p.rule) .. "'; there are: fail, max, min, mine, sum, theirs", 0)
    end
    local base, theirs, mine, close = document.open(c, "merge 'json3'")
    return close(merge(base, theirs, mine, "$", rule))
  end,
}
