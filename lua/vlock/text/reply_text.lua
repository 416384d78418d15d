-- How a script's result is shown: as redis-cli shows a reply, on a terminal and elsewhere. What Lua
-- values stand for as replies is Redis' rule: a float is truncated, true is 1, false and nil are
-- nil, a list ends at its first nil.

local printable = require "vlock.text.printable"

local reply_text = {}

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\a"] = "\\a", ["\b"] = "\\b",
  ["\\"] = "\\\\", ['"'] = '\\"' }

local function quote(text)
  return '"' .. text:gsub('[%c\\"\127-\255]', function(byte)
    return escapes[byte] or ("\\x%02x"):format(byte:byte())
  end) .. '"'
end

local function truncated(number)
  if math.type(number) == "integer" then
    return number
  elseif number ~= number then
    return 0
  end
  local whole = number < 0 and math.ceil(number) or math.floor(number)
  return math.tointeger(whole) or (whole > 0 and math.maxinteger or math.mininteger)
end

local function one_line(text)
  return (text:gsub("[\r\n]", " "))
end

-- {map = {key = value …}} and {set = {member = true …}}, flat as RESP2 sends them; nil where the
-- table is neither.
local function flattened(value)
  local map, set = rawget(value, "map"), rawget(value, "set")
  local list = {}
  if type(map) == "table" then
    for key, inner in next, map do
      list[#list + 1] = key
      list[#list + 1] = inner
    end
    return list
  elseif type(set) == "table" then
    for member in next, set do
      list[#list + 1] = member
    end
    return list
  end
end

local function array_part(value)
  local list = {}
  local i = 1
  while rawget(value, i) ~= nil do
    list[i] = rawget(value, i)
    i = i + 1
  end
  return list
end

--- What a Lua value is as a reply: its kind ("nil", "string", "integer", "status", "error",
-- "array") and its content.
function reply_text.classify(value)
  local kind = type(value)
  if kind == "string" then
    return "string", value
  elseif kind == "number" then
    return "integer", truncated(value)
  elseif value == true then
    return "integer", 1
  elseif kind ~= "table" then
    return "nil"
  end
  local err, ok = rawget(value, "err"), rawget(value, "ok")
  if type(err) == "string" then
    return "error", one_line(err)
  elseif type(ok) == "string" then
    return "status", one_line(ok)
  elseif type(rawget(value, "double")) == "number" then
    return "string", ("%.17g"):format(value.double)
  elseif type(rawget(value, "big_number")) == "string" then
    return "string", one_line(value.big_number)
  end
  local verbatim = rawget(value, "verbatim_string")
  if type(verbatim) == "table" and type(rawget(verbatim, "string")) == "string" then
    return "string", rawget(verbatim, "string")
  end
  return "array", flattened(value) or array_part(value)
end

local DEEPEST = 1000 -- as for C programs; a table that holds itself is deeper

local function check_depth(depth)
  if depth > DEEPEST then
    error({ exit = 1, message = "what the script returned is nested too deeply, or holds itself" },
      0)
  end
end

-- Lines for a terminal; nested arrays are indented below their number.
local function tty_lines(value, indent, lines, depth)
  check_depth(depth)
  local kind, content = reply_text.classify(value)
  if kind == "string" then
    lines[#lines + 1] = quote(content)
  elseif kind == "integer" then
    lines[#lines + 1] = ("(integer) %d"):format(content)
  elseif kind == "nil" then
    lines[#lines + 1] = "(nil)"
  elseif kind == "status" then
    lines[#lines + 1] = printable.text(content)
  elseif kind == "error" then
    lines[#lines + 1] = "(error) " .. printable.text(content)
  elseif #content == 0 then
    lines[#lines + 1] = "(empty array)"
  else
    local width = #tostring(#content)
    local deeper = indent .. (" "):rep(width + 2)
    for i, element in ipairs(content) do
      local at = #lines + 1
      tty_lines(element, deeper, lines, depth + 1)
      local number = ("%" .. width .. "d) "):format(i)
      lines[at] = (i > 1 and indent or "") .. number .. lines[at]
    end
  end
  return lines
end

local function raw_lines(value, lines, depth)
  check_depth(depth)
  local kind, content = reply_text.classify(value)
  if kind == "array" then
    for _, element in ipairs(content) do
      raw_lines(element, lines, depth + 1)
    end
    if #content == 0 then
      lines[#lines + 1] = ""
    end
  else
    lines[#lines + 1] = kind == "nil" and "" or tostring(content)
  end
  return lines
end

--- The text, without a last newline. is_terminal: as redis-cli shows it to people; else the bare
-- content.
function reply_text.format(value, is_terminal)
  local lines = is_terminal and tty_lines(value, "", {}, 0) or raw_lines(value, {}, 0)
  return table.concat(lines, "\n")
end

--- The same as a value for JSON: cjson.null for nil, {error = …} for an error.
function reply_text.for_json(value, depth)
  depth = depth or 0
  check_depth(depth)
  local json = require "vlock.text.json"
  local kind, content = reply_text.classify(value)
  if kind == "nil" then
    return json.null
  elseif kind == "error" then
    return { error = content }
  elseif kind == "array" then
    local list = {}
    for i, element in ipairs(content) do
      list[i] = reply_text.for_json(element, depth + 1)
    end
    return json.array(list)
  end
  return content
end

return reply_text
