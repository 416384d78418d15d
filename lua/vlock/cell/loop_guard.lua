-- Lua text with a guard: wherever it can go round, at the beginning of every loop and function, it
-- calls tick(), which may raise. Redis has no other means to end a script that has no end.

-- Where the comment, the string or the long bracket at `at` ends; nil: there is none.
local function end_of_quoted(text, at)
  local level = text:match("^%-?%-?%[(=*)%[", at)
  if level and not text:find("^%-%[", at) then
    return select(2, text:find("]" .. level .. "]", at, true)) or #text
  elseif text:find("^%-%-", at) then
    return text:find("\n", at, true) or #text
  end
  local quote = text:match("^[\"']", at)
  if quote then
    local stop = at + 1
    while stop <= #text and text:sub(stop, stop) ~= quote do
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
    end
    return stop
  end
end

local BEGINS = { ["do"] = true, ["repeat"] = true }

--- The text with its guard; its lines stay what they are.
return function(text)
  local pieces, at, is_in_head = {}, 1, false
  while at <= #text do
    local stop = end_of_quoted(text, at)
    local word = not stop and (text:match("^[%w_]+", at) or text:sub(at, at))
    stop = stop or at + #word - 1
    pieces[#pieces + 1] = text:sub(at, stop)
    if word == "function" then
      is_in_head = true
    elseif BEGINS[word] or is_in_head and word == ")" then
      pieces[#pieces + 1], is_in_head = " tick() ", false
    end
    at = stop + 1
  end
  return table.concat(pieces)
end
