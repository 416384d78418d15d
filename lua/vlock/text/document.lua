-- JSON documents in merges: values arrive as texts (codec "string") or as tables (codec "json"),
-- and go back in the same form. Runs on Lua 5.1 and 5.4.

local json = require "vlock.text.json"
local number = require "vlock.text.number"

local document = { ABSENT = {} }

-- Texts or tables: the codec says, where it is known; else the value that the update function made.
local function holds_texts(c)
  if c.codec then
    return c.codec == "string"
  end
  return type(c.mine) == "string"
end

--- base, theirs and mine of a conflict as trees (document.ABSENT where there is none), and a
-- function that gives the merged tree the form that mine had.
function document.open(c, who)
  local is_text = holds_texts(c)
  local function tree(value, which)
    if value == nil then
      return document.ABSENT
    elseif type(value) ~= "string" or not is_text then
      return value
    end
    local ok, result = pcall(json.decode_exact, value)
    if not ok then
      error(who .. ": " .. which .. ": " .. tostring(result), 0)
    end
    return result
  end
  local function close(merged)
    if merged == document.ABSENT then
      return nil
    elseif is_text then
      return json.encode_bytes(merged)
    end
    return merged
  end
  return tree(c.base.value, "base"), tree(c.theirs.value, "theirs"), tree(c.mine, "mine"), close
end

--- Whether a tree is an object (an empty table that is not marked as an array is one).
function document.is_object(value)
  return type(value) == "table" and value ~= document.ABSENT and not json.digits(value)
    and not json.is_array(value)
end

-- What stands for a number: one, or the digits of one.
local function number_in(value)
  return type(value) == "number" and value or json.digits(value)
end

--- Whether two trees say the same.
function document.equal(a, b)
  if a == b then
    return true
  elseif number_in(a) and number_in(b) then
    return number.compare(number_in(a), number_in(b)) == 0
  elseif type(a) ~= "table" or type(b) ~= "table" or a == document.ABSENT or b == document.ABSENT
      or json.is_array(a) ~= json.is_array(b) then
    return false
  end
  for key, value in pairs(a) do
    if b[key] == nil or not document.equal(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

--- A JSON Merge Patch applied to a tree, which is not changed: RFC 7396, section 2.
function document.apply_patch(target, patch)
  if not document.is_object(patch) then
    return patch
  end
  local result = {}
  if document.is_object(target) then
    for key, value in pairs(target) do
      result[key] = value
    end
  end
  for key, value in pairs(patch) do
    if value == json.null then
      result[key] = nil
    else
      result[key] = document.apply_patch(result[key], value)
    end
  end
  return result
end

document.number_in = number_in

return document
