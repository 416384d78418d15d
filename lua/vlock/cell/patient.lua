-- What is asked of a server before and after the work that counts, as by the lab: a cluster that is
-- just finding a new primary, or is moving a slot, is waited for.

local again = require "vlock.cell.again"
local core = require "vlock.core"

local PATIENCE = 30 -- seconds
local PAUSE = 0.05 -- seconds from one try to the next

-- Whether a cluster says so: any other trouble is for who asked.
local function is_of_a_change(reason)
  local text = type(reason) == "table" and rawget(reason, "err")
  return type(text) == "string" and (text:find("^TRYAGAIN ") or text:find("^CLUSTERDOWN "))
end

--- The results of f(…), three at most; it is called once more where it is unknown whether it ran,
-- and where a cluster cannot answer just now, for half a minute.
return function(f, ...)
  local deadline = core.now() + PATIENCE
  while true do
    local ok, first, second, third = pcall(again, f, ...)
    if ok then
      return first, second, third
    end
    if not is_of_a_change(first) or core.now() > deadline then
      error(first, 0)
    end
    core.sleep(PAUSE)
  end
end
