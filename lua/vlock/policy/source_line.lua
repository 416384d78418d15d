-- The line of a source that a message is about.

local place = {}

-- The line of the last thing that the message quotes and that stands in the text; nil where there
-- is none.
local function line_of(message, text)
  local about = message:gsub(", did you mean.*", ""):gsub("; there are.*",
    ""):gsub(" %(looked for.*", "")
  local at
  for word in about:gmatch("['\"]([^'\"]+)['\"]") do
    at = text:find('"' .. word .. '"', 1, true) or text:find("'" .. word .. "'", 1, true)
      or text:find("%f[%w_]" .. word:gsub("%W", "%%%0") .. "%f[^%w_]") or at
  end
  return at and select(2, text:sub(1, at):gsub("\n", "")) + 1
end

--- The message with the file `where` and, if it can be told, the line of its text that it is about.
-- A message that names a line already, or that is about the command line, stays as it is, and so
-- does what is no text.
function place.located(message, where, text)
  if type(message) ~= "string" or message:find("^%-") or message:find("^[^:]+:%d+: ") then
    return message
  elseif message:sub(1, #where + 2) == where .. ": " then
    message = message:sub(#where + 3)
  end
  local line = line_of(message, text)
  return ("%s%s: %s"):format(where, line and ":" .. line or "", message)
end

return place
