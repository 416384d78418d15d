-- Runs the merges' vectors: on Lua 5.4 under busted, and on stock Lua 5.1.

local vectors = require "json_vectors"

local runner = {}

function runner.load(name)
  return assert(loadfile("lua/merge/" .. name .. ".lua"))().merge
end

--- The vectors of each merge.
function runner.by_name()
  local groups = {}
  for _, case in ipairs(vectors.merges) do
    groups[case[1]] = groups[case[1]] or {}
    table.insert(groups[case[1]], case)
  end
  return groups
end

--- Whether one vector comes out; and what came, in words.
function runner.check(case)
  local name, params, base, theirs, mine, expected = case[1], case[2], case[3], case[4], case[5],
    case[6]
  local with_defaults = { rule = params.rule or "theirs" }
  local ok, result = pcall(runner.load(name), with_defaults, {
    base = { value = base or nil },
    theirs = { value = theirs or nil },
    mine = mine,
  })
  local shown = ("%s(%s, %s, %s) = %s"):format(name, tostring(base), tostring(theirs), mine,
    tostring(result))
  if expected == nil then
    return not ok, shown
  elseif expected == "again" then
    return ok and result == nil, shown
  end
  return ok and result == expected, shown
end

function runner.apply_patch(target, patch)
  local document, json = require "vlock.text.document", require "vlock.text.json"
  return json.encode(document.apply_patch(json.decode(target), json.decode(patch)))
end

return runner
