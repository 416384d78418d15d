-- What options tables mean, worked out once: found again by the table, and where a script writes
-- one down anew for every call, by what it holds. Files are not: they may have changed since.

local cache = require "vlock.cell.cache"

local LIMIT = 64 -- contents
local DEEPEST = 4 -- tables in tables

local Plans = {}
Plans.__index = Plans

local plain = { string = true, number = true, boolean = true }

local text_of_table

-- A text that no other content has; nil: it is nothing that has one, such as a function, or names a
-- file.
local function text_of(value, depth)
  local kind = type(value)
  if kind == "string" and value:find("%.lua$") then
    return nil
  elseif plain[kind] then
    local text = tostring(value)
    return ("%s %d %s"):format(math.type(value) or kind, #text, text)
  elseif kind == "table" and depth < DEEPEST and not getmetatable(value) then
    return text_of_table(value, depth + 1)
  end
end

function text_of_table(value, depth)
  local texts = {}
  for key, held in next, value do
    local key_text, held_text = text_of(key, depth), text_of(held, depth)
    if not key_text or not held_text then
      return nil
    end
    texts[#texts + 1] = key_text .. held_text
  end
  table.sort(texts)
  return ("table %d {%s}"):format(#texts, table.concat(texts))
end

--- The plan of an options table; else nil, and its content, if that can be told, for `put`.
function Plans:get(opts)
  local plan = self.by_table[opts]
  if plan then
    return plan
  end
  local content = text_of(opts, 0)
  plan = content and self.by_content:get(content)
  if plan then
    self.by_table[opts] = plan
    return plan
  end
  return nil, content
end

--- Keeps a plan. content: as `get` returned it.
function Plans:put(opts, content, plan)
  self.by_table[opts] = plan
  if content then
    self.by_content:put(content, plan)
  end
end

--- Looks at the next table anew, whatever it holds.
function Plans:forget_contents()
  self.by_content = cache.new(LIMIT)
end

return {
  new = function()
    return setmetatable({
      by_table = setmetatable({}, { __mode = "k" }),
      by_content = cache.new(LIMIT),
    }, Plans)
  end,
}
