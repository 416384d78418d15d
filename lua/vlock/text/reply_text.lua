-- How a script's result is shown: as redis-cli shows a reply, on a terminal and elsewhere. What Lua
-- values stand for as replies is Redis' rule (src/lua/reply.h): a float is truncated, true is 1,
-- false and nil are nil, a list ends at its first nil.

local core = require "vlock.core"
local json = require "vlock.text.json"
local printable = require "vlock.text.printable"

local reply_text = {}

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\a"] = "\\a", ["\b"] = "\\b",
  ["\\"] = "\\\\", ['"'] = '\\"' }

local function quote(text)
  return '"' .. text:gsub('[%c\\"\127-\255]', function(byte)
    return escapes[byte] or ("\\x%02x"):format(byte:byte())
  end) .. '"'
end

-- What a value is as a reply. Raises where it is nested too deeply.
local function reply_of(value)
  return core.as_reply(value) or error({
    exit = 1,
    message = "what the script returned is nested too deeply, or holds itself",
  }, 0)
end

-- Lines for a terminal; nested arrays are indented below their number.
local function tty_lines(reply, indent, lines)
  local kind, content = reply.kind, reply.content
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
      tty_lines(element, deeper, lines)
      local number = ("%" .. width .. "d) "):format(i)
      lines[at] = (i > 1 and indent or "") .. number .. lines[at]
    end
  end
  return lines
end

local function raw_lines(reply, lines)
  local kind, content = reply.kind, reply.content
  if kind == "array" then
    for _, element in ipairs(content) do
      raw_lines(element, lines)
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
  local reply = reply_of(value)
  local lines = is_terminal and tty_lines(reply, "", {}) or raw_lines(reply, {})
  return table.concat(lines, "\n")
end

local function json_value(reply)
  local kind, content = reply.kind, reply.content
  if kind == "nil" then
    return json.null
  elseif kind == "error" then
    return { error = content }
  elseif kind == "array" then
    local list = {}
    for i, element in ipairs(content) do
      list[i] = json_value(element)
    end
    return json.array(list)
  end
  return content
end

--- The same as a value for JSON: cjson.null for nil, {error = …} for an error.
function reply_text.for_json(value)
  return json_value(reply_of(value))
end

return reply_text
