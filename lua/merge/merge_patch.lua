-- merge "merge_patch": what mine changed in base, as a JSON Merge Patch (RFC 7396), applied to
-- theirs. Fields that mine removed are removed; where both changed a field, mine wins. Without a
-- base, all of mine is the change. As in the RFC, a null in mine cannot be told from a removal.
-- Runs on Lua 5.1 and 5.4.

local document = require "vlock.text.document"
local json = require "vlock.text.json"

-- The patch that makes `to` out of `from`.
local function difference(from, to)
  if not document.is_object(from) or not document.is_object(to) then
    return to
  end
  local patch = {}
  for key in pairs(from) do
    if to[key] == nil then
      patch[key] = json.null
    end
  end
  for key, value in pairs(to) do
    if from[key] == nil then
      patch[key] = value
    elseif not document.equal(from[key], value) then
      patch[key] = difference(from[key], value)
    end
  end
  return patch
end

return {
  doc = "Apply to theirs what mine changed in base, as a JSON Merge Patch (RFC 7396).",
  merge = function(_, c)
    local base, theirs, mine, close = document.open(c, "merge 'merge_patch'")
    return close(document.apply_patch(theirs, difference(base, mine)))
  end,
}
