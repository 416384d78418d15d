-- merge "json3": three-way merge of JSON documents, field by field. A field that only one side
-- changed is taken from that side, deletions included; objects that both changed are merged in the
-- same way; anything else that both changed differently is a conflict on that field, and goes to
-- the rule: theirs, mine, max, min, sum (both changes of a number), or fail. A table gives rules by
-- path, the first element that for all else: rule = { "theirs", ["stock.count"] = "sum", log =
-- "mine" }; a path speaks for all below it. A dot or a backslash in a key has a backslash before
-- it: [ [[a\.b]] ]. Arrays are taken as a whole. Runs on Lua 5.1 and 5.4.

local document = require "vlock.text.document"
local number = require "vlock.text.number"
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

local number_in = document.number_in

local function with_numbers(name, combine)
  rules[name] = function(base, theirs, mine, path)
    local their_number, my_number = number_in(theirs), number_in(mine)
    if not their_number or not my_number then
      error("merge 'json3': both changed " .. path .. ", which is no number on both sides: rule '"
        .. name .. "' cannot decide", 0)
    end
    if base ~= ABSENT and not number_in(base) then
      error("merge 'json3': both changed " .. path .. ", which was no number before: rule '" .. name
        .. "' cannot decide", 0)
    end
    return combine(number_in(base), their_number, my_number, theirs, mine, path)
  end
end

with_numbers("max", function(_, their_number, my_number, theirs, mine)
  return number.compare(their_number, my_number) > 0 and theirs or mine
end)
with_numbers("min", function(_, their_number, my_number, theirs, mine)
  return number.compare(their_number, my_number) < 0 and theirs or mine
end)
with_numbers("sum", function(base, their_number, my_number, _, _, path)
  return number.add_change(base, their_number, my_number, "merge 'json3': " .. path .. ": ")
end)

local RULES = "fail, max, min, mine, sum, theirs"

-- What is wrong with the parameter `rule`; nil where it is right.
local function check_rule(rule)
  if type(rule) == "string" then
    return not rules[rule] and "unknown rule '" .. rule .. "'; there are: " .. RULES or nil
  elseif type(rule) ~= "table" then
    return "must be a rule (" .. RULES .. ") or a table of rules by path"
  end
  for path, name in pairs(rule) do
    if path ~= 1 and type(path) ~= "string" then
      return "a table of rules has the rule for all else first, then paths: { \"theirs\", " ..
        "[\"stock.count\"] = \"sum\" }"
    elseif type(name) ~= "string" or not rules[name] then
      return "unknown rule '" .. tostring(name) .. "'; there are: " .. RULES
    end
  end
end

-- The path of what a field stands in; nil: the document. A dot behind a backslash belongs to a key.
local function parent_of(path)
  local at = 0
  local last
  repeat
    at = string.find(path, "[\\.]", at + 1)
    if at and string.sub(path, at, at) == "." then
      last = at
    elseif at then
      at = at + 1
    end
  until not at
  return last and string.sub(path, 1, last - 1)
end

-- The rule for a path: its own, that of the nearest object around it, or the one for all else.
local function rule_at(rule, path)
  if type(rule) == "string" then
    return rules[rule]
  end
  path = string.sub(path, 3) -- without "$.", which may be said or not
  while path and path ~= "" do
    local name = rule[path] or rule["$." .. path]
    if name then
      return rules[name]
    end
    path = parent_of(path)
  end
  return rules[rule[1] or "theirs"]
end

local function child(object, key)
  local value = object[key]
  if value == nil then
    return ABSENT
  end
  return value
end

local merge

local function merge_objects(base, theirs, mine, path, rule)
  local merged = {}
  base = document.is_object(base) and base or {}
  local function take(key)
    if merged[key] == nil then
      local value = merge(child(base, key), child(theirs, key), child(mine, key), path .. "."
        .. string.gsub(key, "[\\.]", "\\%0"), rule)
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
  return rule_at(rule, path)(base, theirs, mine, path)
end

return {
  doc = "Merge JSON documents field by field; a conflict on one field goes to the rule.",
  params = { rule = { default = "theirs", check = check_rule, doc = "one of " .. RULES
    .. "; or a table of them by path" } },
  merge = function(p, c)
    local wrong = check_rule(p.rule)
    if wrong then
      error("merge 'json3': " .. wrong, 0)
    end
    local base, theirs, mine, close = document.open(c, "merge 'json3'")
    return close(merge(base, theirs, mine, "$", p.rule))
  end,
}
