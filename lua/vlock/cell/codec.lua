-- How a value of the script becomes the bytes in Redis, and back.

local did_you_mean = require "vlock.text.did_you_mean"
local number = require "vlock.text.number"

local codec = {}

-- Lua sees text; numbers may be given.
codec.string = {
  name = "string",
  decode = function(bytes)
    return bytes
  end,
  encode = function(value)
    if type(value) == "number" and value - value ~= 0 then -- as Redis' own commands of floats do
      return nil, ("a value must be a text or a finite number, not %s"):format(value)
    elseif type(value) == "number" then
      return math.type(value) == "integer" and ("%d"):format(value) or number.text(value)
    end
    return nil, ("a value must be a text or a number, not a %s; codec = \"json\" takes " ..
      "tables"):format(type(value))
  end,
}

-- Lua sees tables, numbers, booleans: whatever JSON has.
codec.json = {
  name = "json",
  decode = function(bytes)
    return bytes and require("vlock.text.json").decode_document(bytes)
  end,
  encode = function(value)
    return require("vlock.text.json").encode_bytes(value)
  end,
}

local names = { "string", "json" }

--- The codec of this name; a table with encode and decode serves as it is.
function codec.find(name)
  if type(name) == "table" then
    return name
  end
  if name ~= "string" and name ~= "json" then
    error(("unknown codec '%s'%s; there are: string, json"):format(tostring(name),
      did_you_mean(name, names)), 0)
  end
  return codec[name]
end

--- The bytes for the server; nil for nil. Raises where the codec cannot express the value.
function codec.for_server(chosen, value)
  if value == nil or (type(value) == "string" and chosen == codec.string) then
    return value
  end
  local bytes, reason = chosen.encode(value)
  if not bytes then
    error(reason, 0)
  end
  return bytes
end

return codec
