-- Raises what a script did wrong with the library, at the place where the script called it.

-- Frames of our own: the files built in, and C functions between them.
local function is_ours(info)
  return info.what == "C" or info.source:find("^@vlock/") ~= nil
end

-- "mine.lua:12: " of the innermost frame that is not ours; "" where there is none.
local function place()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return ""
    elseif not is_ours(info) then
      return ("%s:%d: "):format(info.short_src:gsub('^%[string "(.*)"%]$', "%1"), info.currentline)
    end
    level = level + 1
  end
end

--- misuse(format, …): raises the message, after file and line of the call.
return function(...)
  error(place() .. string.format(...), 0)
end
