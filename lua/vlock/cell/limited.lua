-- Calls whose commands are waited for up to a point in time and no longer.

local core = require "vlock.core"

local limit = core.limit

local function restore(before, ...)
  limit(before)
  return ...
end

--- pcall(f, …), whose commands end at `at`, on core.now's clock: what was sent and not answered by
-- then is "unknown". nil: as late as any command.
return function(at, f, ...)
  if not at then
    return pcall(f, ...)
  end
  return restore(limit(at), pcall(f, ...))
end
