-- Texts for a terminal, which takes control characters for orders.

local core = require "vlock.core"
local json = require "vlock.text.json"

local printable = {}

--- The text with \\xNN in place of what is no printable character, but for the ends of lines and
-- tabs.
printable.text = core.printable

--- The same on one line: for names.
function printable.line(text)
  return (printable.text(text):gsub("[\n\t]", { ["\n"] = "\\x0a", ["\t"] = "\\x09" }))
end

local function copy(value, copies)
  if type(value) == "string" then
    return printable.text(value)
  elseif type(value) ~= "table" then
    return value
  elseif not copies[value] then
    copies[value] = setmetatable({}, getmetatable(value))
    for name, field in next, value do
      copies[value][copy(name, copies)] = copy(field, copies)
    end
  end
  return copies[value]
end

--- A copy of a table, and of all tables in it, in which every text is printable.
function printable.all(value)
  return copy(value, {})
end

--- A JSON document, a line. What JSON lets stand in a text and terminals do not, it has as \\u00NN.
function printable.document(value)
  return (json.encode(value):gsub("\194([\128-\159])", function(byte)
    return ("\\u%04x"):format(byte:byte())
  end)) .. "\n"
end

return printable
